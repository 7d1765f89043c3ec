"""Running a planned round: log, run, charge, hold against bounds, release, leave evidence.

A round is kept with its steps until it ends: a coordinator that was stopped goes on with it (`resume`).
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covey_models import ModelError, Question
from covey_privacy.dp import Caps, Encoding, require_room
from covey_privacy.errors import PrivacyError
from covey_privacy.evidence import ABORTED, BURNT, NO_RELEASE, RELEASED, WITHHELD, Evidence
from covey_privacy.manifest import Manifest, open_manifest, sign_manifest
from covey_privacy.release import Array, Figure, Release, sign_release
from covey_privacy.round_files import RoundFiles
from covey_privacy.secagg.field import Q, to_bytes
from covey_privacy.secagg.terms import RoundInfo
from covey_privacy.signatures import SigningKey, digest_of
from covey_privacy.site_document import SiteDocument
from covey_privacy.tickets import Role, purpose_set
from covey_server.clock import Clock
from covey_server.config import Config
from covey_server.errors import RegistryError, RoundError
from covey_server.node_messages import Ask, Nodes
from covey_server.organisations import Organisations
from covey_server.plan import Admission, RoundPolicy
from covey_server.registry_client import RegistryClient
from covey_server.round_registry import RoundRegistry
from covey_server.round_result import Ending, ending
from covey_server.round_runner import CHARGED, Outcome, RoundRunner
from covey_server.store import SignedRelease, Store, StoredRound, Training

log = logging.getLogger("flwr.covey")
"""Under Flower's logger, so that `flwr run --stream` shows it."""

CUT_SHORT = {"why": "the coordinator was killed once the budget was charged; nothing is released"}
TOO_LATE = {"why": "the coordinator was stopped, and the round's windows closed before it ran again"}

Vector = NDArray[np.float64]
Publish = Callable[[Vector, float], dict[str, Any]]
"""`publish(total, sd)`: what may be published of a noisy total, by name."""

Sign = Callable[[str, dict[str, Any]], SignedRelease]
"""`sign(round_id, published)`: the release of what is published, under its name."""


@dataclass(frozen=True, slots=True)
class NodeTransport:
    """How nodes are asked, and which are connected."""

    ask: Ask
    nodes: Nodes


@dataclass
class RunningRound:
    """A round that runs: what it asks, its files, and what came of it so far."""

    question: Question
    manifest: Manifest
    files: RoundFiles
    nonce: bytes
    outcome: Outcome = field(default_factory=Outcome)
    started: float = field(default_factory=time.monotonic)

    @property
    def digest(self) -> bytes:
        """The digest of the signed manifest."""
        return digest_of(self.files.manifest)

    @property
    def encoding(self) -> Encoding:
        """How answers are written."""
        return self.manifest.encoding(self.question.length, self.digest)


