"""The device: one person's events, tags and choices on one phone. What apps embed.

    with Device.open("covey.db", key, trust=trust, registry=registry) as device:
        device.enrol()
        device.grant("personalize")
        device.record(events.parse(order))
        device.tags()

A purpose that is not granted does nothing: `record` keeps no event, `tags` is empty.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from covey_privacy.floors import PRODUCTION, FloorProfile
from covey_privacy.registry_messages import Choice, Notice
from covey_privacy.secagg.keys import verify
from covey_privacy.signatures import SigningKey, Verify
from covey_sdk import clock as clocks
from covey_sdk import (
    event_checks,
    ledger,
    recommender,
    round_records,
    unmapped_categories,
    withdrawal_claims,
)
from covey_sdk.boot_id import current_boot_id
from covey_sdk.certificates import Certifier
from covey_sdk.clock import Clock, milliseconds
from covey_sdk.consent_gate import ConsentGate
from covey_sdk.consents import Consents
from covey_sdk.decisions import Decisions
from covey_sdk.decryptor_duty import DecryptorDuty
from covey_sdk.errors import EventError, RegistryForkError, StoreError
from covey_sdk.events import Event
from covey_sdk.export import export
from covey_sdk.facts import Facts
from covey_sdk.journal import Journal
from covey_sdk.ledger import LedgerEntry
from covey_sdk.log_state import LogState
from covey_sdk.odometer import Odometer
from covey_sdk.profile import Profile
from covey_sdk.purposes import PERSONALIZE
from covey_sdk.recommender import NEW, Explanation, Recommendation
from covey_sdk.registry_client import RegistryClient
from covey_sdk.registry_sync import RegistrySync
from covey_sdk.releases import NEEDED_BY, Releases
from covey_sdk.retention import Retention
from covey_sdk.round_admission import RoundAdmission
from covey_sdk.round_client import RoundClient
from covey_sdk.store import Store
from covey_sdk.tag_choices import require_single
from covey_sdk.tag_rules.registry import TAGS, kind_of
from covey_sdk.tags import Tag
from covey_sdk.ticket_fetcher import TicketFetcher
from covey_sdk.ticket_store import TicketStore
from covey_sdk.trust import Trust
from covey_sdk.withdrawal_claims import Withdrawal

_KEY = "device"


class Device:
    """An open device: made by `Device.open`, closed by `close` or as a context manager.

    Its parts are public, for whoever builds on it: `store`, `key`, `clock`, `log`, `consents`, `tickets`,
    `journal`, `releases`, `profile`, `registry_sync`, `odometer`, `registry`, `trust` and `floors`.
    """

    def __init__(
        self,
        store: Store,
        trust: Trust,
        registry: RegistryClient | None,
        floors: FloorProfile,
        clock: clocks.ReadClock,
        currency: str | None,
    ) -> None:
        self.store = store
        self.trust = trust
        self.floors = floors
        self.key = SigningKey(_secret(store))
        self.clock = Clock(store, clock)
        self.log = LogState(store, trust.registry)
        self.consents = Consents(store, self.key, self.log)
        self.tickets = TicketStore(store, self.key)
        self.journal = Journal(store, currency)
        self.releases = Releases(store, trust.operator)
        self.profile = Profile(store, trust.operator, self.journal, self.releases)
        self._retention = Retention(
            store, self.log, self.consents, self.tickets, self.journal, self.releases, self.profile
        )
        self.registry_sync = RegistrySync(store, self.clock, self.consents, self._retention, registry)
        self._decisions = Decisions(store, self.clock, self.consents, self._retention, self.registry_sync)
        # Read once now, so that a damaged store shows when it is opened.
        _ = self.choices, self.log.note, self.profile.rules, self.profile.choices.read()

    @classmethod
    def open(
        cls,
        path: str | Path,
        key: bytes,
        *,
        trust: Trust,
        registry: RegistryClient | None = None,
        floors: FloorProfile = PRODUCTION,
        clock: clocks.ReadClock = clocks.system,
        currency: str | None = None,
    ) -> Device:
        """Open the store at `path`, or make it. `key` is 32 bytes that the platform's keystore holds.

        `clock` gives the time in the device's IANA zone, of whose days events are (`covey_sdk.clock`);
        `currency` is that of all orders, else the first order's. Raises StoreError when path or key is none,
        or when the file has another key or is damaged, and EventError for another argument that makes no
        sense.
        """
        _check_opening(trust, registry, floors, clock, currency)
        with ExitStack() as stack:
            store = Store(path, key)
            stack.callback(store.close)
            device = cls(store, trust, registry, floors, clock, currency)
            stack.pop_all()
            return device

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def farewell(self) -> bytes:
        """Withdraw everything, here and now, and return the signed withdrawals for the registry.

        An app that may be ended at any time keeps them before it calls `erase`, and sends them with
        `RegistryClient.send_farewell` until that succeeds. They are empty where there is nothing to withdraw.
        """
        return self._decisions.withdraw_all()

    def erase(self) -> bytes:
        """Withdraw everything, and delete the file, and with it this device's key.

        Return nothing where the registry has the withdrawals; where it cannot be reached, return them as
        `farewell` does, for the app to send later: nobody else can sign them any more.
        """
        farewell = b""
        # A store that cannot be used any more is deleted all the same.
        with suppress(StoreError):
            farewell = self.farewell()
        if farewell and self.registry_sync.send_farewell(farewell):
            farewell = b""
        self.store.erase()
        return farewell

    @property
    def registry(self) -> RegistryClient:
        """The registry. Raises RegistryError when the device was opened without one."""
        return self.registry_sync.registry

    @property
    def notices(self) -> Mapping[str, Notice]:
        """The notices to show before a decision, by purpose; asked for when none has been seen yet."""
        self.registry_sync.fetch_notices()
        return self.consents.notices

    @property
    def choices(self) -> Mapping[str, Choice]:
        """The choices that stand, by purpose."""
        with self.store.snapshot():
            return self.consents.choices

    @property
    def odometer(self) -> Odometer:
        """What the person's rounds have cost, under the caps of the notices."""
        return Odometer(self.store, self.consents.notices)

    def gate(self) -> ConsentGate:
        """Return what the person allows now."""
        return self.consents.gate(self.clock.now())

    def enrolment(self) -> bytes:
        """Return the signed enrolment, for whoever enrols many devices in one request."""
        return self.consents.enrolment(self.clock.now())

    def decision(self, purpose: str, state: str, language: str = "en", method: str = "toggle") -> bytes:
        """Decide, and return the signed decision, for whoever sends those of many devices in one request.

        `state` is "granted", "refused" or "withdrawn". A grant counts after the next `sync`; the others
        count at once, delete every event that no other granted purpose needs, and are sent until the
        registry has them.
        """
        return self._decisions.decide(purpose, state, language, method)

    def enrol(self) -> None:
        """Make this device known to the registry. Doing so again is no error."""
        self.registry.enrol(self.consents.batch(self.enrolment()))

    def grant(self, purpose: str, language: str = "en", method: str = "toggle") -> None:
        """Allow a purpose, on the notice in `notices`. It counts once the registry has confirmed it.

        Raises RegistryError where the registry cannot be reached: the grant is kept, and sent by the next
        `sync`. Where the registry refuses it, the grant has ended, and the ledger says so.
        """
        self._decisions.grant(purpose, language, method)

    def refuse(self, purpose: str, language: str = "en", method: str = "toggle") -> None:
        """Decline a purpose: as `withdraw`, for what was never granted."""
        self._decisions.refuse(purpose, language, method)

    def withdraw(self, purpose: str, language: str = "en", method: str = "toggle") -> None:
        """Withdraw a purpose. It counts at once, whether or not the registry can be reached now."""
        self._decisions.withdraw(purpose, language, method)

    def sync(self) -> None:
        """Tell the registry what it has not heard, retractions too, and take notices and choices from it.

        Raises RegistryError when it cannot be reached or believed; nothing is taken then, and after seven
        days without success all but `core` is off. Raises RegistryForkError when its log forked or was rolled
        back; `evidence` then has what it signed.
        """
        self.registry_sync.sync()

    def retract(self) -> None:
        """Take back the messages of rounds whose purpose was withdrawn, where no set was signed yet.

        `withdraw` and `refuse` do so at once, `sync` for what could not be sent then and for what somebody
        else withdrew in the person's name.
        """
        self.registry_sync.retract()

    def record(self, event: Event) -> bool:
        """Keep an event; return False when no allowed purpose needs it, or another source told of it before.

        Raises EventError when it came before, lies in the future or is in another currency.
        """
        return self.record_many([event]) == 1

    def record_many(self, events: Iterable[Event]) -> int:
        """Keep events, all or none when one is wrong; return how many are kept. See `record`."""
        with self.store.transaction():
            now = self.clock.now()
            allows = cache(self.consents.gate(now).allows)
            kept = self.journal.record_all(events, allows, self.profile.rules, now)
            self.clock.keep(now)
        return kept

    def tags(self) -> tuple[Tag, ...]:
        """Return the tags that hold now, of the purposes that are allowed."""
        with self.store.snapshot():
            return self.profile.tags(self.gate())

    def block(self, tag_id: str) -> None:
        """Delete a tag for good: it is not computed, stands in no fact, and feeds no other tag.

        `tag_id` is the id of a tag, or of a kind of which all tags are blocked, such as "habit.weekly". The
        block outlasts withdrawals and new rules, until `unblock`. Raises EventError for an id of no tag.
        """
        with self.store.transaction():
            # A wrong clock must not hinder anyone from saying no.
            self.profile.choices.block(tag_id, milliseconds(self.clock.unchecked()))
            round_records.forget_prepared(self.store)
        self.store.scrub()

    def unblock(self, tag_id: str) -> None:
        """Let a tag that was blocked be computed again.

        Raises EventError for an id of no tag, or for a tag of a kind that is blocked as a whole.
        """
        with self.store.transaction():
            now = self.clock.now()
            self.profile.choices.unblock(tag_id, milliseconds(now))
            round_records.forget_prepared(self.store)
            self.clock.keep(now)

    def correct(self, tag_id: str, value: str | None) -> None:
        """Show a tag with the person's own value for as long as the rules find the tag; None takes it back.

        The value is shown on this phone alone and counts in no query. It is deleted when the purpose of the
        tag is withdrawn. Raises EventError for an id of no single tag, for a blocked tag, or for a value that
        is no text of 1 to 128 characters; ConsentError where the purpose of the tag is not allowed.
        """
        with self.store.transaction():
            now = self.clock.now()
            if value is not None:
                self.consents.gate(now).require(TAGS[kind_of(require_single(tag_id))[0]])
            self.profile.choices.correct(tag_id, value, milliseconds(now))
            self.clock.keep(now)
        self.store.scrub()

    def facts(self) -> Facts:
        """Return what a query may count and a model learn from. See `covey_sdk.facts`."""
        with self.store.snapshot():
            return self.profile.facts(self.gate())

    def unmapped(self) -> Mapping[str, int]:
        """Return the category ids that the shop has yet to map, and how often each was met on this phone.

        Until then they count as sensitive: lines and interactions of theirs are dropped. For whoever develops
        the app; nothing of it leaves the phone. Empty where personalisation is not allowed.
        """
        with self.store.snapshot():
            if not self.gate().allows(PERSONALIZE):
                return {}
            return unmapped_categories.list_unmapped(self.store, self.profile.rules)

    def recommend(
        self, candidates: Sequence[str], k: int = 10, ranking: str = NEW, *, personalised: bool = True
    ) -> tuple[Recommendation, ...]:
        """Return up to k of the candidates, best first: what is "new" to the owner, or what to buy "again".

        `candidates` are the shop's items in its public order, the same for everyone. Where personalisation is
        not allowed or not wanted, or no model was released, the answer is their first k, and nothing of the
        owner's is read. Raises EventError for an argument that makes no sense.
        """
        with self.store.snapshot():
            gate = self.gate() if personalised else None
            model = self.releases.model() if gate and gate.allows(PERSONALIZE) else None
            bought = self.profile.bought(gate) if gate and model else {}
        if model is None:
            return recommender.public_order(candidates, k, ranking)
        return recommender.recommend(model, bought, candidates, k, ranking)

    def explain(self, item: str) -> Explanation:
        """Return why an item ranks where it does for the owner, also one that they would never be shown.

        It is worked out when asked for and kept nowhere. Raises ConsentError where personalisation is not
        allowed: no item is then ranked for anyone. Raises EventError for what cannot be an item's name.
        """
        event_checks.text(item, "item")
        with self.store.snapshot():
            gate = self.gate()
            gate.require(PERSONALIZE)
            model, bought = self.releases.model(), self.profile.bought(gate)
        return recommender.explain(model, bought, item)

    def adopt_rules(self, signed: bytes) -> None:
        """Use the operator's rule bundle from now on.

        Raises RegistryError when it is not signed by the operator or not newer than the one in use, and
        EventError when it is no bytes.
        """
        event_checks.data(signed, "signed")
        with self.store.transaction():
            now = self.clock.now()
            self.profile.adopt(signed)
            ledger.write(self.store, ledger.adoption(milliseconds(now), self.profile.rules.version))
            self._retention.purge(now)
            self.clock.keep(now)
        self.store.scrub()

    def adopt(self, name: str, signed: bytes) -> None:
        """Keep what the shop publishes for everyone: the listing ("catalogue") or a release, by its name.

        Raises ConsentError where no allowed purpose needs it, RegistryError when it is not signed by the
        operator or older than the one in use, EventError for an argument that makes no sense.
        """
        event_checks.text(name, "name")
        event_checks.data(signed, "signed")
        with self.store.transaction():
            if name in NEEDED_BY:
                self.gate().require(NEEDED_BY[name])
            self.releases.keep(name, signed)

    def ledger(self) -> tuple[LedgerEntry, ...]:
        """Return the record of what this phone did, oldest first."""
        with self.store.snapshot():
            return ledger.entries(self.store)

    def withdrawals(self) -> tuple[Withdrawal, ...]:
        """Return the withdrawals since which absence can be certified, oldest first.

        One by which no unused ticket and no open contribution ended is not among them.
        """
        with self.store.snapshot():
            kept = withdrawal_claims.withdrawals(self.store)
        return tuple(Withdrawal(each.at, each.purposes, len(each.claims)) for each in kept)

    def certificate(self, round_id: str | None = None, *, since: int | None = None) -> bytes:
        """Return a certificate of this phone's own part, made from public evidence; anyone can verify it.

        It names nobody; a copy proves the same for whoever holds it (`covey_privacy.certificate`).

        The requests carry nothing of the device. They tell the registry that some phone asks for this round,
        or for all sets since about this time, beside what the network shows of it. Absence takes the log and
        the leaves of every set since: 128 bytes for each contribution of anyone.

        Args:
            round_id: certify that this phone's contribution is in the final set of the round.
            since: certify that no set logged since a withdrawal holds a contribution under any round key
                that this phone could have used then: the `at` of one of `withdrawals`.

        Raises:
            EventError: not exactly one of the two is given, or one that makes no sense.
            CertificateError: the phone was not in the round, its set is not final yet, no claims were kept of
                the withdrawal, or the app pins no witness.
            RegistryError: the registry cannot be reached, or what it shows does not hold; `rule` says why.
                `Rule.WITHDRAWN_KEY` says that a set since does hold such a contribution.
        """
        if (round_id is None) == (since is None):
            raise EventError("a certificate is of a round or since a withdrawal: give one of the two")
        now = self.clock.now()
        certifier = Certifier(self.store, self.trust, self.registry_sync, self.clock, self.log, self.consents)
        try:
            if round_id is not None:
                event_checks.text(round_id, "round_id")
                return certifier.certify_contribution(round_id)
            if type(since) is not int:
                raise event_checks.wrong("since", "the UTC milliseconds of a withdrawal", since)
            return certifier.certify_absence_since(since)
        except RegistryForkError as error:
            self.log.accuse(error.evidence, now)
            raise

    def ticket_fetcher(self) -> TicketFetcher:
        """Return what fetches this phone's tickets."""
        return TicketFetcher(self.store, self.clock, self.consents, self.tickets, self.registry_sync)

    def round_client(
        self,
        *,
        verify: Verify = verify,
        boot_id: bytes | None = None,
        below: Callable[[int], int] = secrets.randbelow,
    ) -> RoundClient:
        """Return this phone's part in rounds: the one way in which anything about a person leaves it.

        `verify` checks signatures; `boot_id` and `below` are as in `RoundClient`.
        """
        return RoundClient(
            store=self.store,
            log=self.log,
            admission=self._admission(verify),
            tickets=self.tickets,
            odometer=lambda: self.odometer,
            releases=self.releases,
            profile=self.profile,
            floors=self.floors,
            boot_id=boot_id or current_boot_id(),
            below=below,
        )

    def decryptor_duty(self, *, verify: Verify = verify, boot_id: bytes | None = None) -> DecryptorDuty:
        """Return this phone's part as a decryptor; the arguments are as in `round_client`."""
        return DecryptorDuty(
            store=self.store,
            admission=self._admission(verify),
            tickets=self.tickets,
            boot_id=boot_id or current_boot_id(),
        )

    def evidence(self) -> tuple[bytes, ...]:
        """Return what convicts the registry's log, or what it has yet to explain; anyone can judge it."""
        return self.log.evidence

    def export(self) -> dict[str, Any]:
        """Return everything that is held about the person, as plain JSON values."""
        with self.store.snapshot():
            return export(
                device=self.key.public,
                choices=tuple(self.choices.values()),
                decisions=tuple(self.consents.decisions.values()),
                events=self.journal.events(),
                early_refunds=self.journal.early_refunds(),
                tags=self.tags(),
                tag_choices=self.profile.choices.read(),
                facts=self.facts(),
                ledger=self.ledger(),
                evidence=self.evidence(),
                charges=self.odometer.charges(self.clock.now()),
                spent_elsewhere=self.odometer.elsewhere(self.clock.now()),
                rule_version=self.profile.rules.version,
                unmapped=self.unmapped(),
            )

    def _admission(self, verify: Verify) -> RoundAdmission:
        return RoundAdmission(self.trust, self.clock, self.consents, self.registry_sync, verify)


def _check_opening(trust: Any, registry: Any, floors: Any, clock: Any, currency: Any) -> None:
    """Raise EventError for an argument of `Device.open` that makes no sense, before anything is opened."""
    if not isinstance(trust, Trust):
        raise event_checks.wrong("trust", "a Trust", trust)
    trust.require_sound()
    if registry is not None and not isinstance(registry, RegistryClient):
        raise event_checks.wrong("registry", "a RegistryClient or None", registry)
    if not isinstance(floors, FloorProfile):
        raise event_checks.wrong("floors", "a FloorProfile", floors)
    if not callable(clock):
        raise event_checks.wrong("clock", "a function that returns the time", clock)
    if currency is not None:
        event_checks.currency(currency, "currency")


def _secret(store: Store) -> bytes:
    """Return the device key's secret, made when the store is new."""
    with store.transaction():
        secret = store.get(_KEY)
        if secret is None:
            secret = os.urandom(32)
            store.put(_KEY, secret)
        return secret
