"""Real decryptor processes: whole rounds, kills at every durable write, copies, bad bodies."""

import json
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from shop_rounds import COVEY, PHONES, Shop, command, make_key, problem, serving, wait

from covey_privacy import wire
from covey_privacy.manifest import Windows
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.messages import Complaints

MEMBERS = range(1, 5)

KILLED = """
import os, signal, sys
from contextlib import contextmanager
from covey_server.decryptor import state
plain, seen = state.State._transaction, 0
@contextmanager
def killed(self):
    global seen
    seen += 1
    with plain(self) as db:
        yield db
        if (seen, {when!r}) == ({number}, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
    if seen == {number}:
        os.kill(os.getpid(), signal.SIGKILL)
state.State._transaction = killed
import covey
sys.exit(covey.main())
"""
"""A decryptor that is killed before or after its durable write of that number is committed."""


class Organisations:
    """Two organisations with two keys each, and a shop that pins them."""

    def __init__(self, issuers, folder):
        self.folder = folder
        made = [make_key(folder, number) for number in MEMBERS]
        self.shop = Shop(issuers, [key.public for _, key in made])
        self.sites = self.shop.write_site(folder / "sites")
        self.keys = dict(zip(MEMBERS, (path for path, _ in made), strict=True))

    def serving(self, number, *more, state="", code=None):
        folder = self.folder / (state or f"state-{number}")
        return serving(self.keys[number], self.sites, folder, *more, code=code)


@pytest.fixture
def organisations(issuers, tmp_path):
    return Organisations(issuers, tmp_path)


@pytest.fixture(scope="module")
def one(issuers, tmp_path_factory):
    """One decryptor that runs for the whole module, and its shop."""
    made = Organisations(issuers, tmp_path_factory.mktemp("one"))
    with made.serving(1) as server:
        yield server, made.shop


def seat_and_include(asked, servers):
    asked.seated([servers[number].seat(asked).raise_for_status().content for number in MEMBERS])
    asked.include()


def check(asked, servers):
    for number, server in servers.items():
        said = server.check(asked, number).raise_for_status().content
        assert wire.decode(Complaints, said).members == ()
        asked.players.aggregator.complain(said)


def openings(asked, servers, request):
    return [server.open(asked, request).raise_for_status().content for server in servers.values()]


@pytest.mark.slow
def test_a_whole_round_and_one_that_loses_a_decryptor_between_check_and_open(organisations):
    with ExitStack() as running:
        servers = {number: running.enter_context(organisations.serving(number)) for number in MEMBERS}
        first = organisations.shop.round()
        seat_and_include(first, servers)
        check(first, servers)
        first.require_sum(openings(first, servers, first.finalize()))

        second = organisations.shop.round(organisations.shop.manifest("round-2"))
        seat_and_include(second, servers)
        check(second, servers)
        request = second.finalize()
        servers[4].kill()
        left = {number: servers[number] for number in (1, 2, 3)}
        second.require_sum(openings(second, left, request))

        servers[4] = running.enter_context(organisations.serving(4))
        said = problem(servers[4].open(second, request))
        assert (said["status"], said["class"]) == (410, "AbsentError")
        assert "started again; it is absent from this round" in said["detail"]

        third = organisations.shop.round(organisations.shop.manifest("round-3"))
        seat_and_include(third, servers)
        check(third, servers)
        third.require_sum(openings(third, servers, third.finalize()))
        log = servers[4].client.get("/log.json").json()
    assert [each["round_id"] for each in log["rounds"]] == ["round-3", "round-2", "round-1"]
    assert [bool(each["opened_at"]) for each in log["rounds"]] == [True, False, True]
    assert [each["contributions"] for each in log["rounds"]] == [PHONES] * 3
    assert log["secrets_held"] == 0


