import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_assessments import approve, propose, publish

from covey_consent.access.roles import Role
from covey_privacy import checkpoint, wire
from covey_privacy.merkle import verify_consistency
from covey_privacy.registry_messages import (
    ENROLMENT,
    GRANTED,
    REFUSED,
    SYNC,
    WITHDRAWN,
    Batch,
    Decision,
    Enrolment,
)
from covey_privacy.signatures import Signed, SigningKey, sign

DAY_MS = 86_400_000


def test_the_registry_is_up(shop):
    assert shop.http.get("/healthz").json() == {"status": "ok"}


def test_nothing_is_on_by_default(shop):
    assert shop.choices(shop.phone()) == {}


def test_enrolling_again_is_no_error(shop):
    phone = shop.phone()
    assert shop.post("/v1/enrolments", phone.batch(phone.enrolment(), phone.enrolment())).status_code == 204


def test_a_batch_of_enrolments_is_all_or_none(shop, problem):
    known = shop.phone()
    new = dataclasses.replace(known, key=SigningKey(b"n" * 32))
    forged = sign(ENROLMENT, Enrolment(new.device, shop.clock.ms), SigningKey(b"f" * 32))
    late = new.enrolment(at=shop.clock.ms - 8 * DAY_MS)
    for bad in (forged, late):
        batch = wire.encode(Batch((new.enrolment(), bad), (new.device, new.device)))
        assert shop.post("/v1/enrolments", batch).is_client_error
        problem(shop.post("/v1/sync", new.sync()), 404)


def test_an_enrolment_is_signed_by_the_key_it_enrols(shop, problem):
    victim, thief = SigningKey(b"v" * 32), shop.phone()
    signed = thief.enrolment(device=victim.public)
    problem(shop.post("/v1/enrolments", wire.encode(Batch((signed,), (victim.public,)))), 403)


def test_a_batch_names_the_device_of_each_message(shop, problem):
    phone, other = shop.phone(), shop.phone()
    signed = phone.enrolment()
    problem(shop.post("/v1/enrolments", wire.encode(Batch((signed,), (other.device,)))), 422)
    problem(shop.post("/v1/enrolments", wire.encode(Batch((signed,), (phone.device,) * 2))), 422)


def test_a_grant_and_its_withdrawal_stand_in_turn(shop):
    phone = shop.phone()
    for state in (REFUSED, GRANTED, WITHDRAWN, GRANTED):
        shop.clock.now += 1
        assert shop.decide(phone, "train", state).status_code == 204
        assert shop.choices(phone) == {"train": state}


@pytest.mark.compliance("GDPR 5(1)(b)", "a yes to one purpose allows no other")
def test_one_purpose_grants_no_other(shop):
    phone, other = shop.phone(), shop.phone()
    shop.grant(phone, "personalize")
    assert shop.choices(phone) == {"personalize": GRANTED}
    assert shop.choices(other) == {}


def test_core_may_be_acknowledged(shop):
    phone = shop.phone()
    shop.grant(phone, "core")
    assert shop.choices(phone) == {"core": GRANTED}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_grant_is_made_on_the_text_shown(shop, language):
    assert shop.decide(shop.phone(), "train", language=language).status_code == 204


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"purpose": "resale"}, 404, "no purpose"),
        ({"purpose": "partner"}, 404, "no notice"),
        ({"purpose": "biometric"}, 422, "refused"),
        ({"purpose": "price_profile"}, 422, "refused"),
        ({"state": "assumed"}, 422, "granted, refused or withdrawn"),
        ({"method": "prechecked"}, 422, "toggle"),
        ({"method": "bundle"}, 422, "toggle"),
        ({"notice_version": 0}, 409, "version 1"),
        ({"notice_version": 2}, 409, "version 1"),
        ({"text_digest": bytes(32)}, 422, "text"),
        ({"purpose": "analytics"}, 422, "text"),
        ({"at": 0}, 422, "dated"),
    ],
)
def test_a_grant_that_proves_too_little_is_refused(shop, problem, changes, status, says):
    phone = shop.phone()
    signed = phone.decision(shop.notices()["train"], **changes)
    assert says in problem(shop.post("/v1/decisions", phone.batch(signed)), status)
    assert shop.choices(phone) == {}


