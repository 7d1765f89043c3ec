"""The one exit: what a phone sends in a round, under which checks, what it keeps, and what it never sends."""

import dataclasses
import hashlib

import httpx
import numpy as np
import pytest

from covey_consent.storage.key_file import load_or_create
from covey_models import QUERIES
from covey_privacy import wire
from covey_privacy.errors import BudgetError, PeerError, PrivacyError, ServerError
from covey_privacy.floors import FloorProfile
from covey_privacy.manifest import Manifest, Plan, Windows, model_digest, sign_manifest
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import Issuer
from covey_privacy.round_files import RoundFiles
from covey_privacy.secagg.aggregator import Aggregator
from covey_privacy.secagg.collector import Collector
from covey_privacy.secagg.committee import check_committees
from covey_privacy.secagg.contributor import retraction_statement
from covey_privacy.secagg.decryptor import Decryptor
from covey_privacy.secagg.field import Q, centred
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.messages import CommitteeFile, Retraction
from covey_privacy.secagg.notary import MemoryRecords, Notary, RefusedMembersError
from covey_privacy.secagg.shape import standing_shape
from covey_privacy.secagg.terms import RoundTerms
from covey_privacy.secagg.volunteer import offer_seat
from covey_privacy.signatures import SigningKey, digest_of
from covey_sdk import Device, Trust, withdrawal_claims
from covey_sdk.errors import ConsentError, RegistryError, TicketError
from covey_sdk.profile import Profile
from covey_simulations.scenarios.in_process_round import WitnessedLog

PURPOSES = ("analytics", "personalize")
SMALL = FloorProfile("test", 3, {}, least_cell=1, least_pool=0)
"""Floors of a test: three phones make a round."""
ORGANISATIONS = [SigningKey(bytes([number]) * 32) for number in range(1, 5)]
BOOT = b"b" * 32
QUESTION = next(iter(QUERIES.values()))


class OneRound:
    """A round of a standing committee, whose other parties are played here."""

    def __init__(self, shop, registry, clock, **changes):
        epoch = int(clock.now.timestamp()) // 86_400
        answer = shop.http.get(f"/v1/issuers/{epoch}/{'+'.join(PURPOSES)}")
        self.keys = wire.decode(Issuer, answer.content).keys
        self.registry, self.now = registry, int(clock.now.timestamp())
        self.manifest = dataclasses.replace(self._manifest(epoch), **changes)
        self.signed = sign_manifest(self.manifest, shop.operator)
        self.info = self.manifest.info(digest_of(self.signed), registry.public, self.keys)
        offers = [offer_seat(self.info.digest, key.secret) for key in ORGANISATIONS]
        self.seats = [keys for keys, _ in offers]
        self.file = wire.encode(CommitteeFile(tuple(seat for _, seat in offers), None))
        self.files = RoundFiles(self.signed, self.keys, self.file)

    def _manifest(self, epoch):
        epsilon, sigma, scale = 0.5, 30.0, 16.0
        encoding_length = 1 << (QUESTION.length - 1).bit_length()
        terms = RoundTerms(
            encoding_length, 0, sigma * scale, 2, 3, 0.05, 0.0, 100,
            tuple(key.public for key in ORGANISATIONS), standing_shape(), (), bytes(32),
        )  # fmt: skip
        return Manifest(
            round_id="round-1", query=QUESTION.id, purpose=QUESTION.purpose, purposes=PURPOSES,
            epoch=epoch, profile="test", issuer=self.keys.digest, model=model_digest(QUESTION.digest()),
            length=encoding_length, norm=QUESTION.norm, scale=scale, sigma=sigma, epsilon=epsilon,
            delta=1e-6, bits=30, gamma=0.05, honest=2,
            least_issued=3, least_cell=1, terms=terms,
            windows=Windows(self.now, self.now + 3600, self.now + 7200, self.now + 10_800),
        )  # fmt: skip

    def log(self, shop):
        headers = {"content-type": "application/cbor"}
        shop.http.post("/v1/rounds", content=self.signed, headers=headers).raise_for_status()
        return self

    def add_up(self, messages):
        """Play everybody else; return the sum and its notary."""
        log = WitnessedLog(self.registry, SigningKey(b"w" * 32))
        committees = check_committees(self.file, self.info)
        decryptors = [Decryptor(self.info, committees, keys, log.view) for keys in self.seats]
        collector, aggregator = Collector(self.info, self.file, {}), Aggregator(self.info, self.file)
        for message in messages:
            collector.add(message)
        aggregator.collect(1, collector.collected())
        self.notary = Notary(self.info, self.registry, MemoryRecords())
        signed = self.notary.include(self.file, aggregator.close())
        aggregator.included(signed, log.append(signed, self.now))
        for decryptor in decryptors:
            request = aggregator.check_request(decryptor._committee.kind, decryptor.number)
            aggregator.complain(decryptor.check(request, self.now))
        signed = self.notary.final(aggregator.exclude())
        aggregator.final(signed, log.append(signed, self.now))
        aggregator.add_sum(1, collector.sum_without(aggregator.left_out(1)))
        for decryptor in decryptors:
            aggregator.opened(decryptor.open(aggregator.open_request(), self.now))
        return aggregator.conclude()


