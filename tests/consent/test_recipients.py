"""Recipients: who is told what, however often they fail to listen."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from covey_consent.access.roles import Role
from covey_consent.errors import RequestError
from covey_consent.recipients import addresses
from covey_consent.recipients.outbox import FIRST_SECONDS, MOST_SECONDS, retry_seconds
from covey_consent.recipients.register import Notification
from covey_consent.recipients.webhook import WebhookSigner
from covey_consent.storage.models import Device
from covey_privacy import wire
from covey_privacy.registry_messages import REFUSED, Batch
from covey_privacy.signatures import SigningKey

QUICK = {"private_recipients": True, "recipient_every_seconds": 0.02, "recipient_seconds": 0.5}
PATIENT = QUICK | {"recipient_seconds": 30}
"""For a recipient that is slow only because the machine is."""
DEADLINE = 60.0


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def said(self):
        return json.loads(self.body)


@dataclass
class Ear:
    """A recipient's own server: it answers with these statuses in turn, and then with the last one."""

    statuses: list[int]
    received: list[Received] = field(default_factory=list)
    port: int = 0
    silent: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/covey?to=me"

    def hear(self, handler):
        body = handler.rfile.read(int(handler.headers["content-length"]))
        self.received.append(Received({k.lower(): v for k, v in handler.headers.items()}, body))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 0:
            self.silent.wait(DEADLINE)
            return
        handler.send_response(status)
        if 300 <= status < 400:
            handler.send_header("location", self.url + "&redirected=1")
        handler.send_header("content-length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")


@contextmanager
def listening(*statuses, port=0):
    ear = Ear(list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            with suppress(OSError):  # whoever sent has gone
                ear.hear(self)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    ear.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield ear
    finally:
        ear.silent.set()
        server.shutdown()
        server.server_close()
        thread.join()


def until(holds: Callable[[], object], what: str):
    end = time.monotonic() + DEADLINE
    while not (found := holds()):
        assert time.monotonic() < end, f"in {DEADLINE} s: {what}"
        time.sleep(0.01)
    return found


def add(shop, url, name="Example Mail", purposes=("marketing", "train")):
    said = {"name": name, "url": url, "purposes": list(purposes)}
    answer = shop.http.post("/v1/recipients", json=said, headers=shop.as_(Role.ADMIN))
    assert answer.status_code == 201, answer.text
    return answer.json()


def letters(shop):
    with shop.http.app.state.registry.store.session() as session:
        return session.scalars(select(Notification).order_by(Notification.created_at, Notification.id)).all()


def states(shop):
    return [letter.state for letter in letters(shop)]


def subject_of(shop, phone):
    with shop.http.app.state.registry.store.session() as session:
        return session.get(Device, phone.device).subject


@pytest.fixture
def shop(opened):
    with opened(**PATIENT) as shop:
        yield shop


@pytest.mark.compliance("GDPR 19", "a recipient that fails twice is told of a withdrawal, by one id, signed")
def test_a_recipient_that_fails_twice_is_told_of_a_withdrawal(shop):
    phone = shop.phone()
    with listening(500, 503, 204) as ear:
        added = add(shop, ear.url)
        shop.grant(phone, "marketing")
        shop.withdraw(phone, "marketing")
        for tries in (1, 2):
            until(lambda tries=tries: letters(shop)[0].tries == tries, "an attempt was noted")
            assert len(ear.received) == tries
            shop.clock.now += 60
        until(lambda: states(shop) == ["told"], "it was told")
    assert len({one.id for one in ear.received}) == 1
    assert len(ear.received) == 3
    said = ear.received[-1].said
    assert said["type"] == "consent.withdrawn"
    assert said["data"]["purposes"] == ["marketing"]
    assert said["data"]["recipient"] == added["id"]
    subject = subject_of(shop, phone)
    assert subject.encode() not in b"".join(one.body for one in ear.received)
    path = f"/v1/subjects/{subject}/recipients"
    told = shop.http.get(path, headers=shop.as_(Role.SUBJECT, "app", subject)).json()
    assert told["stated"][0]["name"] == "Covey Example Parcel"
    (recipient,) = told["told"]
    assert recipient["pseudonym"] == said["data"]["subject"]
    assert [(one["event"], one["state"]) for one in recipient["told"]] == [("consent.withdrawn", "told")]
    assert letters(shop)[0].body is None


def test_a_recipient_checks_both_signatures(shop):
    phone = shop.phone()
    with listening(200) as ear:
        added = add(shop, ear.url)
        shop.grant(phone, "train")
        shop.withdraw(phone, "train")
        until(lambda: states(shop) == ["told"], "it was told")
    (one,) = ear.received
    signed = f"{one.id}.{one.headers['webhook-timestamp']}.".encode() + one.body
    assert one.headers["webhook-timestamp"] == str(int(shop.clock.now))
    given = dict(pair.split(",", 1) for pair in one.headers["webhook-signature"].split(" "))
    public = base64.b64decode(added["public_key"].removeprefix("whpk_"))
    Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(given["v1a"]), signed)
    secret = base64.b64decode(added["secret"].removeprefix("whsec_"))
    assert base64.b64decode(given["v1"]) == hmac.digest(secret, signed, hashlib.sha256)
    assert public != shop.registry.public
    assert one.headers["host"] == f"127.0.0.1:{ear.port}"


