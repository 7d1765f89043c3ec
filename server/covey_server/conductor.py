"""Playing a planned round: dry-run, log, play, charge, hold against bounds, release, leave evidence."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covey_models import ModelError, Question
from covey_privacy.dp import Caps, Charge, Encoding, require_room
from covey_privacy.errors import PrivacyError
from covey_privacy.evidence import ABORTED, BURNT, NO_RELEASE, RELEASED, WITHHELD, Evidence
from covey_privacy.five_phases import Terms
from covey_privacy.five_phases.ring import pack
from covey_privacy.manifest import Manifest, sign_manifest
from covey_privacy.release import Array, Figure, Release, sign_release
from covey_privacy.signatures import SigningKey, digest_of
from covey_privacy.tickets import IssuerKeys, purpose_set
from covey_server.config import Config
from covey_server.ending import Ending, ending
from covey_server.errors import RegistryError, RoundError
from covey_server.fleet import Ask, Invitation
from covey_server.registry import Registry
from covey_server.rounds import Tally, run_round
from covey_server.store import SignedRelease, Store

log = logging.getLogger("flwr.covey")
"""Under Flower's logger, so that `flwr run --stream` shows it."""

CUT_SHORT = {"why": "the coordinator was killed once the budget was charged; nothing is released"}

Vector = NDArray[np.float64]
Publish = Callable[[Vector, float], dict[str, Any]]
"""`publish(total, sd)`: what may be published of a noisy total, by name."""

Sign = Callable[[dict[str, Any]], SignedRelease]
"""`sign(published)`: the release of what is published, under its name."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A round that is about to begin: what it asks, its terms, and the public documents under it."""

    question: Question
    terms: Terms
    signed: bytes
    documents: tuple[bytes, ...]

    @property
    def manifest(self) -> Manifest:
        """The round's manifest."""
        return self.terms.manifest

    @property
    def encoding(self) -> Encoding:
        """How answers are written."""
        return self.manifest.encoding(self.question.length, self.terms.digest)