class Conductor:
    """Runs rounds for one operator, under its budget."""

    def __init__(
        self,
        config: Config,
        site: SiteDocument,
        registry: RegistryClient,
        organisations: Organisations | None,
        store: Store,
        operator: SigningKey,
        clock: Clock,
        transport: NodeTransport,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.config, self.store, self.operator, self.clock = config, store, operator, clock
        self._site, self._registry, self._organisations = site, registry, organisations
        self._transport, self._random = transport, random
        self._caps = Caps(config.caps, sum(config.caps.values()), config.delta)

    @property
    def policy(self) -> RoundPolicy:
        """What the operator chose for all rounds."""
        seats = tuple(key for organisation in self._site.organisations for key in organisation.keys)
        return self.config.policy(seats)

    def start(self) -> None:
        """End the rounds that cannot go on, and log what evidence the last run may not have logged."""
        for running in self.store.running():
            if self.store.steps(running.round_id).get(CHARGED) is not None:
                log.warning("round %s was cut short once it was charged; it is burnt", running.round_id)
                self.store.burn(running.round_id)
                continue
            manifest = self._opened(running.files)
            if manifest.windows is None or self.clock.seconds() > manifest.windows.open:
                self._abort(manifest, running.files)
        for round_id, evidence in self.store.untold().items():
            try:
                self._tell(evidence)
            except RegistryError as error:
                log.warning("the evidence of round %s is not in the log yet: %s", round_id, error)

    def _abort(self, manifest: Manifest, files: RoundFiles) -> None:
        """End a round that was stopped and whose windows have closed."""
        try:
            self._registry.log_manifest(files.manifest)
        except RegistryError as error:
            log.warning("round %s was stopped: %s", manifest.round_id, error)
            if error.is_final:
                self.store.drop_round(manifest.round_id)  # It never was in the log, and leaves no evidence.
            return
        log.warning("round %s was stopped, and its windows have closed", manifest.round_id)
        ended = self._ending(manifest, files, Outcome(), ABORTED, TOO_LATE, 0.0)
        self.store.close_round(manifest.round_id, ABORTED, ended)

    def admission(self, question: Question) -> Admission:
        """Return whose tickets the next round of a question takes.

        Raises RoundError where all slots of the epoch are used.
        """
        purposes, epoch = purpose_set(question.purposes), self._registry.epoch()
        keys = self._registry.issuer(purposes, epoch).keys
        return Admission(keys, self.store.next_slot(keys), self._registry.people(purposes, epoch))

    def round_id(self, question: str) -> str:
        """Return a name that no round had before."""
        return f"{question}-{self.store.count(question) + 1}-{self.operator.public.hex()[:8]}"

    def begin(
        self,
        question: Question,
        manifest: Manifest,
        admission: Admission,
        documents: tuple[bytes, ...],
        nonce: bytes,
        training: Training | None = None,
    ) -> RunningRound:
        """Write down that a round begins, which takes its slot, and return it.

        Raises:
            BudgetError: the budget does not hold it; nothing of it exists then.
            RoundError: its slot is taken.
        """
        ahead = (manifest.charge, *manifest.to_come)
        require_room([*self.store.charges(), *ahead[:-1]], ahead[-1], self._caps)
        files = RoundFiles(sign_manifest(manifest, self.operator), admission.issuer_keys, b"", documents)
        issuer = admission.issuer_keys.of(Role.CONTRIBUTE, manifest.slot)
        stored = StoredRound(manifest.round_id, files, nonce)
        self.store.open_round(stored, question.id, issuer, training)
        log.info("round %s begins, at epsilon %g", manifest.round_id, manifest.epsilon)
        return RunningRound(question, manifest, files, nonce)

    def resume(self, question: Question) -> RunningRound | None:
        """Return the round of a question that a stopped coordinator left, None where it left none."""
        for running in self.store.running(question.id):
            log.info("round %s goes on", running.round_id)
            return RunningRound(question, self._opened(running.files), running.files, running.nonce)
        return None

    def run(self, running: RunningRound, publish: Publish, sign: Sign) -> None:
        """Run a round to its end, and keep its result and its release; the evidence names both.

        Raises:
            PrivacyError: it cannot be finished; its evidence says so.
            RoundError: its sum is not one that honest devices can come to.
            CoordinatorError: registry or organisations do not do their part; the round can go on later.
        """
        self._registry.log_manifest(running.files.manifest)
        try:
            found = self._outcome(running, publish)
            release = sign(running.manifest.round_id, found.pop("published"))
        except (PrivacyError, RoundError) as error:
            state = WITHHELD if isinstance(error, RoundError) else ABORTED
            self._finish(running, state, {"why": str(error)})
            raise
        self._finish(running, RELEASED, found, release)

    def release(
        self,
        name: str,
        round_id: str,
        published: dict[str, Any],
        rests_on: tuple[bytes, ...] = (),
        items: tuple[str, ...] = (),
    ) -> SignedRelease:
        """Sign what is published, figures and arrays, as the next release called `name`; `run` keeps it."""
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

    def _outcome(self, running: RunningRound, publish: Publish) -> dict[str, Any]:
        manifest, files = running.manifest, running.files
        info: RoundInfo = manifest.info(running.digest, self._site.registry, files.issuer_keys)
        runner = RoundRunner(
            files=files,
            info=info,
            nonce=running.nonce,
            ask=self._transport.ask,
            nodes=self._transport.nodes,
            registry=RoundRegistry(self._registry, manifest.round_id, info.digest),
            organisations=self._organisations if info.terms.organisations else None,
            steps=self.store.steps(manifest.round_id),
            wait_until=self.clock.wait_until,
            charge=partial(self._charge, running),
            outcome=running.outcome,
        )
        result = runner.run().result
        assert result is not None  # noqa: S101  # a runner that returns has it
        vector = running.encoding.decode(running.encoding.to_ring(result.vector))
        sd = manifest.noise(result.members)
        try:
            running.question.require_sane(vector, result.members, sd)
            published = publish(vector, sd)
        except ModelError as error:
            raise RoundError(f"round {manifest.round_id} is withheld: {error}") from None
        figures = {name: value for name, value in published.items() if not isinstance(value, np.ndarray)}
        return {
            "published": published,
            "released": figures,
            "sum": to_bytes(result.vector % Q).hex(),
            "error_variance": result.error_variance,
        }

    def _charge(self, running: RunningRound) -> None:
        """Charge the budget, and write down how the round ended should this process be killed."""
        charge = running.manifest.charge
        self.store.charge(charge, self._caps, lambda: self._ending_of(running, BURNT, CUT_SHORT))

    def _finish(
        self,
        running: RunningRound,
        state: str,
        found: Mapping[str, Any],
        release: SignedRelease | None = None,
    ) -> None:
        """Keep the result and log the evidence; a run that is killed in between leaves that to the next."""
        round_id, outcome = running.manifest.round_id, running.outcome
        ended = self._ending_of(running, state, found, release)
        self.store.close_round(round_id, state, ended, release, running.digest)
        self._tell(ended.evidence)
        members = outcome.result.members if outcome.result else 0
        log.info("round %s: %s, %d contributions", round_id, state, members)

    def _ending_of(
        self,
        running: RunningRound,
        state: str,
        found: Mapping[str, Any],
        release: SignedRelease | None = None,
    ) -> Ending:
        seconds = time.monotonic() - running.started
        return self._ending(running.manifest, running.files, running.outcome, state, found, seconds, release)

    def _ending(
        self,
        manifest: Manifest,
        files: RoundFiles,
        outcome: Outcome,
        state: str,
        found: Mapping[str, Any],
        seconds: float,
        release: SignedRelease | None = None,
    ) -> Ending:
        named = hashlib.sha256(release.signed).digest() if release else NO_RELEASE
        return ending(
            manifest, digest_of(files.manifest), outcome, state, found, seconds, self.store.charges(),
            self.operator, self._random, shared_operator=self.config.shared_operator, release=named,
        )  # fmt: skip

    def _tell(self, evidence: Evidence) -> None:
        self.store.told(evidence.round_id, self._registry.log_evidence(evidence))

    def _opened(self, files: RoundFiles) -> Manifest:
        return open_manifest(files.manifest, self.operator.public)


def _is_figure(value: Any) -> bool:
    return value is None or isinstance(value, int | float)