def test_one_that_never_answers_delays_nobody_and_ends_as_a_dead_letter(opened):
    with opened(**QUICK, recipient_tries=2) as shop, listening(0) as silent, listening(200) as quick:
        mute = add(shop, silent.url, "Mute")
        add(shop, quick.url, "Quick")
        phone = shop.phone()
        shop.grant(phone, "train")
        shop.withdraw(phone, "train")
        until(lambda: "told" in states(shop), "the quick one was told")
        until(lambda: any(one.tries == 1 for one in letters(shop) if one.state == "waiting"), "no answer")
        shop.clock.now += 60
        until(lambda: sorted(states(shop)) == ["dead", "told"], "the mute one is a dead letter")
        (dead,) = [one for one in letters(shop) if one.state == "dead"]
        assert dead.answer == "no answer within 0.5 s"
        shop.clock.now += 86400
        headers = shop.as_(Role.ADMIN)
        listed = shop.http.get("/v1/recipients", headers=headers).json()["items"]
        assert {one["name"]: one["letters"] for one in listed} == {"Mute": {"dead": 1}, "Quick": {"told": 1}}
        silent.statuses[:] = [200]
        assert len(silent.received) == 2
        assert shop.http.post(f"/v1/recipients/{mute['id']}/retries", headers=headers).status_code == 204
        until(lambda: states(shop) == ["told", "told"], "the dead letter was told once asked for")
        assert len({one.id for one in silent.received}) == 1


def test_what_was_to_be_told_is_told_after_a_crash(opened):
    with listening(200) as ear:
        port, url = ear.port, ear.url
    with opened(**QUICK) as shop:
        add(shop, url)
        phone = shop.phone()
        shop.grant(phone, "train")
        shop.withdraw(phone, "train")
        (before,) = letters(shop)
    with listening(200, port=port) as ear, opened(**PATIENT) as shop:
        shop.clock.now += 60
        until(lambda: states(shop) == ["told"], "it was told after the start")
    assert [one.id for one in ear.received] == [before.id]


def test_what_was_sent_and_not_noted_is_sent_again_by_the_same_id(opened):
    with listening(0) as ear, opened(**PATIENT) as shop:
        add(shop, ear.url)
        phone = shop.phone()
        shop.grant(phone, "train")
        shop.withdraw(phone, "train")
        until(lambda: ear.received, "it arrived, and no answer was given")
        port = ear.port
        first = ear.received[0].id
        assert states(shop) == ["waiting"]
    with listening(200, port=port) as ear, opened(**PATIENT) as shop:
        until(lambda: states(shop) == ["told"], "it was told after the start")
    assert [one.id for one in ear.received] == [first]


def test_a_redirect_is_a_failure_and_not_followed(shop):
    with listening(302) as ear:
        add(shop, ear.url)
        phone = shop.phone()
        shop.grant(phone, "train")
        shop.withdraw(phone, "train")
        until(lambda: letters(shop)[0].tries == 1, "an attempt was noted")
        assert letters(shop)[0].answer == "HTTP 302"
    assert len(ear.received) == 1


def test_one_that_is_gone_is_not_asked_again(shop):
    with listening(410) as ear:
        add(shop, ear.url)
        phone = shop.phone()
        shop.grant(phone, "train")
        shop.withdraw(phone, "train")
        until(lambda: states(shop) == ["dead"], "it was given up")
    assert len(ear.received) == 1