def test_a_text_in_another_language_does_not_prove_this_one(shop, problem):
    phone = shop.phone()
    chinese = shop.notices()["train"].text("zh").digest
    signed = phone.decision(shop.notices()["train"], text_digest=chinese)
    problem(shop.post("/v1/decisions", phone.batch(signed)), 422)


@pytest.mark.parametrize(
    ("offset", "taken"),
    [(0, True), (299_000, True), (301_000, False), (-7 * DAY_MS, True), (-7 * DAY_MS - 1, False)],
)
def test_a_grant_may_wait_seven_days_and_never_comes_from_the_future(shop, offset, taken):
    answer = shop.decide(shop.phone(), "train", at=shop.clock.ms + offset)
    assert answer.status_code == (204 if taken else 422)


@pytest.mark.parametrize(
    "changes",
    [
        {"notice_version": 0},
        {"text_digest": bytes(32)},
        {"method": "any"},
        {"at": 1_800_000_000_000 + 365 * DAY_MS},
    ],
)
def test_a_withdrawal_is_always_taken(shop, changes):
    phone = shop.phone()
    shop.grant(phone, "train")
    assert shop.decide(phone, "train", WITHDRAWN, **changes).status_code == 204
    assert shop.choices(phone) == {"train": WITHDRAWN}


def test_a_withdrawal_dated_ahead_does_not_lock_the_purpose(shop):
    phone = shop.phone()
    assert shop.decide(phone, "train", WITHDRAWN, at=shop.clock.ms + 365 * DAY_MS).status_code == 204
    shop.clock.now += 301
    shop.grant(phone, "train")
    assert shop.choices(phone) == {"train": GRANTED}


def test_the_later_decision_stands_whichever_arrives_first(shop):
    phone = shop.phone()
    shop.withdraw(phone, "train")
    assert shop.decide(phone, "train", at=shop.clock.ms - 1000).status_code == 204
    assert shop.choices(phone) == {"train": WITHDRAWN}


def person_of(shop, phone):
    """Attach a phone that is not enrolled to a new person; return their pseudonym."""
    service = shop.as_(Role.SERVICE)
    subject = shop.http.post("/v1/subjects", json={}, headers=service).json()["subject"]
    path = f"/v1/subjects/{subject}/devices/{phone.device.hex()}"
    assert shop.http.put(path, headers=service).status_code == 204
    return subject


def said(shop, subject, role, **body):
    path = f"/v1/subjects/{subject}/consents"
    return shop.http.post(path, json=body, headers=shop.as_(role, subject=subject))


@pytest.mark.compliance("GDPR 7(3)", "a no ends a grant from a clock that runs ahead, whoever hands it over")
@pytest.mark.parametrize("state", ["withdrawn", "refused", "objected"])
@pytest.mark.parametrize("role", [Role.SUBJECT, Role.OFFICER, Role.SERVICE])
def test_a_no_ends_a_grant_that_a_clock_dated_ahead(shop, role, state):
    phone = shop.stranger()
    subject = person_of(shop, phone)
    assert shop.decide(phone, "train", at=shop.clock.ms + 240_000).status_code == 204
    assert said(shop, subject, role, purpose="train", state=state).status_code == 201
    assert shop.choices(phone) == {"train": state}
    shop.clock.now += 600
    assert shop.choices(phone) == {"train": state}


def test_the_privacy_signal_ends_a_grant_that_a_clock_dated_ahead(shop):
    approve(shop, propose(shop, "partner").json()["id"])
    assert publish(shop, "partner").status_code == 201
    phone = shop.stranger()
    subject = person_of(shop, phone)
    ahead = {"method": "dialog", "at": shop.clock.ms + 240_000}
    assert shop.decide(phone, "partner", **ahead).status_code == 204
    own = shop.as_(Role.SUBJECT, subject=subject) | {"sec-gpc": "1"}
    assert shop.http.post(f"/v1/subjects/{subject}/signals", headers=own).status_code == 204
    assert shop.choices(phone) == {"partner": "objected"}


