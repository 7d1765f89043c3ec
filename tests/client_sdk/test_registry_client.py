import json
import shutil
from dataclasses import replace
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import httpx
import pytest

from covey_consent.access.roles import Caller, Role
from covey_consent.notices import files
from covey_privacy import wire
from covey_privacy.checkpoint import EMPTY_LOG, Checkpoint
from covey_privacy.merkle import leaf_hash
from covey_privacy.registry_messages import (
    LEAF_ISSUER,
    SYNC,
    TICKETS,
    Batch,
    Issuer,
    Notices,
    Sync,
    Synced,
    TicketRequest,
)
from covey_privacy.signatures import SigningKey, sign
from covey_privacy.tickets import receive, request
from covey_sdk import RegistryClient, RegistryError, Trust
from covey_sdk.clock import milliseconds

ORIGIN = "covey.test/log"
PURPOSES = ("analytics", "personalize")
EPOCH_SECONDS = 86_400


def look(way, device, last=EMPTY_LOG, seen=""):
    now = device.clock.now()
    asked = Sync(device.key.public, milliseconds(now), last.size)
    return way.sync(sign(SYNC, asked, device.key), last, seen, int(now.timestamp()))[1]


@pytest.fixture
def epoch(clock):
    return int(clock.now.timestamp()) // EPOCH_SECONDS


@pytest.fixture
def grown(shop, device, epoch):
    """The log's head after an issuer key was added."""
    way = shop.way()
    before = look(way, device)
    with pytest.raises(RegistryError, match="404"):
        way.issuer(PURPOSES, epoch, before)
    return look(way, device, before)


def replacing(path, content, status=200):
    """Answer requests for `path` with something else."""

    def answer(asked, response):
        if asked.url.path.startswith(path):
            return httpx.Response(status, content=content(response) if callable(content) else content)
        return response

    return answer


def test_notices_are_signed_by_the_pinned_registry(shop):
    assert {"core", "personalize", "analytics", "train"} <= shop.way().notices().keys()
    stranger = Trust(shop.operator.public, SigningKey(b"\1" * 32).public, "covey.test/log")
    with pytest.raises(RegistryError, match="notices is not believed"):
        RegistryClient(shop.http, stranger).notices()


def test_the_log_only_grows(shop, device, grown):
    way = shop.way()
    assert look(way, device, grown) == grown
    forked = Checkpoint(grown.origin, grown.size, bytes(32))
    with pytest.raises(RegistryError, match="rewritten"):
        look(way, device, forked)
    with pytest.raises(RegistryError):
        look(way, device, Checkpoint(grown.origin, grown.size + 5, grown.root))


def test_a_head_of_another_signer_origin_or_shape_is_refused(shop, device):
    other = Trust(shop.operator.public, shop.registry, "other.test/log")
    with pytest.raises(RegistryError, match=r"'other\.test/log' was expected"):
        look(RegistryClient(shop.http, other), device)
    stranger = Trust(shop.operator.public, SigningKey(b"\1" * 32).public, "covey.test/log")
    with pytest.raises(RegistryError, match="not signed by its key"):
        look(RegistryClient(shop.http, stranger), device)
    shop.answer = replacing("/v1/sync", b"\x80")
    with pytest.raises(RegistryError, match="sync is not believed"):
        look(shop.way(), device)


def test_an_issuer_key_is_proven_to_be_in_the_log(shop, device, grown, epoch):
    way = shop.way()
    issuer = way.issuer(reversed(PURPOSES), epoch, grown)
    assert (issuer.keys.purposes, issuer.keys.epoch) == (PURPOSES, epoch)
    assert way.inclusion(leaf_hash(LEAF_ISSUER + wire.encode(issuer.keys)), grown) == issuer.index
    with pytest.raises(RegistryError, match="inclusion proof is not believed"):
        shop.way().issuer(PURPOSES, epoch, Checkpoint(grown.origin, grown.size, bytes(32)))


def test_an_issuer_key_for_something_else_is_refused(shop, device, grown, epoch):
    other = shop.http.get(f"/v1/issuers/{epoch}/train").content
    shop.answer = replacing("/v1/issuers", other)
    with pytest.raises(RegistryError, match="others came"):
        shop.way().issuer(PURPOSES, epoch, grown)


