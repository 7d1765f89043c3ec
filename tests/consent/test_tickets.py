import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from covey_consent.access.roles import Role
from covey_consent.errors import DeniedError
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.settings import Settings
from covey_consent.storage.models import IssuerSecret
from covey_consent.tickets import tickets as booking
from covey_privacy import blind_rsa, tickets, wire
from covey_privacy.errors import PeerError
from covey_privacy.manifest import sign_manifest
from covey_privacy.merkle import leaf_hash, verify_inclusion
from covey_privacy.registry_messages import (
    LEAF_EPOCH_END,
    LEAF_ISSUER,
    TICKETS,
    BlindSignatures,
    EpochEnd,
    Inclusion,
    TicketRequest,
)
from covey_privacy.signatures import SigningKey, open_signed

DAY = 86400


@pytest.fixture
def phone(shop):
    phone = shop.phone()
    shop.grant(phone, "analytics", "personalize")
    return phone


@pytest.fixture
def issuer(shop):
    return shop.issuer("analytics", "personalize")


def test_the_epoch_is_the_clocks(shop):
    begins = shop.clock.epoch * DAY
    known = {"epoch": shop.clock.epoch, "begins_at": begins, "fetch_until": begins + DAY // 8}
    known |= {"ends_at": begins + DAY, "fetching": False}
    assert shop.http.get("/v1/epoch").json() == known
    shop.clock.now = begins + DAY // 8 - 1
    assert shop.http.get("/v1/epoch").json() == known | {"fetching": True}
    shop.clock.now += 1
    assert shop.http.get("/v1/epoch").json() == known


def test_an_issuer_key_is_made_once_and_logged(shop, issuer):
    assert shop.issuer("analytics", "personalize") == issuer
    head = shop.checkpoint()
    leaf = leaf_hash(LEAF_ISSUER + wire.encode(issuer.keys))
    inclusion = wire.decode(Inclusion, shop.http.get(f"/v1/log/inclusion/{leaf.hex()}").content)
    assert inclusion.index == issuer.index
    verify_inclusion(leaf, inclusion.index, head.size, inclusion.proof, head.root)


def test_each_set_epoch_role_and_slot_has_its_own_key(own_keys, shop, issuer):
    other = shop.issuer("analytics")
    shop.clock.now += DAY
    later = shop.issuer("analytics", "personalize")
    assert len({each.key for made in (issuer, other, later) for each in made.keys}) == 3 * 2 * 2


def test_all_keys_of_a_set_and_epoch_are_one_leaf(shop):
    size = shop.checkpoint().size
    issuer = shop.issuer("analytics")
    assert shop.checkpoint().size == size + 1
    assert shop.entries()[issuer.index] == LEAF_ISSUER + wire.encode(issuer.keys)


def test_an_issuer_key_outlives_a_restart(opened):
    with opened() as shop:
        issuer = shop.issuer("analytics")
    with opened() as shop:
        assert shop.issuer("analytics") == issuer


@pytest.mark.parametrize(
    ("purposes", "status"),
    [
        ("resale", 404),
        ("analytics+partner", 404),
        ("biometric", 422),
        ("personalize+analytics", 422),
        ("analytics+analytics", 422),
        ("+", 422),
    ],
)
def test_there_is_no_key_for_a_set_that_nobody_can_grant(shop, problem, purposes, status):
    size = shop.checkpoint().size
    problem(shop.http.get(f"/v1/issuers/{shop.clock.epoch}/{purposes}"), status)
    assert shop.checkpoint().size == size


@pytest.mark.parametrize("offset", [-1, 1])
def test_there_is_no_key_for_another_epoch(shop, problem, offset):
    problem(shop.http.get(f"/v1/issuers/{shop.clock.epoch + offset}/analytics"), 409)


def test_a_granted_set_brings_one_batch_of_good_tickets(shop, phone, issuer):
    keys = shop.tickets(phone, issuer)
    assert len({key.ticket.round_key for key in keys}) == issuer.keys.batch == 4
    others = shop.issuer("analytics").keys
    for key, its_own, other in zip(keys, issuer.keys, others, strict=True):
        key.ticket.check(its_own)
        with pytest.raises(PeerError):
            key.ticket.check(other)


def test_the_same_request_is_answered_again_and_another_is_not(shop, phone, issuer, problem):
    pending = tickets.request(issuer.keys)
    first = shop.post("/v1/tickets", phone.request(issuer, pending))
    shop.clock.now += 1
    again = shop.post("/v1/tickets", phone.request(issuer, pending))
    assert first.content == again.content
    other = phone.request(issuer, tickets.request(issuer.keys))
    assert "batch" in problem(shop.post("/v1/tickets", other), 409)


def test_every_set_and_epoch_has_a_batch_of_its_own(shop, phone, issuer):
    shop.tickets(phone, issuer)
    shop.tickets(phone, shop.issuer("analytics"))
    shop.clock.now += DAY
    shop.tickets(phone, shop.issuer("analytics", "personalize"))


@pytest.mark.parametrize("missing", ["analytics", "personalize"])
def test_one_missing_purpose_means_no_ticket(shop, issuer, problem, missing):
    phone = shop.phone()
    shop.grant(phone, *{"analytics", "personalize"} - {missing})
    refused = shop.post("/v1/tickets", phone.request(issuer, tickets.request(issuer.keys)))
    assert missing in problem(refused, 403)


def test_a_withdrawal_means_no_ticket_from_then_on(shop, phone, issuer, problem):
    pending = tickets.request(issuer.keys)
    assert shop.post("/v1/tickets", phone.request(issuer, pending)).status_code == 200
    shop.withdraw(phone, "analytics")
    problem(shop.post("/v1/tickets", phone.request(issuer, pending)), 403)
    shop.clock.now += DAY
    later = shop.issuer("analytics", "personalize")
    problem(shop.post("/v1/tickets", phone.request(later, tickets.request(later.keys))), 403)


def test_granting_again_starts_no_second_batch(shop, phone, issuer, problem):
    shop.tickets(phone, issuer)
    shop.withdraw(phone, "analytics")
    shop.clock.now += 1
    shop.grant(phone, "analytics")
    problem(shop.post("/v1/tickets", phone.request(issuer, tickets.request(issuer.keys))), 409)


def test_a_contract_needs_no_consent(shop):
    assert shop.tickets(shop.phone(), shop.issuer("core"))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_a_batch_has_exactly_its_size(shop, phone, issuer, problem, count):
    asked = phone.request(issuer, tickets.request([*issuer.keys, *issuer.keys])[:count])
    assert "a batch is 4 tickets, one for each role and slot" in problem(shop.post("/v1/tickets", asked), 422)
    assert shop.issued("analytics", "personalize").json()["batches"] == 0


def test_requests_and_answers_have_one_size(shop, issuer):
    """Whatever a phone will use of its batch, its request and the answer look like everyone's."""
    requests, answers = set(), set()
    for _ in range(3):
        phone = shop.phone()
        shop.grant(phone, "analytics", "personalize")
        asked = phone.request(issuer, tickets.request(issuer.keys))
        requests.add(len(asked))
        answers.add(len(shop.post("/v1/tickets", asked).content))
    assert (len(requests), len(answers)) == (1, 1)


def test_messages_in_another_order_bring_no_good_ticket(shop, phone, issuer):
    """Each message is signed under the key of its place: a second ticket of one slot is not to be had."""
    pending = tickets.request([*issuer.keys][::-1])
    answer = shop.post("/v1/tickets", phone.request(issuer, pending))
    if answer.status_code == 200:  # A number blinded for one key may be too great for another.
        signatures = wire.decode(BlindSignatures, answer.content).signatures
        with pytest.raises(PeerError, match="does not verify"):
            tickets.receive([*issuer.keys][::-1], pending, signatures)


def test_a_request_that_cannot_be_signed_books_nothing(shop, phone, issuer, problem):
    problem(shop.post("/v1/tickets", phone.request(issuer, (), blinded=(b"\xff" * 256,) * 4)), 400)
    assert shop.tickets(phone, issuer)


def test_a_batch_is_booked_only_while_the_consent_stands(shop, phone, issuer):
    """Who withdraws while the batch is being signed gets none."""
    pending = tickets.request(issuer.keys)
    request = open_signed(TicketRequest, TICKETS, phone.request(issuer, pending), phone.device)
    notices = shop.notices()
    shop.withdraw(phone, "analytics")
    store, calendar = shop.http.app.state.registry.store, Calendar(shop.clock, DAY, 300)
    with pytest.raises(DeniedError, match="analytics"):
        asyncio.run(store.write(booking.book, request, notices, calendar, 366))


def test_a_crowd_gets_one_key_and_each_their_batch(own_keys, shop):
    phones = [shop.phone() for _ in range(8)]

    def take(phone):
        issuer = shop.issuer("core")
        shop.tickets(phone, issuer)
        return issuer

    with ThreadPoolExecutor(len(phones)) as threads:
        issuers = set(threads.map(take, phones))
    assert len(issuers) == 1
    assert shop.issued("core").json()["batches"] == len(phones)


def test_a_request_is_for_now_from_an_enrolled_device(shop, phone, issuer, problem):
    pending = tickets.request(issuer.keys)
    for changes, status in (
        ({"at": shop.clock.ms - 301_000}, 422),
        ({"epoch": issuer.keys.epoch - 1}, 409),
        ({"epoch": issuer.keys.epoch + 1}, 409),
        ({"purposes": ("personalize", "analytics")}, 422),
        ({"device": shop.phone().device}, 403),
    ):
        problem(shop.post("/v1/tickets", phone.request(issuer, pending, **changes)), status)
    stranger = type(phone)(phone.clock, type(phone.key)(b"s" * 32))
    problem(shop.post("/v1/tickets", stranger.request(issuer, pending)), 404)


def test_issuance_is_counted(shop, phone, issuer):
    def counts():
        return shop.issued("analytics", "personalize").json()

    half = shop.phone()
    shop.grant(half, "analytics")
    assert counts() == {"batches": 0, "granted": 1}
    shop.tickets(phone, issuer)
    shop.tickets(half, shop.issuer("analytics"))
    assert counts() == {"batches": 1, "granted": 1}
    assert shop.issued("analytics", "personalize", purposes="analytics personalize").json() == counts()
    shop.withdraw(phone, "personalize")
    assert counts() == {"batches": 1, "granted": 0}


def test_counts_are_asked_for_a_real_set_and_the_epoch_that_runs(shop, problem):
    problem(shop.issued("analytics", epoch=2**64), 422)
    problem(shop.issued("resale"), 404)
    problem(shop.http.get(f"/v1/epochs/{shop.clock.epoch}/issued"), 422)
    for offset in (-1, 1):
        problem(shop.issued("analytics", epoch=shop.clock.epoch + offset), 409)


@pytest.mark.compliance("GDPR 32", "no public count lines up with a person's withdrawal")
def test_the_operator_alone_is_told_exact_counts(shop, phone, problem):
    path = f"/v1/epochs/{shop.clock.epoch}/issued?purposes=analytics"
    problem(shop.http.get(path), 422)
    problem(shop.issued("analytics", key=SigningKey(b"x" * 32)), 403)
    problem(shop.issued("analytics", purposes="personalize"), 403)
    kept = shop.issued("analytics").request.headers["covey-signature"]
    shop.clock.now += DAY
    old = path.replace(str(shop.clock.epoch - 1), str(shop.clock.epoch))
    problem(shop.http.get(old, headers={"covey-signature": kept}), 403)


def test_keys_are_made_for_declared_sets_alone(shop, phone, problem):
    size = shop.checkpoint().size
    for purposes in ("marketing", "analytics+train", "analytics+personalize+train"):
        said = problem(shop.http.get(f"/v1/issuers/{shop.clock.epoch}/{purposes}"), 404)
        assert "COVEY_REGISTRY_PURPOSE_SETS" in said
    asked = phone.request(
        shop.issuer("train"), (), purposes=("analytics", "train"), blinded=(bytes(256),) * 4
    )
    problem(shop.post("/v1/tickets", asked), 404)
    assert shop.checkpoint().size == size + 1


def test_the_operator_declares_the_sets(opened, problem):
    with opened(purpose_sets=["marketing"]) as shop:
        assert shop.issuer("marketing")
        problem(shop.http.get(f"/v1/issuers/{shop.clock.epoch}/analytics"), 404)
    for wrong in ("resale", "personalize+analytics", "core+core", ""):
        with pytest.raises(ValidationError, match="purpose set"):
            Settings(purpose_sets=[wrong])


def test_an_ended_epoch_makes_no_key(shop, problem, monkeypatch):
    officer = shop.as_(Role.OFFICER)
    path = f"/v1/epochs/{shop.clock.epoch}/end"
    assert shop.http.post(path, json={"reason": "a leak"}, headers=officer).status_code == 200
    made = []
    monkeypatch.setattr(blind_rsa, "generate", lambda: made.append(1))
    assert "leak" in problem(shop.http.get(f"/v1/issuers/{shop.clock.epoch}/analytics"), 409)
    assert made == []


def test_what_is_stored_of_an_issuance_leads_to_no_ticket(shop, phone, issuer, stored):
    keys = shop.tickets(phone, issuer)
    found = stored()
    assert phone.device in found
    for key in keys:
        for secret in (key.ticket.round_key, key.ticket.signature, key.secret):
            assert secret not in found
            assert hashlib.sha256(secret).digest() not in found


def test_the_private_keys_of_a_past_epoch_are_destroyed(opened, clock, problem):
    with opened() as shop:
        shop.issuer("analytics")
        store = shop.http.app.state.registry.store
        shop.clock.now += DAY
        shop.issuer("analytics")
        with store.session() as session:
            rows = {row.epoch: row.secret is None for row in session.scalars(select(IssuerSecret))}
        assert rows == {clock.epoch - 1: True, clock.epoch: False}
        shop.clock.now -= DAY
    with opened() as shop:
        problem(shop.http.get(f"/v1/issuers/{clock.epoch}/analytics"), 500)


def test_answers_are_as_long_as_the_batch(opened):
    with opened(slots=3) as shop:
        phone = shop.phone()
        issuer = shop.issuer("core")
        answer = shop.post("/v1/tickets", phone.request(issuer, tickets.request(issuer.keys)))
        assert issuer.keys.batch == len(wire.decode(BlindSignatures, answer.content).signatures) == 6


def test_a_change_of_the_slots_holds_from_the_next_keys_on(opened, clock):
    """The keys of a running epoch are in the log: phones have their batches of them."""
    with opened() as shop:
        issuer = shop.issuer("core")
    with opened(slots=3) as shop:
        assert shop.issuer("core") == issuer
        assert len(shop.tickets(shop.phone(), issuer)) == 4
        clock.now += DAY
        assert shop.issuer("core").keys.slots == 3


def test_an_epoch_can_be_ended_in_an_emergency(shop, phone, issuer, problem):
    path, why = f"/v1/epochs/{shop.clock.epoch}/end", {"reason": "a phone's tickets leaked"}
    shop.tickets(phone, issuer)
    problem(shop.http.post(path, json=why, headers=shop.as_(Role.SERVICE)), 403)
    officer = shop.as_(Role.OFFICER)
    ended = shop.http.post(path, json=why, headers=officer).json()
    assert shop.http.post(path, json={"reason": "again"}, headers=officer).json() == ended
    entry = shop.entries()[ended["index"]]
    assert entry[:1] == LEAF_EPOCH_END
    assert wire.decode(EpochEnd, entry[1:]).reason == why["reason"]
    late = sign_manifest(shop.manifest(issuer), shop.operator)
    assert "leaked" in problem(shop.post("/v1/rounds", late), 409)
    assert "leaked" in problem(shop.http.get(f"/v1/issuers/{shop.clock.epoch}/analytics"), 409)
    other = tickets.request(issuer.keys)
    assert "leaked" in problem(shop.post("/v1/tickets", phone.request(issuer, other)), 409)
    problem(shop.http.post(f"/v1/epochs/{shop.clock.epoch + 1}/end", json=why, headers=officer), 409)
    shop.clock.now += DAY
    assert shop.issuer("analytics").keys.epoch == shop.clock.epoch