@pytest.mark.parametrize("slow", [0, 299_000])
def test_a_phone_ends_what_another_phones_clock_dated_ahead(shop, slow):
    fast, right = shop.stranger(), shop.stranger()
    subject = person_of(shop, fast)
    path = f"/v1/subjects/{subject}/devices/{right.device.hex()}"
    assert shop.http.put(path, headers=shop.as_(Role.SERVICE)).status_code == 204
    assert shop.decide(fast, "train", at=shop.clock.ms + 240_000).status_code == 204
    shop.clock.now += 1
    assert shop.decide(right, "train", WITHDRAWN, at=shop.clock.ms - slow).status_code == 204
    assert shop.choices(right) == {"train": WITHDRAWN}


def test_a_yes_of_now_follows_a_no_that_a_clock_dated_ahead(shop):
    phone = shop.stranger()
    subject = person_of(shop, phone)
    assert shop.decide(phone, "train", WITHDRAWN, at=shop.clock.ms + 365 * DAY_MS).status_code == 204
    notice = shop.notices()["train"]
    grant = {"notice_version": notice.version, "language": "en", "method": "toggle"}
    grant["text_sha256"] = notice.text("en").digest.hex()
    assert said(shop, subject, Role.SUBJECT, purpose="train", state="granted", **grant).status_code == 201
    assert shop.choices(phone) == {"train": GRANTED}
    assert said(shop, subject, Role.SUBJECT, purpose="train", state="withdrawn").status_code == 201
    assert shop.choices(phone) == {"train": WITHDRAWN}


def test_an_older_grant_of_a_clock_that_runs_ahead_undoes_no_no(shop):
    phone = shop.phone()
    late = phone.decision(shop.notices()["train"], at=shop.clock.ms + 200_000)
    assert shop.decide(phone, "train", WITHDRAWN, at=shop.clock.ms + 210_000).status_code == 204
    shop.clock.now += 5
    assert shop.post("/v1/decisions", phone.batch(late)).status_code == 204
    assert shop.choices(phone) == {"train": WITHDRAWN}


def test_an_old_grant_played_again_changes_nothing(shop):
    phone = shop.phone()
    grant = phone.decision(shop.notices()["train"])
    assert shop.post("/v1/decisions", phone.batch(grant)).status_code == 204
    shop.withdraw(phone, "train")
    assert shop.post("/v1/decisions", phone.batch(grant, grant)).status_code == 204
    assert shop.choices(phone) == {"train": WITHDRAWN}


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["train", "analytics"]),
        st.sampled_from([GRANTED, REFUSED, WITHDRAWN]),
        st.integers(-4, 0) | st.integers(-1000, 0),
        st.integers(1, 2),
    ),
    max_size=12,
)


