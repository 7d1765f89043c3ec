"""How a round ends: its result, which the operator keeps, and the evidence, which anyone may read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from covey_privacy import annex
from covey_privacy.annex import Annex
from covey_privacy.dp import Charge, account, spent
from covey_privacy.evidence import NO_RELEASE, Evidence, few, tens
from covey_privacy.five_phases import Terms, graph
from covey_privacy.five_phases.blame import Who
from covey_privacy.merkle import Tree
from covey_privacy.signatures import SigningKey
from covey_server.rounds import Tally


@dataclass(frozen=True, slots=True)
class Ending:
    """A result, as plain JSON values, the evidence for the log, and the sealed annex to that."""

    result: dict[str, Any]
    evidence: Evidence
    annex: bytes


def ending(
    terms: Terms,
    tally: Tally,
    state: str,
    outcome: Mapping[str, Any],
    seconds: float,
    charges: Sequence[Charge],
    operator: SigningKey,
    random: Callable[[int], bytes],
    *,
    shared_operator: bool,
    release: bytes = NO_RELEASE,
) -> Ending:
    """Return how a round ended that took so many seconds; `charges` are all of the budget, its own included.

    `outcome` is what the result says beside the round's terms, `release` the hash of what was signed. Exact
    figures are in the annex alone; with `whole` the operator's key puts them back.
    """
    manifest = terms.manifest
    degree, threshold = terms.graph(tally.cohort) if tally.cohort else (0, 0)
    figures = Annex(
        manifest.round_id, tally.cohort, tally.survivors, tally.bad, tally.spent, degree, seconds, random(32)
    )
    result = {
        "round_id": manifest.round_id,
        "query": manifest.query,
        "purpose": manifest.purpose,
        "epsilon": manifest.epsilon,
        "accountants": account([manifest.charge.mechanism], manifest.delta).figures(),
        "delta": manifest.delta,
        "sigma": manifest.sigma,
        "scale": manifest.scale,
        "length": manifest.length,
        "bits": manifest.bits,
        "honest": manifest.honest,
        "least_cell": manifest.least_cell,
        "threshold": threshold,
        "blamed": [[_named(blame.who), blame.rule] for blame in tally.blames.all],
        **outcome,
    }
    tickets = Tree([advert.leaf for advert in tally.roster.adverts] if tally.roster else [])
    evidence = Evidence(
        round_id=manifest.round_id,
        query=manifest.query,
        purposes=manifest.purposes,
        profile=manifest.profile,
        manifest=terms.digest,
        model=manifest.model,
        ticket_root=tickets.root(),
        cohort=tens(tally.cohort),
        dropouts=tens(tally.cohort - tally.survivors),
        denials=f"bad {few(tally.bad)}, spent {few(tally.spent)}",
        norm=manifest.norm,
        sigma=manifest.sigma,
        epsilon=manifest.epsilon,
        epsilon_so_far=spent(charges, manifest.purpose, delta=manifest.delta).epsilon,
        delta=manifest.delta,
        honest=manifest.honest,
        threshold=threshold,
        least_issued=manifest.least_issued,
        outcome=state,
        code_version=version("covey"),
        shared_operator=shared_operator,
        annex=figures.digest,
        survivors=tally.survivors_root,
        release=release,
    )
    sealed = annex.seal(figures, annex.key(operator, manifest.round_id), random)
    return Ending(result, evidence, sealed)


def whole(result: Mapping[str, Any], sealed: bytes, operator: SigningKey) -> dict[str, Any]:
    """Return a result with its exact figures, and with what follows from those."""
    figures = annex.unseal(sealed, annex.key(operator, result["round_id"]))
    plain = {name: value for name, value in asdict(figures).items() if name != "salt"}
    plain["graph_failure"] = graph.failure(figures.roster)
    if "sum" in result:
        plain["sd"] = result["sigma"] * math.sqrt(figures.survivors / result["honest"])
    return {**result, **plain}


def _named(who: Who) -> int | str | None:
    return who.hex() if isinstance(who, bytes) else who
