"""One registry, put together from its settings and a clock."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from covey_consent.access.authentication import Authenticator
from covey_consent.access.dpop import Proofs
from covey_consent.access.idempotency import Answers
from covey_consent.access.identity_provider import IdentityProvider
from covey_consent.access.jwks import KeySet
from covey_consent.access.tokens import Tokens
from covey_consent.breaches.register import BreachRegister
from covey_consent.decisions.standing_choices import StandingChoices
from covey_consent.decisions.subjects import Subjects
from covey_consent.decisions.unit_of_work import EventStore
from covey_consent.maintenance import Maintenance
from covey_consent.notices import InForce, files
from covey_consent.notices.drafts import NoticeFacts
from covey_consent.notices.publisher import NoticePublisher
from covey_consent.operations.clock_monitor import ClockMonitor, clock_metrics
from covey_consent.operations.metrics import Metrics
from covey_consent.operations.readiness import WriteCheck
from covey_consent.operations.supervision import Loop, LoopMetrics, Supervisor
from covey_consent.policy import controller
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.policy.periods import Period
from covey_consent.policy.transfers import Transfers
from covey_consent.receipts.issue import ReceiptIssuer
from covey_consent.recipients.delivery_worker import DeliveryWorker
from covey_consent.recipients.outbox import Outbox
from covey_consent.recipients.webhook import WebhookSigner
from covey_consent.rights.effects import Effects
from covey_consent.rights.erasure import Erasure, vacuum_after_erasures
from covey_consent.rights.export import Exporter
from covey_consent.rights.rectification import Rectification
from covey_consent.rights.requests import Rights
from covey_consent.rights.retention import Retention
from covey_consent.rounds.notary import RoundNotary
from covey_consent.settings import Settings
from covey_consent.storage import key_file
from covey_consent.storage.batcher import Batcher
from covey_consent.storage.cursors import Cursors
from covey_consent.storage.store import Store
from covey_consent.storage.vault import Sealer, Vault
from covey_consent.tickets.issuers import Issuers
from covey_consent.transparency import promises
from covey_consent.transparency.cosigners import Cosigners
from covey_consent.transparency.log import Log
from covey_privacy.signatures import SigningKey


class Registry:
    """The parts of one registry, on which the HTTP routes act; `open` makes one that is ready."""

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float],
        monotonic: Callable[[], float] | None,
        key: SigningKey,
        store: Store,
    ) -> None:
        self.settings, self.key, self.store = settings, key, store
        self.clock_monitor = monitor = ClockMonitor(clock, monotonic)
        self.calendar = calendar = Calendar(
            clock, settings.epoch_seconds, settings.tolerance_seconds, monitor.require_steady
        )
        self.log = Log(store, settings.origin, key)
        self.controller = controller.load(settings.controller)
        self.notices = InForce(key)
        facts = NoticeFacts(self.controller, settings.caps)
        self.publisher = NoticePublisher(self.log, self.notices, facts, calendar)
        self.metrics = Metrics(self.log)

        vault = Vault(key)
        self.subjects = Subjects(vault, calendar, open_to_all=settings.open_enrolment)
        self.outbox = Outbox(WebhookSigner(key), calendar, settings.recipient_tries)
        events = EventStore(settings.origin, vault, calendar, Transfers(self.controller, self.notices))
        self.choices = StandingChoices(store, events, follow=self.outbox.follow, count=self.metrics.decided)
        self.recorder = Batcher(store.write, self.choices.record_each)
        erasure = Erasure(key, settings, calendar, self.outbox, self.choices)
        rectification = Rectification(calendar, self.outbox, self.choices)
        self.rights = Rights(
            calendar,
            settings.rights_periods,
            Period.parse(settings.rights_extension),
            Effects(calendar, self.choices, rectification, erasure),
            Exporter(key, settings.origin, calendar, self.controller, events, self.outbox.signer),
        )
        self.breaches = BreachRegister(calendar, settings.breach_seconds)
        self.receipts = ReceiptIssuer(store, self.log, key, events, calendar, self.controller)
        self.delivery_worker = DeliveryWorker(store, self.outbox, settings)

        self.issuers = Issuers(
            store, self.log, calendar, settings.slots, settings.purpose_sets, self.notices,
            Sealer(key_file.derive(key, "issuer keys")),
        )  # fmt: skip
        self.cosigners = Cosigners(
            self.log, settings.witnesses, settings.witness_seconds, settings.witness_every_seconds
        )
        self.round_notary = RoundNotary(store, self.log, self.cosigners, key, calendar)
        self.promises = promises.Publisher(self.log, calendar, secrets.SystemRandom())

        tokens = Tokens(key, settings.origin, settings.token_seconds)
        proofs = Proofs(settings.tolerance_seconds, calendar.now)
        self.authenticator = Authenticator(tokens, proofs, _provider(settings), settings.public_url)
        self.answers = Answers(store, Sealer(key_file.derive(key, "kept answers")), lambda: monitor.reason)
        self.cursors = Cursors(key)
        self.write_check = WriteCheck(store, clock)

        retention = Retention(store, self.outbox, settings, self.choices.forget, monitor.require)
        self.upkeep = Maintenance(store, self.choices, calendar, retention, monitor)
        self.supervisor = Supervisor(
            [
                Loop("clock", partial(monitor.run, store)),
                Loop("deliveries", self.delivery_worker.run, needed=True),
                Loop("publishing", self.promises.run, needed=True),
                Loop("upkeep", self.upkeep.run),
                Loop("purging", partial(vacuum_after_erasures, store)),
                *([Loop("cosignatures", self.cosigners.gather)] if settings.witnesses else []),
            ]
        )
        self.metrics.add(LoopMetrics(self.supervisor), *clock_metrics(monitor))

    @property
    def operator(self) -> bytes | None:
        """The public key that signs manifests."""
        return self.settings.operator_key

    @property
    def tokens(self) -> Tokens:
        """The registry's own access tokens."""
        return self.authenticator.tokens

    @classmethod
    async def open(
        cls,
        settings: Settings,
        clock: Callable[[], float],
        monotonic: Callable[[], float] | None = None,
        *,
        durable: bool = True,
    ) -> Registry:
        """Open the key and the database (see `Store.open`), check the log, publish the notices in force.

        Raises DamageError when key, database and log do not belong together.
        """
        key = key_file.load_or_create(settings.key_file)
        store = Store.open(settings.database_url, durable=durable)
        async with AsyncExitStack() as on_failure:
            on_failure.push_async_callback(store.close)
            registry = cls(settings, clock, monotonic, key, store)
            await store.read(registry.clock_monitor.open)
            registry.log.open()
            await registry.publisher.open(files.load_files(settings.notices))
            await store.read(registry.authenticator.revocations.load)
            on_failure.pop_all()
        return registry

    async def close(self) -> None:
        """Close the database, once what was handed over is committed."""
        await self.store.close()


def _provider(settings: Settings) -> IdentityProvider | None:
    if not (settings.idp_issuer and settings.idp_audience and settings.idp_jwks):
        return None
    return IdentityProvider(
        settings.idp_issuer,
        settings.idp_audience,
        KeySet(settings.idp_jwks, settings.idp_jwks_seconds),
        settings.tolerance_seconds,
        settings.idp_role_claim,
        settings.idp_roles,
        settings.idp_subject_claim,
        settings.token_seconds,
    )