STEPS = {2: "seat", 3: "check", 4: "open"}
"""The durable writes after the first, which claims the folder."""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", STEPS)
def test_killed_at_a_durable_write_it_never_gives_a_second_answer(organisations, number, when):
    answered = {"seat": set(), "check": set(), "open": set()}

    def say(step, act, *arguments):
        try:
            answer = act(*arguments)
        except httpx.TransportError:
            return None
        if answer.is_success:
            answered[step].add(answer.content)
        else:
            assert problem(answer)["class"] == "AbsentError"
        return answer

    with ExitStack() as running:
        servers = {each: running.enter_context(organisations.serving(each)) for each in (1, 2, 3)}
        mortal = running.enter_context(organisations.serving(4, code=KILLED.format(number=number, when=when)))
        asked = organisations.shop.round()
        seat = say("seat", mortal.seat, asked)
        if seat is None:
            mortal.process.wait(20)
            mortal = running.enter_context(organisations.serving(4))
            say("seat", mortal.seat, asked)
            if when == "after":
                assert answered["seat"] == set()
                return
        seats = [servers[each].seat(asked).content for each in (1, 2, 3)]
        asked.seated([*seats, *answered["seat"]])
        asked.include()
        check(asked, servers)
        body = asked.check_request(4)
        path = f"/v1/rounds/{asked.digest.hex()}/check"
        if say("check", mortal.post, path, body) is None:
            mortal.process.wait(20)
            mortal = running.enter_context(organisations.serving(4))
            say("check", mortal.post, path, body)
        request = asked.finalize()
        if say("open", mortal.open, asked, request) is None:
            mortal.process.wait(20)
            mortal = running.enter_context(organisations.serving(4))
            say("open", mortal.open, asked, request)
        for step, again in (("seat", (mortal.seat, asked)), ("check", (mortal.post, path, body))):
            if number != 2:
                assert say(step, *again).status_code == 410
        asked.require_sum(openings(asked, servers, request))
    assert all(len(said) <= 1 for said in answered.values())
    assert len(answered["open"]) == (number == 2)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_its_first_write_it_starts_again(organisations, when):
    code = KILLED.format(number=1, when=when)
    folder = organisations.folder / "state-1"
    arguments = command(organisations.keys[1], organisations.sites, folder, code=code)
    killed = subprocess.run(arguments, capture_output=True, cwd=COVEY.parent, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    with organisations.serving(1) as server:
        assert server.seat(organisations.shop.round()).is_success


@pytest.mark.slow
def test_a_clone_beside_it_is_refused(organisations):
    def refused(state, key):
        said = subprocess.run(
            command(key, organisations.sites, organisations.folder / state),
            capture_output=True, text=True, cwd=COVEY.parent, check=False, timeout=60,
        )  # fmt: skip
        assert (said.returncode, said.stdout, said.stderr.count("\n")) == (1, "", 1)
        return said.stderr

    with organisations.serving(1) as server:
        assert server.seat(organisations.shop.round()).is_success
        for name in ("state-1", "moved"):
            (organisations.folder / name).mkdir(exist_ok=True)
        for file in (organisations.folder / "state-1").iterdir():
            (organisations.folder / "moved" / file.name).write_bytes(file.read_bytes())
        cloned = organisations.folder / "cloned.key"
        for suffix in ("", ".state"):
            cloned.with_name(cloned.name + suffix).write_bytes(
                organisations.keys[1].with_name(organisations.keys[1].name + suffix).read_bytes()
            )
        cloned.chmod(0o600)
        assert "uses the state folder" in refused("state-1", organisations.keys[1])
        assert "uses the key" in refused("moved", organisations.keys[1])
        assert "it is a copy" in refused("moved", cloned)


def test_fifty_requests_at_once_get_one_seat(one):
    server, shop = one
    asked = shop.round(shop.manifest("fifty"))
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: server.seat(asked), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


def test_bodies_that_cannot_be_are_one_clear_line_and_the_server_lives(one):
    server, shop = one
    asked = shop.round(shop.manifest("bodies"))
    server.seat(asked).raise_for_status()
    paths = ["/v1/seats", *(f"/v1/rounds/{asked.digest.hex()}/{step}" for step in ("check", "open"))]
    for path in paths:
        for body in (b"", os.urandom(1000), b"\x9f" * 10_000, b"\x83" + os.urandom(50)):
            said = problem(server.post(path, body))
            assert (said["status"], said["rule"]) in {(400, Rule.MESSAGE_FORM), (409, Rule.STEP_ORDER)}, path
        large = bytes(3 * 2**20)
        assert problem(server.post(path, large))["status"] == 413
        chunks = server.client.post(path, content=(large[:65536] for _ in range(48)))
        assert problem(chunks)["status"] == 413
    assert server.seat(asked).is_success


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/seats", 405),
        ("POST", "/v1/nothing", 404),
        ("POST", "/v1/rounds/" + "0" * 64 + "/check", 404),
        ("POST", "/v1/rounds/" + "0" * 64 + "/open", 404),
        ("POST", "/v1/rounds/" + "A" * 64 + "/open", 404),
        ("POST", "/v1/rounds/0/check", 404),
    ],
)
def test_other_addresses_are_problems(one, method, path, status):
    server, _ = one
    assert problem(server.client.request(method, path, content=b"x"))["status"] == status


def test_a_refusal_tells_class_and_rule(one):
    server, shop = one
    said = problem(server.seat(shop.round(shop.manifest("below", honest=9))))
    assert (said["status"], said["class"], said["rule"]) == (403, "ServerError", Rule.MANIFEST_FLOOR)
    first, second = shop.round(shop.manifest("twice")), shop.round(shop.manifest("twice", query="q20"))
    assert server.seat(first).is_success
    said = problem(server.seat(second))
    assert (said["status"], said["class"], said["rule"]) == (409, "ServerError", Rule.STEP_ONCE)


def test_an_unfinished_request_does_not_stop_others(one):
    server, shop = one
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"POST /v1/seats HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        assert server.seat(shop.round(shop.manifest("beside"))).is_success


def test_keys_go_at_the_windows_end_without_a_request(one):
    server, shop = one
    now = int(time.time())
    short = Windows(now - 61, now - 56, now - 55, now - 54)  # open for some seconds, given the tolerance
    before = server.client.get("/log.json").json()["secrets_held"]
    asked = shop.round(shop.manifest("short", windows=short))
    server.seat(asked).raise_for_status()
    assert server.client.get("/log.json").json()["secrets_held"] == before + 1
    wait(lambda: server.client.get("/log.json").json()["secrets_held"] == before)


def test_the_page_is_in_the_language_asked_for(one):
    server, _ = one
    english = server.client.get("/")
    chinese = server.client.get("/", headers={"Accept-Language": "zh-CN"})
    assert "If this program misbehaved" in english.text
    assert '<html lang="zh">' in chinese.text
    assert "default-src 'none'" in english.headers["content-security-policy"]


def test_what_a_program_reads_is_json(one):
    server, shop = one
    found = json.loads(server.client.get("/log.json").text)
    assert found["sites"][0]["operator"] == shop.operator.public.hex()
    assert {"rounds", "totals", "key"} <= set(found)