def test_only_an_end_that_matters_is_told(shop):
    phone = shop.phone()
    with listening(200) as ear:
        add(shop, ear.url, purposes=["train"])
        assert shop.decide(phone, "train", REFUSED).status_code == 204
        shop.clock.now += 1
        shop.grant(phone, "train", "analytics")
        shop.clock.now += 1
        shop.withdraw(phone, "analytics")
        stale = phone.decision(shop.notices()["train"], "withdrawn", at=shop.clock.ms - 500_000)
        assert shop.post("/v1/decisions", phone.batch(stale)).status_code == 204
        assert letters(shop) == []
        shop.withdraw(phone, "train")
        assert [one.event for one in letters(shop)] == ["consent.withdrawn"]
        until(lambda: states(shop) == ["told"], "it was told")
    assert len(ear.received) == 1


def test_what_is_undone_is_not_told(shop):
    phone = shop.phone()
    add(shop, "http://127.0.0.1:9/")
    shop.grant(phone, "train")
    withdrawal = phone.decision(shop.notices()["train"], "withdrawn")
    stranger = shop.stranger()
    both = [withdrawal, stranger.decision(shop.notices()["train"], "withdrawn")]
    body = wire.encode(Batch(tuple(both), (phone.device, stranger.device)))
    assert shop.post("/v1/decisions", body).status_code == 404
    assert letters(shop) == []


@pytest.mark.compliance("PIPL 47", "recipients are told of restriction, objection, rectification and erasure")
@pytest.mark.parametrize(
    ("kind", "said", "event"),
    [
        ("restriction", {}, "subject.restricted"),
        ("objection", {"purpose": "marketing"}, "subject.objected"),
        ("rectification", {"changes": {"country": "AT"}}, "subject.rectified"),
        ("erasure", {}, "subject.erased"),
    ],
)
def test_recipients_are_told_of_what_people_ask_for(shop, kind, said, event):
    subject = shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)).json()["subject"]
    own, officer = shop.as_(Role.SUBJECT, "app", subject), shop.as_(Role.OFFICER) | {"if-match": "*"}
    with listening(200) as ear:
        add(shop, ear.url)
        asked = shop.http.post("/v1/rights", json={"kind": kind, **said}, headers=own).json()
        if asked["state"] != "fulfilled":
            for step in ("start", "fulfil"):
                answer = shop.http.post(
                    f"/v1/rights/{asked['id']}/steps", json={"step": step}, headers=officer
                )
                assert answer.status_code == 200, answer.text
        until(lambda: states(shop) == ["told"], "it was told")
    assert [one.said["type"] for one in ear.received] == [event]


def test_two_recipients_cannot_join_what_they_know(shop):
    phone = shop.phone()
    with listening(200) as one, listening(200) as other:
        for name, ear in (("One", one), ("Other", other)):
            add(shop, ear.url, name)
        shop.grant(phone, "train", "marketing")
        for purpose in ("train", "marketing"):
            shop.withdraw(phone, purpose)
        until(lambda: states(shop) == ["told"] * 4, "all were told")
    names = [{received.said["data"]["subject"] for received in ear.received} for ear in (one, other)]
    assert [len(known) for known in names] == [1, 1]
    assert names[0] != names[1]


@pytest.mark.compliance("GDPR 19", "who is switched off is written to as well, and told once it is on again")
def test_a_recipient_that_is_switched_off_is_told_later(shop, problem):
    phone = shop.phone()
    subject = subject_of(shop, phone)
    with listening(200) as ear:
        added = add(shop, ear.url)
        path, admin = f"/v1/recipients/{added['id']}", shop.as_(Role.ADMIN)
        shop.grant(phone, "train")
        problem(shop.http.patch(path, json={"active": False}, headers=admin), 428)
        read = shop.match(path, admin)
        off = shop.http.patch(path, json={"active": False}, headers=read)
        assert off.json()["active"] is False
        problem(shop.http.patch(path, json={"active": True}, headers=read), 412)
        shop.withdraw(phone, "train")
        assert states(shop) == ["waiting"]
        own, officer = shop.as_(Role.SUBJECT, "app", subject), shop.as_(Role.OFFICER)
        id_ = shop.http.post("/v1/rights", json={"kind": "erasure"}, headers=own).json()["id"]
        for step in ("start", "fulfil"):
            read = shop.match(f"/v1/rights/{id_}", officer)
            shop.http.post(f"/v1/rights/{id_}/steps", json={"step": step}, headers=read)
        claims = shop.http.get(f"/v1/erasures/{id_}").json()["claims"]
        assert claims["recipients_written_to"] == 1
        assert states(shop) == ["waiting"]
        assert not ear.received
        read = admin | {"if-match": off.headers["etag"]}
        assert shop.http.patch(path, json={"active": True}, headers=read).json()["active"] is True
        until(lambda: states(shop) == ["told"], "it was told")
        assert [received.said["type"] for received in ear.received] == ["subject.erased"]


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example/", "ftp://mail.example/", "https://", "mail.example", "https://u:p@mail.example/",
        "https://mail.example/#part", "https://mail.example/" + "x" * 1024, "https://[::1/", "file:///etc/passwd",
        "https://10.0.0.1/", "https://169.254.169.254/", "https://[::1]/", "https://[fe80::1]:8443/hook",
        "https://127.1/", "https://0x7f000001/", "https://2130706433/", "https://[::ffff:10.0.0.1]/",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_public_web_is_refused(url):
    with pytest.raises(RequestError):
        addresses.check_url(url, private=False)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "0.0.0.1", "100.64.0.1",
        "224.0.0.1", "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:1.1.1.1", "2002:7f00:1::", "64:ff9b::7f00:1",
        "2001:db8::1",
    ],
)  # fmt: skip
def test_an_address_inside_a_network_is_not_public(address):
    assert not addresses.is_public(address)


