"""Runs a round from its plan to its release: log, sum, charge, check, release, leave evidence.

A round is kept with its steps until it ends: a coordinator that was stopped goes on with it (`resume`).
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from covey_models import ModelError, Question
from covey_privacy.dp import Caps, require_room
from covey_privacy.errors import PrivacyError
from covey_privacy.evidence import ABORTED, BURNT, NO_RELEASE, RELEASED, WITHHELD, Evidence
from covey_privacy.manifest import Step, open_manifest, sign_manifest
from covey_privacy.release import Array, Figure, Release, sign_release
from covey_privacy.round_files import RoundFiles
from covey_privacy.secagg.field import Q, to_bytes
from covey_privacy.signatures import SigningKey
from covey_privacy.site_document import SiteDocument
from covey_privacy.tickets import Role, purpose_set
from covey_server.config import Config
from covey_server.errors import RegistryError, RoundError
from covey_server.node_messages import Ask, Nodes
from covey_server.organisations import Organisations
from covey_server.plan import Admission, Chain, RoundPolicy, manifest_for
from covey_server.registry_client import RegistryClient
from covey_server.round_registry import RoundRegistry
from covey_server.round_result import make_round_result
from covey_server.round_state import RoundResult, RunningRound
from covey_server.round_steps import CHARGED
from covey_server.secure_sum import SecureSum
from covey_server.store import SignedRelease, Store, StoredRound, Training

log = logging.getLogger("flwr.covey")
"""Under Flower's logger, so that `flwr run --stream` shows it."""

CUT_SHORT = {"why": "the coordinator was killed once the budget was charged; nothing is released"}
TOO_LATE = {"why": "the coordinator was stopped, and the round's windows closed before it ran again"}

Vector = NDArray[np.float64]

Fit = Callable[[int], tuple[Step, float]]
"""`fit(issued)`: a round's noise among so many phones that hold tickets, and the epsilon that it costs."""

Publish = Callable[[str, Vector, float], tuple[dict[str, Any], SignedRelease]]
"""`publish(round_id, total, sd)`: what is published of a noisy total, by name, and the release of it."""


class Clock(Protocol):
    """The time that the registry has too, in POSIX seconds: windows of rounds are planned by it."""

    def seconds(self) -> float:
        """Return the time."""

    def wait_until(self, at: int) -> None:
        """Return once the time is past `at`."""


@dataclass(frozen=True, slots=True)
class NodeTransport:
    """How nodes are asked, and which are connected."""

    ask: Ask
    nodes: Nodes


