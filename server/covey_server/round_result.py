"""How a round ends: its result, which the operator keeps, and the evidence, which anyone may read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from covey_privacy import sealed_figures, wire
from covey_privacy.dp import Charge, account, spent
from covey_privacy.evidence import (
    NO_RELEASE,
    RELEASED,
    WITHHELD,
    CommitteeEvidence,
    ComplaintCount,
    Evidence,
    RoundProofs,
    few,
    shapes,
    tens,
)
from covey_privacy.manifest import Manifest
from covey_privacy.merkle import EMPTY
from covey_privacy.protocol_rules import Rule
from covey_privacy.sealed_figures import Annex
from covey_privacy.secagg.messages import Opening, SetHead
from covey_privacy.secagg.notary_messages import LoggedHead
from covey_privacy.secagg.terms import Kind
from covey_privacy.signatures import Signed, SigningKey
from covey_server.round_state import RoundProgress, RoundResult, RunningRound
from covey_server.store import Store


def make_round_result(
    running: RunningRound,
    state: str,
    found: Mapping[str, Any],
    charges: Sequence[Charge],
    operator: SigningKey,
    random: Callable[[int], bytes],
    *,
    shared_operator: bool,
    release: bytes = NO_RELEASE,
) -> RoundResult:
    """Return how a round ended; `charges` are all of the budget, its own included.

    `found` is what the result says beside the round's terms, `release` the hash of what was signed. Exact
    figures are in the annex alone; `exact_results` puts them back with the operator's key.
    """
    manifest, progress = running.manifest, running.progress
    included, final = _set(progress.included), _set(progress.final)
    refused = Counter(_denial(rule) for rule in progress.refused.values())
    figures = Annex(
        manifest.round_id,
        progress.volunteers,
        included.size if included else 0,
        final.size if final else 0,
        refused["bad"],
        refused["spent"],
        refused["retracted"],
        running.seconds,
        random(32),
    )
    committees = _committees(manifest, progress) if included else ()
    proofs = RoundProofs(progress.final_request, tuple(progress.openings))
    proved = (
        progress.result is not None and progress.result.integrity_proved and state in (RELEASED, WITHHELD)
    )
    evidence = Evidence(
        round_id=manifest.round_id,
        query=manifest.query,
        purposes=manifest.purposes,
        profile=manifest.profile,
        manifest=running.digest,
        model=manifest.model,
        included=included.root if included else EMPTY,
        final=final.root if final else EMPTY,
        cohort=tens(figures.included),
        excluded=tens(figures.included - figures.final) if final else 0,
        denials=", ".join(f"{name} {few(refused[name])}" for name in ("bad", "spent", "retracted")),
        committees=committees,
        complaints=_complaints(progress),
        integrity_proved=proved,
        norm=manifest.norm,
        sigma=manifest.sigma,
        epsilon=manifest.epsilon,
        epsilon_so_far=spent(charges, manifest.purpose, delta=manifest.delta).epsilon,
        delta=manifest.delta,
        honest=manifest.honest,
        least_issued=manifest.least_issued,
        outcome=state,
        code_version=version("covey"),
        shared_operator=shared_operator,
        annex=figures.digest,
        proofs=proofs.digest,
        release=release,
    )
    sealed = sealed_figures.seal(figures, sealed_figures.key(operator, manifest.round_id), random)
    result = {**_terms(manifest), **_committee_figures(evidence), **found}
    return RoundResult(result, evidence, sealed, proofs)


def exact_results(store: Store, operator: SigningKey) -> list[dict[str, Any]]:
    """Return the results of all rounds that are over, with their exact figures, oldest first."""
    return [
        _with_exact_figures(result, annex, operator) if annex else result
        for result, annex in store.results_with_annexes()
    ]


def _with_exact_figures(result: dict[str, Any], annex: bytes, operator: SigningKey) -> dict[str, Any]:
    """Return a result with the figures of its sealed annex, and with what follows from those."""
    figures = sealed_figures.unseal(annex, sealed_figures.key(operator, result["round_id"]))
    plain = {name: value for name, value in asdict(figures).items() if name != "salt"}
    if "sum" in result:
        plain["sd"] = result["sigma"] * math.sqrt(figures.final / result["honest"])
    return {**result, **plain}


def _terms(manifest: Manifest) -> dict[str, Any]:
    """Return what the result says of a round's terms."""
    return {
        "round_id": manifest.round_id,
        "query": manifest.query,
        "purpose": manifest.purpose,
        "epsilon": manifest.epsilon,
        "accountants": account([manifest.charge.mechanism], manifest.delta).figures(),
        "delta": manifest.delta,
        "sigma": manifest.sigma,
        "scale": manifest.scale,
        "length": manifest.length,
        "honest": manifest.honest,
        "least_set": manifest.require_terms().least_set,
        "least_cell": manifest.least_cell,
    }


def _committee_figures(evidence: Evidence) -> dict[str, Any]:
    committees = [{**asdict(each), "kind": Kind(each.kind).name.lower()} for each in evidence.committees]
    return {"committees": committees, "integrity_proved": evidence.integrity_proved}


def _committees(manifest: Manifest, progress: RoundProgress) -> tuple[CommitteeEvidence, ...]:
    opened = Counter(wire.decode(Opening, opening).kind for opening in progress.openings)
    return tuple(
        CommitteeEvidence(kind, shape.members, shape.threshold, opened[kind])
        for kind, shape in shapes(manifest, progress.volunteers).items()
    )


def _complaints(progress: RoundProgress) -> tuple[ComplaintCount, ...]:
    counts = sorted(
        (number, count) for (kind, number), count in progress.complaints.items() if kind == Kind.STANDING
    )
    return tuple(ComplaintCount(number, count) for number, count in counts if count)


def _denial(rule: str) -> str:
    return {str(Rule.TICKET_SPENT): "spent", str(Rule.RETRACTED): "retracted"}.get(rule, "bad")


def _set(logged: LoggedHead | None) -> SetHead | None:
    return wire.decode(SetHead, wire.decode(Signed, logged.signed).body) if logged else None
