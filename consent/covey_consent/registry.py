"""One registry, put together from its settings and a clock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from covey_consent import controller, keys, notices
from covey_consent.access.tokens import Tokens
from covey_consent.acts import Act
from covey_consent.breaches.register import Register as Breaches
from covey_consent.choices import Choices
from covey_consent.controller import Controller
from covey_consent.cosigners import Cosigners
from covey_consent.epochs import Calendar
from covey_consent.events import Events
from covey_consent.issuers import Issuers
from covey_consent.log import Log
from covey_consent.pool import Pool
from covey_consent.receipts import issue
from covey_consent.receipts.issue import Receipts
from covey_consent.recipients.courier import Courier
from covey_consent.recipients.outbox import Outbox
from covey_consent.recipients.webhook import Signer
from covey_consent.records import Record
from covey_consent.rights.rights import Rights
from covey_consent.settings import Settings
from covey_consent.store import Store
from covey_consent.subjects import Subjects
from covey_consent.upkeep import Upkeep
from covey_consent.vault import Vault
from covey_privacy import wire
from covey_privacy.consent import NOTICE, Notice, Notices
from covey_privacy.signatures import SigningKey, sign


@dataclass(frozen=True, slots=True)
class Registry:
    """What the HTTP routes act on.

    `download` is the encoded `Notices` that everyone receives; by its digest phones know that they have it.
    """

    operator: bytes | None
    key: SigningKey
    calendar: Calendar
    store: Store
    subjects: Subjects
    choices: Choices
    recorder: Pool[Sequence[Act], list[Record]]
    log: Log
    cosigners: Cosigners
    notices: Mapping[str, Notice]
    download: bytes
    download_digest: bytes
    issuers: Issuers
    controller: Controller
    tokens: Tokens
    yearly_batches: int
    receipts: Receipts
    upkeep: Upkeep
    outbox: Outbox
    courier: Courier
    rights: Rights
    breaches: Breaches

    @classmethod
    async def open(cls, settings: Settings, clock: Callable[[], float], *, durable: bool = True) -> Registry:
        """Open the key and the database (see `Store.open`), check the log, publish the notices in force.

        Raises DamageError when key, database and log do not belong together.
        """
        key = keys.load_or_create(settings.key_file)
        store = Store.open(settings.database_url, durable=durable)
        try:
            return await cls._open(settings, clock, key, store)
        except BaseException:
            await store.close()
            raise

    @classmethod
    async def _open(
        cls, settings: Settings, clock: Callable[[], float], key: SigningKey, store: Store
    ) -> Registry:
        calendar = Calendar(clock, settings.epoch_seconds, settings.tolerance_seconds)
        log = Log(store, settings.origin, key)
        log.open()
        published = await log.write(notices.publish, log, notices.draft(settings.caps))
        current = {notice.purpose: notice for notice in published}
        download = wire.encode(Notices(tuple(sign(NOTICE, notice, key) for notice in published)))
        issuers = Issuers(store, log, calendar, settings.batch, current)
        subjects = Subjects(Vault(key), calendar, open_to_all=settings.open_enrolment)
        outbox = Outbox(Signer(key), calendar, settings.recipient_tries)
        choices = Choices(store, Events(settings.origin, subjects, calendar), follow=outbox.follow)
        digest = hashlib.sha256(download).digest()
        cosigners = Cosigners(
            log, settings.witnesses, settings.witness_seconds, settings.witness_every_seconds
        )
        facts = controller.load(settings.controller)
        return cls(
            operator=settings.operator_key,
            key=key,
            calendar=calendar,
            store=store,
            subjects=subjects,
            choices=choices,
            recorder=Pool(store, choices.record_each),
            log=log,
            cosigners=cosigners,
            notices=current,
            download=download,
            download_digest=digest,
            issuers=issuers,
            controller=facts,
            tokens=Tokens(key, settings.origin),
            yearly_batches=settings.yearly_batches,
            receipts=Receipts(store, log, key, facts, issue.none),
            upkeep=Upkeep(store, choices, calendar),
            outbox=outbox,
            courier=Courier.of(store, outbox, settings),
            rights=Rights.of(settings, key, calendar, store, choices, outbox, facts),
            breaches=Breaches(calendar, settings.breach_seconds),
        )

    async def close(self) -> None:
        """Close the database, once what was handed over is committed."""
        await self.store.close()