class RoundRunner:
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
        self.config, self.store, self.operator = config, store, operator
        self._site, self._registry, self._organisations = site, registry, organisations
        self._clock, self._transport, self._random = clock, transport, random
        self._caps = Caps(config.caps, sum(config.caps.values()), config.delta)

    @property
    def policy(self) -> RoundPolicy:
        """What the operator chose for all rounds."""
        seats = tuple(key for organisation in self._site.organisations for key in organisation.keys)
        return self.config.policy(seats)

    def start(self) -> None:
        """End the rounds that cannot go on, and log what evidence the last run may not have logged."""
        for stored in self.store.running():
            if self.store.steps(stored.round_id).get(CHARGED) is not None:
                log.warning("round %s was cut short once it was charged; it is burnt", stored.round_id)
                self.store.burn(stored.round_id)
                continue
            running = self._running(stored)
            windows = running.manifest.windows
            if windows is None or self._clock.seconds() > windows.open:
                running.started = None
                self._abort(running)
        for round_id, evidence in self.store.unlogged_evidence().items():
            try:
                self._log_evidence(evidence)
            except RegistryError as error:
                log.warning("the evidence of round %s is not in the log yet: %s", round_id, error)

    def _abort(self, running: RunningRound) -> None:
        """End a round that was stopped and whose windows have closed."""
        round_id = running.manifest.round_id
        try:
            self._registry.log_manifest(running.files.manifest)
        except RegistryError as error:
            log.warning("round %s was stopped: %s", round_id, error)
            if error.is_final:
                self.store.drop_round(round_id)  # It never was in the log, and leaves no evidence.
            return
        log.warning("round %s was stopped, and its windows have closed", round_id)
        self.store.close_round(round_id, ABORTED, self._result(running, ABORTED, TOO_LATE))

    def admission(self, question: Question) -> Admission:
        """Return whose tickets the next round of a question takes.

        Raises RoundError where all slots of the epoch are used.
        """
        purposes, epoch = purpose_set(question.purposes), self._registry.epoch()
        keys = self._registry.issuer(purposes, epoch).keys
        return Admission(keys, self.store.next_slot(keys), self._registry.people(purposes, epoch))

    def begin(
        self, question: Question, fit: Fit, documents: tuple[bytes, ...], training: Training | None = None
    ) -> RunningRound:
        """Plan a round, write down that it begins, which takes its slot, and return it.

        Args:
            documents: the signed public documents that the question builds on.
            training: the training whose next step the round is.

        Raises:
            BudgetError: the budget does not hold it; nothing of it exists then.
            ConfigError: no round can be planned for so many phones.
            RoundError: all slots of the epoch are used, or its slot was taken meanwhile.
        """
        admission, policy, nonce = self.admission(question), self.policy, self._random(32)
        step, costs = fit(admission.people.issued)
        chain = Chain(training.plan, training.step, training.previous) if training else None
        round_id = f"{question.id}-{self.store.count(question.id) + 1}-{self.operator.public.hex()[:8]}"
        windows = policy.durations.windows_from(int(self._clock.seconds()))
        manifest = manifest_for(
            question, step, costs, round_id, admission, documents, policy, windows, nonce, chain
        )
        ahead = (manifest.charge, *manifest.to_come)
        require_room([*self.store.charges(), *ahead[:-1]], ahead[-1], self._caps)
        files = RoundFiles(sign_manifest(manifest, self.operator), admission.issuer_keys, b"", documents)
        issuer = admission.issuer_keys.key_for(Role.CONTRIBUTE, manifest.slot)
        self.store.open_round(StoredRound(round_id, files, nonce), question.id, issuer, training)
        log.info("round %s begins, at epsilon %g", round_id, manifest.epsilon)
        return RunningRound(manifest, files, nonce)

    def resume(self, question: Question) -> RunningRound | None:
        """Return the round of a question that a stopped coordinator left, None where it left none."""
        for stored in self.store.running(question.id):
            log.info("round %s goes on", stored.round_id)
            return self._running(stored)
        return None

    def run(self, running: RunningRound, question: Question, publish: Publish) -> None:
        """Run a round to its end, and keep its result and its release; the evidence names both.

        Raises:
            PrivacyError: it cannot be finished; its evidence says so.
            RoundError: its sum is not one that honest devices can come to.
            CoordinatorError: registry or organisations do not do their part; the round can go on later.
        """
        self._registry.log_manifest(running.files.manifest)
        try:
            found, release = self._run_sum(running, question, publish)
        except (PrivacyError, RoundError) as error:
            state = WITHHELD if isinstance(error, RoundError) else ABORTED
            self._finish(running, state, {"why": str(error)})
            raise
        self._finish(running, RELEASED, found, release)

    def release(
        self,
        name: str,
        round_id: str,
        published: Mapping[str, Any],
        rests_on: tuple[bytes, ...] = (),
        items: tuple[str, ...] = (),
    ) -> SignedRelease:
        """Sign what is published, figures and arrays, as the next release called `name`; `run` keeps it."""
        release = Release(
            name,
            self.store.next_version(name),
            round_id,
            tuple(Figure(key, value) for key, value in published.items() if _is_figure(value)),
            tuple(
                Array.from_numpy(key, value)
                for key, value in published.items()
                if isinstance(value, np.ndarray)
            ),
            tuple(hashlib.sha256(document).digest() for document in rests_on),
            items,
        )
        return SignedRelease(name, release.version, sign_release(release, self.operator))

    def _run_sum(
        self, running: RunningRound, question: Question, publish: Publish
    ) -> tuple[dict[str, Any], SignedRelease]:
        """Run the round's secure sum; return what the result says of it, and what is released."""
        manifest = running.manifest
        info = manifest.info(running.digest, self._site.registry, running.files.issuer_keys)
        secure_sum = SecureSum(
            running=running,
            info=info,
            ask=self._transport.ask,
            nodes=self._transport.nodes,
            registry=RoundRegistry(self._registry, manifest.round_id, info.digest),
            organisations=self._organisations if info.terms.organisations else None,
            steps=self.store.steps(manifest.round_id),
            wait_until=self._clock.wait_until,
            charge=partial(self._charge, running),
        )
        total = secure_sum.run()
        encoding = manifest.encoding(question.length, running.digest)
        vector = encoding.decode(encoding.to_ring(total.vector))
        sd = manifest.noise(total.members)
        try:
            question.require_sane(vector, total.members, sd)
            published, release = publish(manifest.round_id, vector, sd)
        except ModelError as error:
            raise RoundError(f"round {manifest.round_id} is withheld: {error}") from None
        found = {
            "released": {
                name: value for name, value in published.items() if not isinstance(value, np.ndarray)
            },
            "sum": to_bytes(total.vector % Q).hex(),
            "error_variance": total.error_variance,
        }
        return found, release

    def _charge(self, running: RunningRound) -> None:
        """Charge the budget, and write down how the round ended should this process be killed."""
        self.store.charge(
            running.manifest.charge, self._caps, lambda: self._result(running, BURNT, CUT_SHORT)
        )

    def _finish(
        self,
        running: RunningRound,
        state: str,
        found: Mapping[str, Any],
        release: SignedRelease | None = None,
    ) -> None:
        """Keep the result and log the evidence; a run that is killed in between leaves that to the next."""
        round_id, total = running.manifest.round_id, running.progress.result
        result = self._result(running, state, found, release)
        self.store.close_round(round_id, state, result, release, running.digest)
        self._log_evidence(result.evidence)
        log.info("round %s: %s, %d contributions", round_id, state, total.members if total else 0)

    def _result(
        self,
        running: RunningRound,
        state: str,
        found: Mapping[str, Any],
        release: SignedRelease | None = None,
    ) -> RoundResult:
        return make_round_result(
            running,
            state,
            found,
            self.store.charges(),
            self.operator,
            self._random,
            shared_operator=self.config.shared_operator,
            release=hashlib.sha256(release.signed).digest() if release else NO_RELEASE,
        )

    def _log_evidence(self, evidence: Evidence) -> None:
        self.store.note_logged(evidence.round_id, self._registry.log_evidence(evidence))

    def _running(self, stored: StoredRound) -> RunningRound:
        manifest = open_manifest(stored.files.manifest, self.operator.public)
        return RunningRound(manifest, stored.files, stored.nonce)


def _is_figure(value: Any) -> bool:
    return value is None or isinstance(value, int | float)