@pytest.fixture
def caps():
    """Of the notices, by purpose."""
    return {"analytics": 3.0}


@pytest.fixture
def shop(running, caps):
    with running(epsilon=caps, epsilon_total=9.0, slots=2) as shop:
        yield shop


@pytest.fixture
def registry(shop, tmp_path):
    return load_or_create(tmp_path / "registry.key")


@pytest.fixture
def phone(opened, shop, tmp_path):
    """Open a device by number whose owner allows the round's purposes, with this epoch's tickets."""

    def phone(number=0, *, allow=True, **options) -> Device:
        trust = Trust(**{
            **{name: getattr(shop.trust, name) for name in ("operator", "registry", "origin", "policy")},
            "organisations": frozenset(key.public for key in ORGANISATIONS),
        })  # fmt: skip
        device = opened(tmp_path / f"phone-{number}.db", floors=SMALL, **{"trust": trust, **options})
        if allow and not device.choices:
            device.enrol()
            for purpose in PURPOSES:
                device.grant(purpose)
            epoch = int(device.clock.now().timestamp()) // 86_400
            device.ticket_fetcher().fetch(epoch, PURPOSES)
        return device

    return phone


def client_of(device, boot_id=BOOT, **options):
    return device.round_client(boot_id=boot_id, **options)


@pytest.fixture
def made(shop, registry, clock):
    """Make a round and log its manifest."""

    def made(**changes):
        return OneRound(shop, registry, clock, **changes).log(shop)

    return made


def vector_of(device):
    """Return what the ledger says was sealed, as signed integers."""
    (entry,) = [each for each in device.ledger() if each.kind == "contribution"]
    return centred(np.frombuffer(entry.vector, "<u4").astype(np.int64))


def test_one_message_a_phone_adds_up_to_what_the_ledgers_say(made, phone):
    phones, one = [phone(number) for number in range(3)], made()
    messages = [client_of(each).contribute(one.files) for each in phones]
    assert len({len(message) for message in messages}) == 1
    result = one.add_up(messages)
    assert result.members == 3
    assert (result.vector == sum(vector_of(each) for each in phones)).all()
    for each in phones:
        assert len(each.odometer.charges(each.clock.now())) == 1


def test_the_ledger_says_it_in_plain_words(made, phone):
    device = phone()
    client_of(device).contribute(made().files)
    (entry,) = [each for each in device.ledger() if each.kind == "contribution"]
    assert "Your phone sent one sealed message" in entry.said_en
    assert "at least 2 other phones" in entry.said_en
    assert "一条密封的消息" in entry.said_zh


def test_the_same_files_again_give_the_same_bytes_until_they_arrived(made, phone):
    device, one = phone(), made()
    client = client_of(device)
    message = client.contribute(one.files)
    assert client.contribute(one.files) == message
    assert client_of(device).contribute(one.files) == message
    assert len(device.odometer.charges(device.clock.now())) == 1
    client.acknowledge("round-1")
    with pytest.raises(ConsentError, match="took part in round 'round-1'"):
        client.contribute(one.files)
    assert len([each for each in device.ledger() if each.kind == "contribution"]) == 1