class Conductor:
    """Plays rounds for one operator, under its budget."""

    def __init__(
        self,
        config: Config,
        registry: Registry,
        store: Store,
        operator: SigningKey,
        registry_key: bytes,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.config, self.store, self.operator = config, store, operator
        self._registry, self._registry_key, self._random = registry, registry_key, random
        self._caps = Caps(config.caps, sum(config.caps.values()), config.policy.delta)

    def start(self) -> None:
        """Burn the rounds that were cut short, and log what evidence the last run may not have logged."""
        for round_id in self.store.burn_open_rounds():
            log.warning("round %s was cut short; it is burnt", round_id)
        for round_id, evidence in self.store.untold().items():
            try:
                self._tell(evidence)
            except RegistryError as error:
                log.warning("the evidence of round %s is not in the log yet: %s", round_id, error)

    def issuer_keys(self, question: Question) -> tuple[IssuerKeys, int]:
        """Return the issuer keys of a question's tickets in this epoch, and how many people allow it."""
        purposes, epoch = purpose_set(question.purposes), self._registry.epoch()
        return self._registry.issuer(purposes, epoch).keys, self._registry.granted(purposes, epoch)

    def next_slot(self, issuer_keys: IssuerKeys) -> int:
        """Return the slot of the next round under these issuer keys; `play` takes it.

        Raises RoundError where all are used.
        """
        return self.store.next_slot(issuer_keys)

    def round_id(self, question: str) -> str:
        """Return a name that no round had before."""
        return f"{question}-{self.store.count(question) + 1}-{self.operator.public.hex()[:8]}"

    def planned(
        self, question: Question, manifest: Manifest, issuer_keys: IssuerKeys, documents: tuple[bytes, ...]
    ) -> Planned:
        """Return the round with its manifest signed."""
        signed = sign_manifest(manifest, self.operator)
        terms = Terms(manifest, digest_of(signed), issuer_keys, self._registry_key)
        return Planned(question, terms, signed, documents)

    def play(self, planned: Planned, ask: Ask, publish: Publish, sign: Sign) -> None:
        """Play one round, and keep its result and its release; the evidence names both.

        A round that the budget does not hold is refused before anything of it exists. The round's slot is
        taken before its manifest is logged. Raises PrivacyError when it cannot be finished, RoundError when
        its slot is taken, or its sum is not one that honest devices can come to.
        """
        started, manifest = time.monotonic(), planned.manifest
        ahead = (manifest.charge, *manifest.to_come)
        require_room([*self.store.charges(), *ahead[:-1]], ahead[-1], self._caps)
        log.info("round %s begins, at epsilon %g", manifest.round_id, manifest.epsilon)
        self.store.open_round(manifest.round_id, planned.terms.issuer)
        self._registry.log_manifest(planned.signed)
        tally = Tally()
        try:
            outcome = self._outcome(planned, ask, publish, tally, started)
            release = sign(outcome.pop("published"))
        except (PrivacyError, RoundError) as error:
            state = WITHHELD if isinstance(error, RoundError) else ABORTED
            self._finish(planned, tally, state, {"why": str(error)}, started)
            raise
        self._finish(planned, tally, RELEASED, outcome, started, release)

    def release(
        self,
        name: str,
        round_id: str,
        published: dict[str, Any],
        rests_on: tuple[bytes, ...] = (),
        items: tuple[str, ...] = (),
    ) -> SignedRelease:
        """Sign what is published, figures and arrays, as the next release called `name`; `play` keeps it."""
        release = Release(
            name,
            self.store.next_version(name),
            round_id,
            tuple(Figure(key, value) for key, value in published.items() if _is_figure(value)),
            tuple(Array.of(key, value) for key, value in published.items() if isinstance(value, np.ndarray)),
            tuple(hashlib.sha256(document).digest() for document in rests_on),
            items,
        )
        return SignedRelease(name, release.version, sign_release(release, self.operator))

    def _outcome(
        self, planned: Planned, ask: Ask, publish: Publish, tally: Tally, started: float
    ) -> dict[str, Any]:
        manifest = planned.manifest
        charge = partial(self._charge, planned, tally, started)
        invitation = Invitation(planned.signed, planned.documents)
        total = run_round(planned.terms, invitation, ask, self._registry, charge, tally)
        vector, sd = planned.encoding.decode(total.vector), manifest.noise(tally.survivors)
        try:
            planned.question.require_sane(vector, tally.survivors, sd)
            published = publish(vector, sd)
        except ModelError as error:
            raise RoundError(f"round {manifest.round_id} is withheld: {error}") from None
        figures = {name: value for name, value in published.items() if not isinstance(value, np.ndarray)}
        return {"published": published, "released": figures, "sum": _packed(planned, total.vector)}

    def _charge(self, planned: Planned, tally: Tally, started: float) -> None:
        """Charge the budget, and write down how the round ended should this process be killed."""
        charge = planned.manifest.charge
        charges = (*self.store.charges(), charge)
        self.store.charge(
            charge, self._caps, self._ending(planned, tally, BURNT, CUT_SHORT, started, charges)
        )

    def _finish(
        self,
        planned: Planned,
        tally: Tally,
        state: str,
        outcome: dict[str, Any],
        started: float,
        release: SignedRelease | None = None,
    ) -> None:
        """Keep the result and log the evidence; a run that is killed in between leaves that to the next."""
        round_id = planned.manifest.round_id
        ended = self._ending(planned, tally, state, outcome, started, self.store.charges(), release)
        self.store.close_round(round_id, state, ended, release)
        self._tell(ended.evidence)
        log.info("round %s: %s, %d of %d devices", round_id, state, tally.survivors, tally.cohort)

    def _ending(
        self,
        planned: Planned,
        tally: Tally,
        state: str,
        outcome: Mapping[str, Any],
        started: float,
        charges: Sequence[Charge],
        release: SignedRelease | None = None,
    ) -> Ending:
        seconds, shared = time.monotonic() - started, self.config.shared_operator
        named = hashlib.sha256(release.signed).digest() if release else NO_RELEASE
        return ending(
            planned.terms, tally, state, outcome, seconds, charges, self.operator, self._random,
            shared_operator=shared, release=named,
        )  # fmt: skip

    def _tell(self, evidence: Evidence) -> None:
        self.store.told(evidence.round_id, self._registry.log_evidence(evidence))


def _packed(planned: Planned, total: NDArray[np.uint32]) -> str:
    return pack(total, planned.manifest.bits).hex()


def _is_figure(value: Any) -> bool:
    return value is None or isinstance(value, int | float)