def test_an_issuer_key_that_is_not_in_the_log_is_refused(shop, device, grown, epoch):
    def made_for_one(response):
        issuer = wire.decode(Issuer, response.content)
        (first, *others) = issuer.keys.volunteer
        key = bytes([*first[:-9], first[-9] ^ 1, *first[-8:]])
        return wire.encode(replace(issuer, keys=replace(issuer.keys, volunteer=(key, *others))))

    shop.answer = replacing("/v1/issuers", made_for_one)
    with pytest.raises(RegistryError, match="404"):
        shop.way().issuer(PURPOSES, epoch, grown)


@pytest.mark.parametrize("alike", ["contribute", "volunteer"])
def test_issuer_keys_that_are_alike_are_refused(shop, device, grown, epoch, alike):
    """Two tickets under one key would let one person take part twice in a round."""

    def twice(response):
        issuer = wire.decode(Issuer, response.content)
        first = getattr(issuer.keys, alike)[0]
        return wire.encode(replace(issuer, keys=replace(issuer.keys, **{alike: (first, first)})))

    shop.answer = replacing("/v1/issuers", twice)
    with pytest.raises(RegistryError, match="one for each role and slot was expected"):
        shop.way().issuer(PURPOSES, epoch, grown)


def test_an_index_that_is_not_the_leafs_is_refused(shop, device, grown, epoch):
    def moved(response):
        issuer = wire.decode(Issuer, response.content)
        return wire.encode(replace(issuer, index=issuer.index + 1))

    shop.answer = replacing("/v1/issuers", moved)
    with pytest.raises(RegistryError, match="do not stand at"):
        shop.way().issuer(PURPOSES, epoch, grown)


def test_what_cannot_change_is_asked_once(shop, device, grown, epoch):
    way = shop.way()
    way.issuer(PURPOSES, epoch, grown)
    before = len(shop.seen)
    way.issuer(PURPOSES, epoch, grown)
    assert len(shop.seen) == before


def test_tickets_are_those_of_the_issuer(shop, device, grown, epoch):
    device.grant("analytics")
    way = shop.way()
    issuer = way.issuer(PURPOSES, epoch, grown)
    pending = request(issuer.keys)
    blinded = tuple(one.blinded for one in pending)
    asked = TicketRequest(device.key.public, milliseconds(device.clock.now()), PURPOSES, epoch, blinded)
    answer = way.tickets(sign(TICKETS, asked, device.key))
    received = receive(issuer.keys, pending, answer.signatures)
    for key, ticket_of in zip(received, issuer.keys, strict=True):
        key.ticket.check(ticket_of)


def test_a_refusal_says_why_in_one_line(shop, opened, tmp_path):
    stranger = opened(tmp_path / "stranger.db")
    with pytest.raises(RegistryError, match=r"refuses /v1/sync \(404\): .+") as raised:
        stranger.sync()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[" * 50_000, b'{"detail": 7}', b'["x"]'])
def test_a_refusal_without_a_reason_is_still_one_line(shop, content):
    shop.answer = replacing("/v1/notices", content, 503)
    with pytest.raises(RegistryError, match=r"refuses /v1/notices \(503\): no reason given"):
        shop.way().notices()


def test_a_redirect_is_not_followed(shop):
    shop.answer = lambda asked, _: httpx.Response(302, headers={"location": "http://elsewhere/"})
    with pytest.raises(RegistryError, match="302"):
        shop.way().notices()


def test_a_long_answer_is_not_read(shop):
    shop.answer = replacing("/v1/notices", bytes(2**20 + 1))
    with pytest.raises(RegistryError, match="longer than 1048576 bytes"):
        shop.way().notices()


def test_an_unreachable_registry_is_one_line(shop, device):
    shop.reachable = False
    with pytest.raises(RegistryError, match="cannot be reached: no route"):
        shop.way().enrol(Batch((b"x",), (bytes(32),)))


class Line(StreamRequestHandler):
    """Answers the first request of a line and breaks it at the second; without `answers`, at the first."""

    answers = True

    def handle(self):
        for answered in (False, True):
            while self.rfile.readline().strip():
                pass
            self.server.asked += 1
            if answered or not self.answers:
                return
            notices = wire.encode(Notices(()))
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(notices), notices))


@pytest.fixture
def breaking():
    """A server whose lines break, as its address and itself."""
    with ThreadingTCPServer(("127.0.0.1", 0), Line) as server:
        server.asked = 0
        Thread(target=server.serve_forever).start()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_address[1]}") as client:
            yield RegistryClient(client, Trust(bytes(32), bytes(32), ORIGIN)), server
        server.shutdown()