def test_another_file_for_the_same_round_gets_nothing(made, phone):
    device, one = phone(), made()
    client = client_of(device)
    client.contribute(one.files)
    other = offer_seat(one.info.digest, ORGANISATIONS[0].secret)[1]
    seats = wire.decode(CommitteeFile, one.file).seats
    file = wire.encode(CommitteeFile((other, *seats[1:]), None))
    with pytest.raises(ServerError) as refused:
        client.contribute(RoundFiles(one.signed, one.keys, file))
    assert refused.value.rule == Rule.STEP_ONCE


def test_a_phone_that_started_again_sends_nothing_more(made, phone):
    """A restored backup is such a phone, and so is a copy of the store."""
    device, one = phone(), made()
    client_of(device).contribute(one.files)
    with pytest.raises(ConsentError, match="has started again"):
        client_of(device, b"c" * 32).contribute(one.files)
    with pytest.raises(ConsentError):
        client_of(device).contribute(one.files)  # The message of the first start is gone too.


def test_a_store_restored_from_before_sends_a_second_message_that_counts_for_nothing(
    made, phone, tmp_path, opened
):
    """The phone cannot know; the node and the registry refuse a round key's second message."""
    device, one = phone(), made()
    others = [client_of(phone(number)).contribute(one.files) for number in (1, 2)]
    device.close()
    backup = {path: path.read_bytes() for path in tmp_path.glob("phone-0.db*")}
    device = phone()
    first = client_of(device).contribute(one.files)
    device.close()
    for path in tmp_path.glob("phone-0.db*"):
        path.unlink()
    for path, data in backup.items():
        path.write_bytes(data)
    restored = phone()
    second = client_of(restored, b"c" * 32).contribute(one.files)
    assert second != first
    collector = Collector(one.info, one.file, {})
    collector.add(first)
    with pytest.raises(PrivacyError) as refused:
        collector.add(second)
    assert refused.value.rule == Rule.ONE_CONTRIBUTION
    assert one.add_up([first, *others]).members == 3
    again = Collector(one.info, one.file, {})
    for message in (second, *others):
        again.add(message)
    part, aggregator = again.collected(), Aggregator(one.info, one.file)
    aggregator.collect(1, part)
    later = Notary(one.info, one.registry, one.notary._records)
    with pytest.raises((RefusedMembersError, ServerError)):
        later.include(one.file, aggregator.close())


def test_without_consent_nothing_is_said(made, phone):
    device, one = phone(), made()
    device.withdraw("analytics")
    with pytest.raises(ConsentError):
        client_of(device).contribute(one.files)
    assert not device.odometer.charges(device.clock.now())


def test_what_was_withdrawn_after_preparing_is_not_sent(made, phone):
    device, one = phone(), made()
    client = client_of(device)
    client.prepare(one.files)
    device.withdraw("analytics")
    device.grant("analytics")
    assert client._records.prepared("round-1") is None
    device.withdraw("analytics")
    with pytest.raises(ConsentError):
        client.contribute(one.files)


def test_a_registry_out_of_reach_stops_the_message(made, phone, shop):
    """Decisions are synced before each message: another phone of the person may have said no."""
    device, one = phone(), made()
    client = client_of(device)
    client.prepare(one.files)
    shop.reachable = False
    with pytest.raises(RegistryError):
        client.contribute(one.files)
    assert not device.odometer.charges(device.clock.now())
    shop.reachable = True
    client.contribute(one.files)


def test_a_withdrawal_after_sending_is_a_retraction(made, phone, shop, registry):
    device, one = phone(), made()
    client = client_of(device)
    client.contribute(one.files)
    client.acknowledge("round-1")
    shop.seen.clear()
    device.withdraw("analytics")
    (sent,) = [each for each in shop.seen if each.url.path.endswith("/retractions")]
    retraction = wire.decode(Retraction, sent.content)
    assert retraction.manifest == one.info.digest
    key = retraction.ticket.round_key
    assert verify(key, retraction_statement(one.info.digest, key), retraction.signature)