@pytest.mark.parametrize("host", ["mail.example", "1.1.1.1", "[2606:4700::1111]", "10.example"])
def test_a_name_or_a_public_address_is_taken(host):
    assert addresses.check_url(f"https://{host}/hook", private=False) == f"https://{host}/hook"


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111"])
def test_a_public_address_is(address):
    assert addresses.is_public(address)


def test_a_recipient_at_a_private_address_is_never_called(opened):
    with listening(200) as ear, opened(recipient_every_seconds=0.02, recipient_tries=1) as shop:
        answer = shop.http.post(
            "/v1/recipients",
            json={"name": "In", "url": ear.url, "purposes": ["train"]},
            headers=shop.as_(Role.ADMIN),
        )
        assert answer.status_code == 422
        inside = {"name": "In", "url": f"https://127.0.0.1:{ear.port}/", "purposes": ["train"]}
        answer = shop.http.post("/v1/recipients", json=inside, headers=shop.as_(Role.ADMIN))
        assert answer.status_code == 422
        add(shop, f"https://localhost:{ear.port}/")
        phone = shop.phone()
        shop.grant(phone, "train")
        shop.withdraw(phone, "train")
        until(lambda: states(shop) == ["dead"], "it was given up")
        assert "not public" in letters(shop)[0].answer
    assert ear.received == []


def test_who_may_add_recipients(shop):
    said = {"name": "A", "url": "https://a.example/", "purposes": ["train"]}
    for role in (Role.OFFICER, Role.AUDITOR, Role.SERVICE, Role.OPERATOR):
        assert shop.http.post("/v1/recipients", json=said, headers=shop.as_(role)).status_code == 403
    add(shop, "https://a.example/", "A")
    again = shop.http.post("/v1/recipients", json=said, headers=shop.as_(Role.ADMIN))
    assert again.status_code == 409
    wrong = {**said, "name": "B", "purposes": ["nonsense"]}
    assert shop.http.post("/v1/recipients", json=wrong, headers=shop.as_(Role.ADMIN)).status_code == 404


def test_nobody_reads_what_others_recipients_were_told(shop):
    anna, ben = (
        shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)).json()["subject"]
        for _ in range(2)
    )
    path = f"/v1/subjects/{anna}/recipients"
    assert shop.http.get(path, headers=shop.as_(Role.SUBJECT, "app", ben)).status_code == 403


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_waits_grow_and_never_beyond_the_most(tries, drawn):
    wait = retry_seconds(tries, drawn)
    assert 1 <= wait <= MOST_SECONDS
    assert wait <= retry_seconds(tries + 1, 0.999999) or wait == MOST_SECONDS
    assert retry_seconds(tries, 0.0) >= min(FIRST_SECONDS * 2 ** min(tries - 1, 60), MOST_SECONDS) // 2


def test_a_signature_is_of_the_id_and_the_time_too():
    signer = WebhookSigner(SigningKey(bytes(32)))
    said = [
        signer.headers("r", id_, at, b"{}")["webhook-signature"] for id_, at in (("a", 1), ("b", 1), ("a", 2))
    ]
    assert len(set(said)) == 3
    assert signer.secret("r") != signer.secret("s")
    assert signer.pseudonym("r", "s") != signer.pseudonym("s", "r")