def test_a_line_that_breaks_as_it_is_used_again_loses_nothing(breaking):
    way, server = breaking
    assert [way.notices() for _ in range(3)] == [{}, {}, {}]
    assert server.asked == 5


def test_a_server_that_breaks_every_line_is_asked_twice(breaking, monkeypatch):
    way, server = breaking
    monkeypatch.setattr(Line, "answers", False)
    with pytest.raises(RegistryError, match="cannot be reached"):
        way.notices()
    assert server.asked == 2


def test_no_cookie_is_kept(shop, device):
    def baking(asked, response):
        assert "cookie" not in asked.headers
        return httpx.Response(response.status_code, content=response.content, headers={"set-cookie": "id=7"})

    shop.answer = baking
    way = shop.way()
    way.notices()
    look(way, device)


def test_a_notice_older_than_one_seen_is_refused(shop, device, notice):
    newer = dict(device.consents.notices)
    newer["analytics"] = notice("analytics", version=9)
    device.consents.keep_notices(newer)
    with pytest.raises(RegistryError, match=r"shows notice 1\.0\.0 for 'analytics'; older than 9\.0\.0"):
        device.sync()


def test_a_refused_sync_changes_nothing(shop, device, clock):
    before = device.consents.checkpoint, device.consents.synced_at
    clock.forward(hours=1)

    def unsigned(response):
        synced = wire.decode(Synced, response.content)
        return wire.encode(replace(synced, choices=(), checkpoint="x" + synced.checkpoint))

    shop.answer = replacing("/v1/sync", unsigned)
    with pytest.raises(RegistryError):
        device.sync()
    assert (device.consents.checkpoint, device.consents.synced_at) == before
    assert device.gate().allows("personalize")


def republished(shop, clock, version):
    """Publish the notice for analytics under another version, with the version in its words."""
    file = json.loads(files.packaged()["analytics"].model_dump_json()) | {"version": version}
    file["texts"]["en"]["text"] += f"\n\nThis is {version}."
    tokens = shop.http.app.state.registry.tokens
    for name in ("ada", "grace"):
        token = tokens.mint(Caller(Role.ADMIN, name), int(clock.now.timestamp()), 60)
        answer = shop.http.post("/v1/notices", json=file, headers={"authorization": f"Bearer {token}"})
    assert answer.json()["version"] == version


def test_a_minor_keeps_the_grant_and_shows_the_new_text(shop, device, clock):
    device.grant("analytics")
    republished(shop, clock, "1.1.0")
    device.sync()
    assert device.gate().allows("analytics")
    assert "This is 1.1.0." in device.notices["analytics"].text("en").text
    republished(shop, clock, "1.1.1")
    device.sync()
    assert device.notices["analytics"].semver == "1.1.1"
    assert device.gate().allows("analytics")


def test_a_major_closes_the_gate_until_the_person_is_asked_again(shop, device, clock):
    device.grant("analytics")
    republished(shop, clock, "2.0.0")
    device.sync()
    assert not device.gate().allows("analytics")
    assert device.gate().allows("personalize")
    device.grant("analytics")
    assert device.gate().allows("analytics")


@pytest.mark.parametrize("older", [(1, 0, 9), (1, 1, 0), (0, 9, 9)])
def test_a_text_older_than_one_seen_is_refused_within_a_major_too(device, older):
    def shelf(version, minor, patch):
        notices = dict(device.consents.notices)
        changes = {"version": version, "minor": minor, "patch": patch}
        return notices | {"analytics": replace(notices["analytics"], **changes)}

    device.consents.keep_notices(shelf(1, 1, 1))
    with pytest.raises(RegistryError, match=r"older than 1\.1\.1"):
        device.consents.keep_notices(shelf(*older))
    device.consents.keep_notices(shelf(1, 1, 2))


def test_a_new_notice_version_turns_the_purpose_off_until_asked_again(
    shop, running, opened, device, order, tmp_path
):
    device.record(order(1))
    device.grant("analytics")
    shutil.copytree(tmp_path, tmp_path / "later")  # One registry at a time writes to a database.
    later = f"sqlite:///{tmp_path}/later/registry.db"
    with running(epsilon={"analytics": 1.5, "train": 2.0}, database_url=later) as changed:
        assert changed.way().notices()["analytics"].version == 2
        device.registry_sync._registry = changed.way()
        device.sync()
        assert not device.gate().allows("analytics")
        assert device.gate().allows("personalize")
        device.grant("analytics")
        assert device.gate().allows("analytics")