def withdrawn_offline(made, phone, shop):
    """Return a phone that contributed, and whose owner withdrew while no registry could be reached."""
    device, one = phone(), made()
    client_of(device).contribute(one.files)
    shop.reachable = False
    device.withdraw("analytics")
    shop.reachable = True
    shop.seen.clear()
    return device


def test_a_retraction_that_could_not_be_sent_is_sent_later(made, phone, shop):
    device = withdrawn_offline(made, phone, shop)
    shop.answer = lambda request, response: httpx.Response(204)
    device.retract()
    assert [each.url.path for each in shop.seen] == ["/v1/rounds/round-1/retractions"]
    shop.seen.clear()
    device.retract()
    assert not shop.seen


def test_a_sync_retracts_what_was_withdrawn_elsewhere_or_offline(made, phone, shop):
    device = withdrawn_offline(made, phone, shop)
    device.sync()
    assert [each for each in shop.seen if each.url.path == "/v1/rounds/round-1/retractions"]


def test_after_the_window_nothing_is_retracted_any_more(made, phone, shop, clock):
    device, one = phone(), made()
    client_of(device).contribute(one.files)
    clock.forward(hours=2)
    device.sync()
    shop.seen.clear()
    device.withdraw("analytics")
    assert not [each for each in shop.seen if each.url.path.endswith("/retractions")]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"least_cell": 0}, Rule.MANIFEST_FLOOR),
        ({"least_issued": 2}, Rule.MANIFEST_FLOOR),
        ({"profile": "production"}, Rule.MANIFEST_FLOOR),
        ({"epsilon": 0.01}, Rule.MANIFEST_NOISE),
        ({"sigma": 1.0}, Rule.MANIFEST_TERMS),
        ({"length": 2**20}, Rule.MANIFEST_TERMS),
        ({"terms": None}, Rule.MANIFEST_TERMS),
        ({"model": bytes(32)}, Rule.MANIFEST_MODEL),
        ({"norm": 2.0}, Rule.MANIFEST_QUESTION),
        ({"purposes": ("analytics",)}, Rule.MANIFEST_QUESTION),
        ({"step": 1}, Rule.MANIFEST_PLAN),
        ({"previous": b"\1" * 32}, Rule.MANIFEST_PLAN),
    ],
)
def test_a_weaker_or_another_manifest_is_refused(shop, registry, clock, phone, changes, rule):
    device, good = phone(), OneRound(shop, registry, clock)
    manifest = dataclasses.replace(good.manifest, **changes)
    files = RoundFiles(sign_manifest(manifest, shop.operator), good.keys, good.file)
    with pytest.raises(ServerError) as refused:
        client_of(device).contribute(files)
    assert refused.value.rule == rule


def test_noise_below_what_the_manifest_claims_is_refused(shop, registry, clock, phone):
    device, good = phone(), OneRound(shop, registry, clock)
    scale = good.manifest.scale
    manifest = dataclasses.replace(good.manifest, sigma=1.0, **with_terms(good, steps=scale))
    with pytest.raises(ServerError) as refused:
        client_of(device).contribute(RoundFiles(sign_manifest(manifest, shop.operator), good.keys, good.file))
    assert refused.value.rule == Rule.MANIFEST_NOISE


def test_a_manifest_that_the_operator_did_not_sign_is_refused(made, phone):
    device, one = phone(), made()
    files = RoundFiles(sign_manifest(one.manifest, SigningKey(b"x" * 32)), one.keys, one.file)
    with pytest.raises(PeerError) as refused:
        client_of(device).prepare(files)
    assert refused.value.rule == Rule.DOCUMENT_SIGNATURE


def with_terms(one, **changes):
    return {"terms": dataclasses.replace(one.manifest.terms, **changes)}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"honest": 3}, Rule.MANIFEST_TERMS),
        ({"gamma": 0.06}, Rule.MANIFEST_TERMS),
        ({"issued": 2}, Rule.MANIFEST_FLOOR),
        ({"steps": 1.0}, Rule.MANIFEST_TERMS),
        ({"length": 4}, Rule.MANIFEST_TERMS),
    ],
)
def test_weaker_terms_are_refused(shop, registry, clock, phone, changes, rule):
    device, good = phone(), OneRound(shop, registry, clock)
    manifest = dataclasses.replace(good.manifest, **with_terms(good, **changes))
    files = RoundFiles(sign_manifest(manifest, shop.operator), good.keys, good.file)
    with pytest.raises(ServerError) as refused:
        client_of(device).contribute(files)
    assert refused.value.rule == rule


