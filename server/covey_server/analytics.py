"""Asking a question: plan, dry-run, log, play the round, charge, release, leave evidence."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

from covey_models import QUERIES
from covey_models.queries import Query
from covey_privacy import wire
from covey_privacy.consent import Issuer
from covey_privacy.dp import Caps, Charge, Encoding, require_room, spent
from covey_privacy.errors import PrivacyError
from covey_privacy.evidence import Annex, Evidence, few, tens
from covey_privacy.manifest import Manifest, sign_manifest
from covey_privacy.merkle import Tree
from covey_privacy.release import Figure, Release, sign_release
from covey_privacy.secagg import Terms
from covey_privacy.secagg.ring import pack
from covey_privacy.signatures import SigningKey, digest_of
from covey_privacy.tickets import purpose_set
from covey_server.config import Config, Question
from covey_server.fleet import Ask, Invitation
from covey_server.plan import manifest_for
from covey_server.registry import Registry
from covey_server.rounds import Tally, run_round
from covey_server.store import Store

log = logging.getLogger("flwr.covey")
"""Under Flower's logger, so that `flwr run --stream` shows it."""

RELEASED, ABORTED = "released", "aborted"


@dataclass(frozen=True, slots=True)
class Plan:
    """A round that is about to begin: its terms, its encoding, what it will cost."""

    query: Query
    terms: Terms
    signed: bytes
    encoding: Encoding
    charge: Charge
    release: bytes

    @property
    def manifest(self) -> Manifest:
        """The round's manifest."""
        return self.terms.manifest


class Analyst:
    """Asks questions one after the other; what one releases the next may build on."""

    def __init__(
        self, config: Config, registry: Registry, store: Store, operator: SigningKey, registry_key: bytes
    ) -> None:
        self._config, self._registry, self._store = config, registry, store
        self._operator, self._registry_key = operator, registry_key
        self._caps = Caps({"analytics": config.cap}, config.cap, config.policy.delta)

    def ask(self, question: Question, ask: Ask) -> None:
        """Play one round and keep its result. Raises PrivacyError when it cannot be finished.

        A round that the budget does not hold is refused before anything of it exists.
        """
        started = time.monotonic()
        plan = self._plan(question)
        require_room(self._store.charges(), plan.charge, self._caps)
        log.info("round %s begins, at epsilon %g", plan.manifest.round_id, question.epsilon)
        self._store.open_round(plan.manifest.round_id)
        self._registry.log_manifest(plan.signed)
        tally = Tally()
        try:
            outcome = self._play(plan, ask, tally)
        except PrivacyError as error:
            self._finish(plan, tally, ABORTED, {"why": str(error)}, started)
            raise
        self._finish(plan, tally, RELEASED, outcome, started)
        self._publish(plan, outcome["released"])

    def _plan(self, question: Question) -> Plan:
        query = QUERIES[question.query]
        purposes, epoch = purpose_set(query.purposes), self._registry.epoch()
        issuer = self._registry.issuer(purposes, epoch)
        population = self._registry.granted(purposes, epoch)
        release = self._store.release(query.builds_on) if query.builds_on else b""
        round_id = f"{query.id}-{self._store.count(query.id) + 1}-{self._operator.public.hex()[:8]}"
        manifest = manifest_for(
            query, round_id, question.epsilon, population, issuer, release, self._config.policy
        )
        return self._signed(query, manifest, issuer, release)

    def _signed(self, query: Query, manifest: Manifest, issuer: Issuer, release: bytes) -> Plan:
        signed = sign_manifest(manifest, self._operator)
        digest = digest_of(signed)
        encoding = manifest.encoding(query.length, digest)
        terms = Terms(manifest, digest, issuer.key, self._registry_key)
        return Plan(query, terms, signed, encoding, manifest.charge(encoding), release)

    def _play(self, plan: Plan, ask: Ask, tally: Tally) -> dict[str, Any]:
        charge = partial(self._store.charge, plan.charge, self._caps)
        invitation = Invitation(plan.signed, plan.release)
        total = run_round(plan.terms, invitation, ask, self._registry, charge, tally)
        figures = plan.query.release(
            plan.encoding.decode(total.vector), plan.manifest.sigma, plan.manifest.least_cell
        )
        return {"released": figures, "sum": pack(total.vector, plan.manifest.bits).hex()}

    def _publish(self, plan: Plan, figures: dict[str, Any]) -> None:
        """Sign the figures and keep them for whoever builds on them."""
        flat = (Figure(name, value) for name, value in figures.items() if not isinstance(value, dict))
        release = Release(
            plan.query.id, self._store.count(plan.query.id), plan.manifest.round_id, tuple(flat)
        )
        self._store.put_release(plan.query.id, sign_release(release, self._operator))

    def _finish(self, plan: Plan, tally: Tally, state: str, outcome: dict[str, Any], started: float) -> None:
        """Log the evidence and keep the result."""
        seconds = time.monotonic() - started
        degree, threshold = plan.terms.graph(tally.cohort) if tally.cohort else (0, 0)
        annex = Annex(
            plan.manifest.round_id, tally.cohort, tally.survivors, tally.bad, tally.spent, 0, degree, seconds
        )
        index = self._registry.log_evidence(self._evidence(plan, tally, state, annex, threshold))
        result = {
            "query": plan.query.id,
            "purpose": plan.manifest.purpose,
            "epsilon": plan.manifest.epsilon,
            "cap": self._config.cap,
            "delta": plan.manifest.delta,
            "sigma": plan.manifest.sigma,
            "scale": plan.manifest.scale,
            "honest": plan.manifest.honest,
            "least_cell": plan.manifest.least_cell,
            "threshold": threshold,
            "evidence_index": index,
            "blamed": list(tally.blamed),
            **asdict(annex),
            **outcome,
        }
        self._store.close_round(plan.manifest.round_id, state, result)
        log.info("round %s: %s, %d of %d devices", annex.round_id, state, annex.survivors, annex.roster)

    def _evidence(self, plan: Plan, tally: Tally, state: str, annex: Annex, threshold: int) -> Evidence:
        manifest = plan.manifest
        tickets = Tree([advert.leaf for advert in tally.roster.adverts] if tally.roster else [])
        charges = self._store.charges()
        return Evidence(
            round_id=manifest.round_id,
            query=manifest.query,
            purposes=manifest.purposes,
            profile=manifest.profile,
            manifest=plan.terms.digest,
            model=manifest.model,
            ticket_root=tickets.root(),
            cohort=tens(tally.cohort),
            dropouts=tens(tally.cohort - tally.survivors),
            denials=f"bad {few(tally.bad)}, spent {few(tally.spent)}",
            norm=manifest.norm,
            sigma=manifest.sigma,
            epsilon=manifest.epsilon,
            epsilon_so_far=spent(charges, manifest.purpose, delta=manifest.delta),
            delta=manifest.delta,
            honest=manifest.honest,
            threshold=threshold,
            least_issued=manifest.least_issued,
            outcome=state,
            code_version=version("covey"),
            shared_operator=self._config.shared_operator,
            annex=hashlib.sha256(wire.encode(annex)).digest(),
        )
