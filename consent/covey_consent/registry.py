"""One registry, put together from its settings and a clock."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from covey_consent.access.authentication import Authenticator
from covey_consent.access.dpop import Proofs
from covey_consent.access.identity_provider import IdentityProvider
from covey_consent.access.jwks import KeySet
from covey_consent.access.tokens import Tokens
from covey_consent.breaches.register import BreachRegister
from covey_consent.decisions.choices import Choices
from covey_consent.decisions.consent_event import Act
from covey_consent.decisions.events import Events, Recorded
from covey_consent.decisions.subjects import Subjects
from covey_consent.maintenance import Upkeep
from covey_consent.notices import InForce, files
from covey_consent.notices.drafts import NoticeFacts
from covey_consent.notices.publisher import NoticePublisher
from covey_consent.operations.clock_monitor import ClockMonitor, clock_metrics
from covey_consent.operations.metrics import Metrics
from covey_consent.operations.readiness import WriteCheck
from covey_consent.operations.supervision import Loop, LoopMetrics, Supervisor
from covey_consent.policy import controller
from covey_consent.policy.controller import Controller
from covey_consent.policy.transfers import Transfers
from covey_consent.receipts.issue import ReceiptIssuer
from covey_consent.recipients.delivery_worker import DeliveryWorker
from covey_consent.recipients.outbox import Outbox
from covey_consent.recipients.webhook import WebhookSigner
from covey_consent.rights.effects import Effects
from covey_consent.rights.erasure import Erasure, vacuum_after_erasures
from covey_consent.rights.export import Exporter
from covey_consent.rights.periods import Period
from covey_consent.rights.rectification import Rectification
from covey_consent.rights.requests import Rights
from covey_consent.rights.retention import Retention
from covey_consent.rounds.notary import RoundNotary
from covey_consent.settings import Settings
from covey_consent.storage import key_file
from covey_consent.storage.batcher import Pool
from covey_consent.storage.cursors import Cursors
from covey_consent.storage.idempotency import Answers
from covey_consent.storage.store import Store
from covey_consent.storage.vault import Sealer, Vault
from covey_consent.tickets.epoch_calendar import Calendar
from covey_consent.tickets.issuers import Issuers
from covey_consent.transparency import promises
from covey_consent.transparency.cosigners import Cosigners
from covey_consent.transparency.log import Log
from covey_privacy.signatures import SigningKey


@dataclass(frozen=True, slots=True)
class Registry:
    """What the HTTP routes act on."""

    operator: bytes | None
    key: SigningKey
    calendar: Calendar
    store: Store
    subjects: Subjects
    choices: Choices
    recorder: Pool[Sequence[Act], list[Recorded]]
    log: Log
    cosigners: Cosigners
    round_notary: RoundNotary
    promises: promises.Publisher
    notices: InForce
    publisher: NoticePublisher
    issuers: Issuers
    controller: Controller
    yearly_batches: int
    receipts: ReceiptIssuer
    upkeep: Upkeep
    settings: Settings
    outbox: Outbox
    delivery_worker: DeliveryWorker
    rights: Rights
    breaches: BreachRegister
    authenticator: Authenticator
    answers: Answers
    cursors: Cursors
    metrics: Metrics
    clock_monitor: ClockMonitor
    supervisor: Supervisor
    write_check: WriteCheck

    @property
    def tokens(self) -> Tokens:
        """The registry's own access tokens."""
        return self.authenticator.tokens

    @classmethod
    async def open(
        cls, settings: Settings, clock: Callable[[], float], monotonic: Callable[[], float] | None = None,
        *, durable: bool = True,
    ) -> Registry:  # fmt: skip
        """Open the key and the database (see `Store.open`), check the log, publish the notices in force.

        Raises DamageError when key, database and log do not belong together.
        """
        key = key_file.load_or_create(settings.key_file)
        store = Store.open(settings.database_url, durable=durable)
        try:
            return await cls._open(settings, clock, ClockMonitor(clock, monotonic), key, store)
        except BaseException:
            await store.close()
            raise

    @classmethod
    async def _open(
        cls, settings: Settings, clock: Callable[[], float], monitor: ClockMonitor, key: SigningKey,
        store: Store,
    ) -> Registry:  # fmt: skip
        await store.read(monitor.open)
        calendar = Calendar(clock, settings.epoch_seconds, settings.tolerance_seconds, monitor.require_steady)
        log = Log(store, settings.origin, key)
        log.open()
        facts, notices = NoticeFacts(controller.load(settings.controller), settings.caps), InForce(key)
        publisher = NoticePublisher(log, notices, facts, calendar)
        await publisher.open(files.load_files(settings.notices))
        issuers = Issuers(
            store, log, calendar, settings.slots, settings.purpose_sets, notices,
            Sealer(key_file.derive(key, "issuer keys")),
        )  # fmt: skip
        subjects = Subjects(Vault(key), calendar, open_to_all=settings.open_enrolment)
        outbox = Outbox(WebhookSigner(key), calendar, settings.recipient_tries)
        events = Events(settings.origin, subjects, calendar, Transfers(facts.controller, notices))
        metrics = Metrics(log)
        choices = Choices(store, events, follow=outbox.follow, count=metrics.decided)
        cosigners = Cosigners(
            log, settings.witnesses, settings.witness_seconds, settings.witness_every_seconds
        )
        publishing = promises.Publisher(log, calendar, secrets.SystemRandom())
        retention = Retention(store, outbox, settings, choices.forget, monitor.require)
        upkeep = Upkeep(store, choices, calendar, retention, monitor)
        delivery_worker = DeliveryWorker(store, outbox, settings)
        erasure = Erasure(key, settings, calendar, outbox, choices)
        rights = Rights(
            calendar, settings.rights_periods, Period.parse(settings.rights_extension),
            Effects(calendar, choices, Rectification(calendar, outbox, choices), erasure),
            Exporter(key, settings.origin, calendar, facts.controller, events, outbox.signer),
        )  # fmt: skip
        supervisor = Supervisor(
            [
                Loop("clock", partial(monitor.run, store)),
                Loop("deliveries", delivery_worker.run, needed=True),
                Loop("publishing", publishing.run, needed=True),
                Loop("upkeep", upkeep.run),
                Loop("purging", partial(vacuum_after_erasures, store)),
                *([Loop("cosignatures", cosigners.gather)] if settings.witnesses else []),
            ]
        )
        metrics.add(LoopMetrics(supervisor), *clock_metrics(monitor))
        authenticator = _authenticator(settings, key, calendar)
        await store.read(authenticator.revocations.load)
        return cls(
            operator=settings.operator_key,
            key=key,
            calendar=calendar,
            store=store,
            subjects=subjects,
            choices=choices,
            recorder=Pool(store.write, choices.record_each),
            log=log,
            cosigners=cosigners,
            round_notary=RoundNotary(store, log, cosigners, key, calendar),
            promises=publishing,
            notices=notices,
            publisher=publisher,
            issuers=issuers,
            controller=facts.controller,
            yearly_batches=settings.yearly_batches,
            receipts=ReceiptIssuer(store, log, key, events, calendar, facts.controller),
            upkeep=upkeep,
            settings=settings,
            authenticator=authenticator,
            answers=Answers(store, Sealer(key_file.derive(key, "kept answers")), lambda: monitor.reason),
            cursors=Cursors(key),
            metrics=metrics,
            outbox=outbox,
            delivery_worker=delivery_worker,
            rights=rights,
            breaches=BreachRegister(calendar, settings.breach_seconds),
            clock_monitor=monitor,
            supervisor=supervisor,
            write_check=WriteCheck(store, clock),
        )

    async def close(self) -> None:
        """Close the database, once what was handed over is committed."""
        await self.store.close()


def _authenticator(settings: Settings, key: SigningKey, calendar: Calendar) -> Authenticator:
    proofs = Proofs(settings.tolerance_seconds, calendar.now)
    tokens = Tokens(key, settings.origin, settings.token_seconds)
    return Authenticator(tokens, proofs, _provider(settings), settings.public_url)


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