def test_fewer_corrupt_phones_than_the_floor_assumes_are_refused(shop, registry, clock, phone):
    device, good = phone(), OneRound(shop, registry, clock)
    manifest = dataclasses.replace(good.manifest, gamma=0.04, **with_terms(good, gamma=0.04))
    with pytest.raises(ServerError, match=r"gamma is 0\.04; this phone asks for 0\.05"):
        client_of(device).contribute(RoundFiles(sign_manifest(manifest, shop.operator), good.keys, good.file))


def test_a_smaller_set_than_the_floor_is_refused(shop, registry, clock, phone):
    device, good = phone(), OneRound(shop, registry, clock)
    manifest = dataclasses.replace(good.manifest, honest=1, **with_terms(good, honest=1))
    files = RoundFiles(sign_manifest(manifest, shop.operator), good.keys, good.file)
    with pytest.raises(ServerError, match="least set is 2; this phone asks for 3"):
        client_of(device).contribute(files)


def test_an_organisation_that_the_app_does_not_pin_is_refused(made, phone, shop):
    one = made()
    device = phone(0, trust=shop.trust)
    with pytest.raises(ServerError) as refused:
        client_of(device).prepare(one.files)
    assert refused.value.rule == Rule.ORGANISATION_SIGNATURE


def test_the_plan_of_a_training_stays_the_same(made, phone, shop, registry, clock):
    device, plain = phone(), OneRound(shop, registry, clock)
    step = plain.manifest.as_step
    plan = Plan(2.0, (step, step))
    first = made(plan=plan)
    client_of(device).contribute(first.files)
    later = {"round_id": "round-2", "slot": 2, "step": 1, "previous": digest_of(first.signed)}
    other = OneRound(shop, registry, clock, plan=Plan(1.5, (step, step)), **later)
    with pytest.raises(ServerError, match="plan has changed") as refused:
        client_of(device).contribute(other.files)
    assert refused.value.rule == Rule.MANIFEST_PLAN
    client_of(device).contribute(made(plan=plan, **later).files)


def test_a_seat_that_another_key_signed_gets_no_share_and_costs_nothing(made, phone):
    device, one = phone(), made()
    seats = wire.decode(CommitteeFile, one.file).seats
    forged = offer_seat(one.info.digest, b"x" * 32)[1]
    files = RoundFiles(one.signed, one.keys, wire.encode(CommitteeFile((*seats[:3], forged), None)))
    with pytest.raises(ServerError) as refused:
        client_of(device).contribute(files)
    assert refused.value.rule == Rule.ORGANISATION_SIGNATURE
    assert not device.odometer.charges(device.clock.now())
    client_of(device).contribute(one.files)  # The ticket is still there.


def test_a_manifest_that_is_not_logged_is_refused(shop, registry, clock, phone):
    device, one = phone(), OneRound(shop, registry, clock)
    with pytest.raises(RegistryError) as refused:
        client_of(device).contribute(one.files)
    assert refused.value.rule == Rule.LOG_INCLUSION


def test_after_the_window_no_message_is_made(made, phone, clock):
    device, one = phone(), made()
    client = client_of(device)
    client.prepare(one.files)
    clock.forward(hours=2)
    with pytest.raises(ServerError) as refused:
        client.contribute(one.files)
    assert refused.value.rule == Rule.STEP_WINDOW


@pytest.mark.parametrize("caps", [{"analytics": 0.01}])
def test_a_round_over_the_cap_is_refused(made, phone, caps):
    device, one = phone(), made()
    with pytest.raises(BudgetError):
        client_of(device).contribute(one.files)
    assert not device.odometer.charges(device.clock.now())
    assert not [each for each in device.ledger() if each.kind == "contribution"]