@given(ACTS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_leaves_the_latest_decision_of_each_purpose(shop, acts):
    phone, notices = shop.phone(), shop.notices()
    stands: dict[str, tuple[int, str]] = {}
    seen = set()
    for purpose, state, seconds, times in acts:
        signed = phone.decision(notices[purpose], state, at=shop.clock.ms + 1000 * seconds)
        assert shop.post("/v1/decisions", phone.batch(*[signed] * times)).status_code == 204
        before = stands.get(purpose, (seconds, ""))[0]
        # Within the tolerance clocks cannot tell which was said first: the no that arrives later stands.
        slack = 0 if state == GRANTED else shop.http.app.state.registry.calendar.tolerance_seconds
        if signed not in seen and seconds + slack >= before:
            stands[purpose] = max(seconds, before), state
        seen.add(signed)
    assert shop.choices(phone) == {purpose: state for purpose, (_, state) in stands.items()}


def test_a_batch_of_decisions_is_all_or_none(shop, problem):
    phone = shop.phone()
    notices = shop.notices()
    good, bad = phone.decision(notices["train"]), phone.decision(notices["analytics"], method="prechecked")
    problem(shop.post("/v1/decisions", phone.batch(good, bad)), 422)
    assert shop.choices(phone) == {}


def test_decisions_of_many_devices_come_in_one_batch(shop):
    phones = [shop.phone() for _ in range(5)]
    notice = shop.notices()["train"]
    signed = tuple(phone.decision(notice) for phone in phones)
    batch = wire.encode(Batch(signed, tuple(phone.device for phone in phones)))
    assert shop.post("/v1/decisions", batch).status_code == 204
    assert all(shop.choices(phone) == {"train": GRANTED} for phone in phones)


def test_an_unknown_device_decides_nothing(shop, problem):
    stranger = dataclasses.replace(shop.phone(), key=SigningKey(b"s" * 32))
    assert "enrol" in problem(shop.decide(stranger, "train"), 404)


def test_nobody_decides_for_another(shop, problem):
    phone, thief = shop.phone(), shop.phone()
    signed = thief.decision(shop.notices()["train"], device=phone.device)
    problem(shop.post("/v1/decisions", phone.batch(signed)), 403)
    assert shop.choices(phone) == {}


def test_a_signature_for_one_context_is_none_for_another(shop, problem):
    phone = shop.phone()
    envelope = wire.decode(Signed, phone.decision(shop.notices()["train"]))
    elsewhere = sign(SYNC, wire.decode(Decision, envelope.body), phone.key)
    problem(shop.post("/v1/decisions", phone.batch(elsewhere)), 403)


def test_sync_proves_that_the_log_only_grew(shop):
    phone = shop.phone()
    before = checkpoint.open_note(shop.sync(phone).checkpoint, shop.registry.public)
    shop.issuer("analytics")
    synced = shop.sync(phone, before.size)
    after = checkpoint.open_note(synced.checkpoint, shop.registry.public)
    assert after.size == before.size + 1
    verify_consistency(before.size, before.root, after.size, after.root, synced.consistency)
    assert shop.sync(phone, after.size).consistency == ()
    assert shop.sync(phone, after.size + 5).consistency == ()


def test_phones_sync_while_the_log_grows(shop):
    phone = shop.phone()
    before = shop.checkpoint()
    sets = [("analytics",), ("core",), ("personalize",), ("train",), ("analytics", "personalize")]
    with ThreadPoolExecutor(6) as threads:
        syncs = [threads.submit(shop.sync, phone, before.size) for _ in range(60)]
        issuers = [threads.submit(shop.issuer, *purposes) for purposes in sets]
    assert {issuer.result().index for issuer in issuers} == set(range(before.size, before.size + 5))
    for synced in (sync.result() for sync in syncs):
        after = checkpoint.open_note(synced.checkpoint, shop.registry.public)
        verify_consistency(before.size, before.root, after.size, after.root, synced.consistency)


def test_sync_needs_the_device_and_the_time(shop, problem):
    phone = shop.phone()
    stranger = dataclasses.replace(phone, key=SigningKey(b"s" * 32))
    problem(shop.post("/v1/sync", stranger.sync()), 404)
    problem(shop.post("/v1/sync", stranger.sync(device=phone.device)), 403)
    assert "clock" in problem(shop.post("/v1/sync", phone.sync(at=shop.clock.ms - 301_000)), 422)


@pytest.mark.parametrize("path", ["enrolments", "decisions", "sync", "tickets", "rounds"])
def test_bytes_that_are_no_message_are_refused(shop, problem, path):
    for body in (b"", b"\xff", b"\x83\x01\x02\x03", b"\x9f" * 1000):
        problem(shop.post(f"/v1/{path}", body), 400)


@pytest.mark.parametrize(
    ("path", "limit"), [("enrolments", 2**20), ("decisions", 2**22), ("sync", 2**16), ("tickets", 2**16)]
)
def test_bodies_are_bounded(shop, problem, path, limit):
    problem(shop.post(f"/v1/{path}", bytes(limit + 1)), 413)


def test_unknown_addresses_and_methods_are_problems_too(shop, problem):
    problem(shop.http.get("/v1/nothing"), 404)
    problem(shop.http.get("/v1/sync"), 405)