def test_one_slot_is_used_once(made, phone, shop, registry, clock):
    device, one = phone(), made()
    client_of(device).contribute(one.files)
    again = OneRound(shop, registry, clock, round_id="round-2").log(shop)
    with pytest.raises(TicketError):
        client_of(device).contribute(again.files)
    other = OneRound(shop, registry, clock, round_id="round-3", slot=2).log(shop)
    client_of(device).contribute(other.files)


def test_the_time_to_send_is_drawn_over_the_window_and_kept(made, phone):
    device, one = phone(), made()
    drawn = []
    client = client_of(device, below=lambda n: drawn.append(n) or n - 1)
    at = client.prepare(one.files)
    assert client.prepare(one.files) == at
    left = 1000 * 3600
    assert drawn == [left - left // 8 + 1]
    assert int(at.timestamp()) == one.now + 3600 - 450


def test_sending_reads_nothing_that_the_phone_holds(made, phone, monkeypatch):
    """What takes longer the more the phone holds happens in `prepare`."""
    device, one = phone(), made()
    client = client_of(device)
    client.prepare(one.files)

    def read(*_):
        raise AssertionError("events or facts are read while the message is made")

    monkeypatch.setattr(Profile, "facts", read)
    monkeypatch.setattr(type(device.store), "events", read)
    client.contribute(one.files)


def test_blocking_a_tag_discards_what_was_prepared(made, phone):
    device, one = phone(), made()
    client = client_of(device)
    client.prepare(one.files)
    device.block("habit.weekly")
    assert client._records.prepared("round-1") is None


def test_the_vector_is_sealed_with_fresh_noise_and_pad(made, phone):
    device, one = phone(), made()
    client = client_of(device)
    client.prepare(one.files)
    plain = np.frombuffer(client._records.prepared("round-1").vector, "<i4")
    message = client.contribute(one.files)
    assert (vector_of(device) != plain).any()
    sealed = Collector(one.info, one.file, {}).sizes.layout.unpack(message)[1::2][4]
    assert hashlib.sha256(sealed).digest() != hashlib.sha256((plain % Q).astype("<u4").tobytes()).digest()


def test_a_withdrawal_keeps_claims_of_every_ticket_that_could_have_contributed(made, phone, shop):
    device, one = phone(), made()
    client_of(device).contribute(one.files)
    joined = client_of(device)._records.joined("round-1")
    joined.claim.check()
    device.withdraw("analytics")
    (withdrawal,) = withdrawal_claims.withdrawals(device.store)
    keys = {each.round_key for each in withdrawal.claims}
    assert len(keys) == 2  # The one that was sent, and that of slot 2.
    assert joined.leaf.round_key in keys
    for each in withdrawal.claims:
        each.check()
    assert "analytics" in withdrawal.purposes
    assert withdrawal.note == device.log.note != ""
    assert not device.store.names("tickets/")


def test_a_contribution_whose_window_has_closed_is_not_claimed_absent(made, phone, clock):
    device, one = phone(), made()
    client_of(device).contribute(one.files)
    used = client_of(device)._records.joined("round-1").leaf.round_key
    clock.forward(hours=2)
    device.sync()
    device.withdraw("analytics")
    (withdrawal,) = withdrawal_claims.withdrawals(device.store)
    assert used not in {each.round_key for each in withdrawal.claims}


def test_after_the_window_nothing_is_left_that_could_be_sent(made, phone, clock):
    device, one = phone(), made()
    client = client_of(device)
    client.prepare(one.files)
    clock.forward(hours=2)
    device.sync()
    assert client._records.prepared("round-1") is None
    assert device.store.get_round("round-1", "prepared") is None


def test_a_message_that_was_never_acknowledged_goes_with_its_window(made, phone, clock):
    device, one = phone(), made()
    client = client_of(device)
    client.contribute(one.files)
    clock.forward(minutes=59)
    device.sync()
    assert client._records.contributed("round-1") is not None
    clock.forward(hours=1)
    device.sync()
    assert device.store.get_round("round-1", "contributed") is None
    assert client._records.joined("round-1") is not None
    with pytest.raises(ConsentError):
        client.contribute(one.files)
