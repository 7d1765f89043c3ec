"""Deliveries to recipients, and every other background loop, go on after a failure.

A database outage of some seconds, or one recipient with a strange answer, ended all deliveries until the next
start, and /readyz went on to say 200.
"""

import asyncio
import re
import socket
import threading
import time
from contextlib import closing, contextmanager, suppress

import psycopg
import pytest
import uvicorn
from postgresql import execute
from sqlalchemy import select
from test_recipients import DEADLINE, PATIENT, QUICK, add, letters, listening, states, until

from covey_consent.access.roles import Role
from covey_consent.recipients.register import Notification, Recipient
from covey_consent.witness import witness
from covey_privacy.note import COSIGNATURE, ED25519, VerifierKey, parse
from covey_privacy.signatures import SigningKey
from covey_privacy.witness import Witness, cosigned_at

OUTAGE_SECONDS = 3.0
"""The delivery loop looks every 20 ms: it meets the outage many times."""

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For a test that is not about the database."""


class Proxy:
    """A TCP proxy in front of a PostgreSQL server. While it is cut, nobody is connected or connects."""

    def __init__(self, url: str) -> None:
        self._to = psycopg.conninfo.conninfo_to_dict(url)
        self._ends: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._accept(self._listening)

    @property
    def url(self) -> str:
        return f"postgresql://{self._to['user']}@127.0.0.1:{self.port}/{self._to['dbname']}"

    def cut(self) -> None:
        # Closing alone does not wake the thread that accepts.
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()

    def mend(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._accept(self._listening)

    def _accept(self, listening: socket.socket) -> None:
        def accept() -> None:
            with suppress(OSError):
                while True:
                    near, far = listening.accept()[0], self._connect()
                    self._ends += [near, far]
                    for pair in ((near, far), (far, near)):
                        threading.Thread(target=_pump, args=pair, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = self._to.get("host", "127.0.0.1"), int(self._to.get("port", 5432))
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        far = socket.socket(socket.AF_UNIX)
        far.connect(f"{host}/.s.PGSQL.{port}")
        return far


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(database_url):
    proxy = Proxy(database_url)
    yield proxy
    proxy.cut()


def ready(shop) -> int:
    return shop.http.get("/readyz").status_code


def outage(shop, proxy, seconds=OUTAGE_SECONDS) -> None:
    """Cut the registry off from its database for so long."""
    proxy.cut()
    end = time.monotonic() + seconds
    until(lambda: ready(shop) == 503 and time.monotonic() > end, "the outage lasted, and /readyz said so")
    proxy.mend()
    until(lambda: ready(shop) == 200, "the database is back")


@contextmanager
def answering(answer: bytes):
    """A recipient that answers every request with these bytes; yields its URL and the requests."""
    received: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with closing(connection), suppress(OSError):
                    connection.settimeout(DEADLINE)
                    data = b""
                    while b"\r\n\r\n" not in data or not data.partition(b"\r\n\r\n")[2]:
                        data += connection.recv(65536)
                    received.append(data)
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/", received
    finally:
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def redirect(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode("latin-1")


@ON_POSTGRESQL
def test_delivery_worker_survives_a_database_outage(opened, proxy):
    with listening(200) as ear, opened(database_url=proxy.url, **PATIENT) as shop:
        add(shop, ear.url)
        phone = shop.phone()
        shop.grant(phone, "train", "marketing")
        shop.withdraw(phone, "train")
        until(lambda: states(shop) == ["told"], "it was told before the outage")
        outage(shop, proxy)
        shop.withdraw(phone, "marketing")
        until(lambda: states(shop) == ["told", "told"], "it was told after the outage")
    assert len({one.id for one in ear.received}) == 2


@ON_SQLITE
@pytest.mark.parametrize(
    "answer",
    [
        redirect("mailto:x"),
        redirect("http://["),
        redirect("//:99999999"),
        redirect("\x00"),
        redirect("http://" + "a" * 5000 + ".example/"),
        b"HTTP/1.1 302 Found\r\nlocation: \xff\xfe\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200\x00 OK\r\n\r\n",
        b"no HTTP \xff\x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 999 \xe9\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 500 No\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
        b"",
    ],
    ids=range(12),
)
def test_delivery_worker_survives_any_answer_of_one_recipient(opened, answer):
    with answering(answer) as (url, received), listening(200) as ear, opened(**PATIENT) as shop:
        strange = add(shop, url, "Strange")["id"]
        good = add(shop, ear.url, "Good")["id"]
        phone = shop.phone()
        shop.grant(phone, "train", "marketing")
        shop.withdraw(phone, "train")

        def noted(recipient, name):
            return [getattr(one, name) for one in letters_of(shop, recipient)]

        until(lambda: received and noted(strange, "tries") == [1], "the answer was noted at its letter")
        until(lambda: noted(good, "state") == ["told"], "the other was told")
        shop.withdraw(phone, "marketing")
        until(lambda: noted(good, "state") == ["told", "told"], "the other was told again")
        until(lambda: noted(strange, "tries") == [1, 1], "the strange one was asked again")
        assert all(one and one.isascii() for one in noted(strange, "answer"))
        assert shop.http.get("/readyz").json()["loops"]["deliveries"]["state"] == "running"


@ON_SQLITE
def test_no_cookie_of_one_recipient_reaches_another(opened):
    taking = b"HTTP/1.1 200 OK\r\nset-cookie: who=one\r\ncontent-length: 0\r\n\r\n"
    with answering(taking) as (url, received), listening(200) as ear, opened(**PATIENT) as shop:
        add(shop, url, "One")
        phone = shop.phone()
        shop.grant(phone, "train", "marketing")
        shop.withdraw(phone, "train")
        until(lambda: states(shop) == ["told"], "the first was told")
        add(shop, ear.url, "Other")
        shop.withdraw(phone, "marketing")
        until(lambda: states(shop) == ["told"] * 3, "both were told")
    assert "cookie" not in ear.received[0].headers
    assert not any(b"\ncookie" in one.lower() for one in received)


@ON_SQLITE
def test_a_letter_that_cannot_be_sent_is_noted_and_the_others_go_on(opened):
    with listening(200) as ear, opened(**PATIENT) as shop:
        broken = add(shop, ear.url, "Broken")["id"]
        add(shop, ear.url, "Good")
        shop.http.portal.call(shop.http.app.state.registry.store.write, _break_url, broken)
        phone = shop.phone()
        shop.grant(phone, "train")
        shop.withdraw(phone, "train")
        until(lambda: sorted(states(shop)) == ["told", "waiting"], "the good one was told")
        until(lambda: letters_of(shop, broken)[0].tries == 1, "the attempt was noted")
        assert letters_of(shop, broken)[0].answer


def _break_url(session, recipient) -> None:
    """Name a port that no connection can be made to: what that raises is no error of HTTP's."""
    session.get(Recipient, recipient).url = "http://127.0.0.1:99999/"


def letters_of(shop, recipient):
    return [one for one in letters(shop) if one.recipient == recipient]


def refuse_updates(url: str, code: str, condition: str = "true") -> None:
    """Have the database refuse to change rows of notifications, with this SQLSTATE."""
    execute(
        url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$",
        "CREATE TRIGGER refuse BEFORE UPDATE ON notifications FOR EACH ROW "
        f"WHEN ({condition}) EXECUTE FUNCTION refuse()",
    )


def allow_updates(url: str) -> None:
    execute(url, "DROP FUNCTION refuse CASCADE")


@ON_POSTGRESQL
def test_a_recipient_is_not_flooded_while_its_answers_cannot_be_noted(opened, database_url):
    with listening(200) as ear, opened(**PATIENT) as shop:
        add(shop, ear.url)
        phone = shop.phone()
        shop.grant(phone, "train")
        refuse_updates(database_url, "53100")
        try:
            shop.withdraw(phone, "train")
            end = time.monotonic() + OUTAGE_SECONDS
            until(lambda: ear.received and time.monotonic() > end, "it was sent")
            assert len(ear.received) <= 5
        finally:
            allow_updates(database_url)
        until(lambda: states(shop) == ["told"], "it was told and noted")
        assert len({one.id for one in ear.received}) == 1


@ON_POSTGRESQL
def test_one_letter_that_cannot_be_noted_holds_up_no_other(opened, database_url):
    with listening(200) as ear, opened(**PATIENT) as shop:
        added = add(shop, ear.url)
        phones = [shop.phone() for _ in range(4)]
        for phone in phones:
            shop.grant(phone, "train")
        switch(shop, added["id"], active=False)
        for phone in phones:
            shop.withdraw(phone, "train")
        first = letters(shop)[0].id
        refuse_updates(database_url, "22000", f"OLD.id = '{first}'")
        try:
            switch(shop, added["id"], active=True)
            until(lambda: sorted(states(shop)) == ["told"] * 3 + ["waiting"], "the others were told")
        finally:
            allow_updates(database_url)
        until(lambda: states(shop) == ["told"] * 4, "all were told")


def switch(shop, recipient, *, active):
    path, admin = f"/v1/recipients/{recipient}", shop.as_(Role.ADMIN)
    answer = shop.http.patch(path, json={"active": active}, headers=admin | {"if-match": "*"})
    assert answer.status_code == 200, answer.text


@contextmanager
def witnessing(folder, log_key):
    """A witness's own server; yields what the registry is configured with."""
    key = SigningKey(b"\5" * 32)
    app = witness.create_app(Witness("witness.test/1", key, {log_key.name: log_key.public}), folder)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listening_at:
        url = f"http://127.0.0.1:{listening_at.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening_at]})
        thread.start()
        try:
            until(lambda: server.started, "the witness serves")
            yield {"vkey": VerifierKey("witness.test/1", COSIGNATURE, key.public).vkey, "url": url}
        finally:
            server.should_exit = True
            thread.join()


@ON_POSTGRESQL
def test_heads_are_cosigned_after_a_database_outage(opened, proxy, tmp_path):
    with opened(database_url=proxy.url) as shop:
        log_key = VerifierKey("covey.test/log", ED25519, shop.registry.public)
    (tmp_path / "w").mkdir()
    with witnessing(tmp_path / "w", log_key) as at:
        key = VerifierKey.parse(at["vkey"])
        settings = {"witnesses": [at], "witness_every_seconds": 1.0, "database_url": proxy.url}
        with opened(**settings) as shop:

            def cosigned() -> bool:
                return cosigned_at(parse(shop.http.get("/checkpoint").text), key) is not None

            until(cosigned, "the head is cosigned")
            outage(shop, proxy, 4.0)
            before = shop.checkpoint().size
            shop.issuer("core")
            assert shop.checkpoint().size > before
            until(cosigned, "the next head is cosigned after the outage")
            assert shop.http.get("/readyz").json()["loops"]["cosignatures"]["state"] == "running"


@ON_SQLITE
@pytest.mark.parametrize("loop", ["publishing", "upkeep", "purging", "deliveries"])
def test_a_loop_that_fails_is_started_again_and_shown(opened, loop, monkeypatch):
    from covey_consent.maintenance import Upkeep
    from covey_consent.recipients.outbox import Outbox
    from covey_consent.rights import erasure
    from covey_consent.transparency.promises import Publisher

    owner, name = {
        "publishing": (Publisher, "publish"),
        "upkeep": (Upkeep, "recall"),
        "purging": (erasure, "vacuum_if_erased"),
        "deliveries": (Outbox, "awaited"),
    }[loop]
    works, fails = getattr(owner, name), threading.Event()
    calls: list[bool] = []

    def work(*args):
        calls.append(fails.is_set())
        if fails.is_set():
            raise LookupError("nobody foresaw this")
        return works(*args)

    fails.set()
    monkeypatch.setattr(owner, name, work)
    with opened(**QUICK) as shop:

        def entry():
            return shop.http.get("/readyz").json()["loops"][loop]

        until(lambda: len(calls) >= 2, "it was started again")
        assert entry()["state"] == "failing"
        assert entry()["error"] == "LookupError"
        assert metric(shop, "covey_registry_loop_up")[loop] == 0
        assert metric(shop, "covey_registry_loop_failures_total")[loop] >= 2
        fails.clear()
        until(lambda: entry()["state"] == "running", "it works again")
        assert metric(shop, "covey_registry_loop_up")[loop] == 1
        assert metric(shop, "covey_registry_loop_idle_seconds")[loop] < DEADLINE


def metric(shop, name) -> dict[str, float]:
    text = shop.http.get("/metrics", headers=shop.as_(Role.OPERATOR)).text
    found = re.findall(rf'^{name}(?:{{\w+="([\w ]+)"}})? (\S+)$', text, re.MULTILINE)
    return {label: float(value) for label, value in found}


@ON_SQLITE
def test_every_loop_has_an_entry(opened):
    with opened() as shop:
        loops = shop.http.get("/readyz").json()["loops"]
        assert set(loops) == {"clock", "deliveries", "publishing", "purging", "upkeep"}
        assert {*metric(shop, "covey_registry_loop_up")} == set(loops)


def test_the_age_of_the_oldest_undelivered_letter_is_shown(opened):
    with opened(**QUICK, recipient_tries=2) as shop, listening(500) as ear:
        add(shop, ear.url)
        phone = shop.phone()

        def oldest():
            (seconds,) = metric(shop, "covey_registry_oldest_letter_seconds").values()
            return seconds

        assert oldest() == 0
        shop.grant(phone, "train")
        shop.withdraw(phone, "train")
        until(lambda: letters(shop)[0].tries == 1, "it was tried once")
        shop.clock.now += 2
        assert oldest() == 2
        assert shop.http.get("/readyz").json()["letters"] == {"oldest_hours": 0}
        assert metric(shop, "covey_registry_letters") == {"waiting": 1, "dead": 0}
        shop.http.portal.call(postpone, shop)
        shop.clock.now += 2 * 3600
        assert shop.http.get("/readyz").json()["letters"] == {"oldest_hours": 2}
        assert oldest() == 7202
        shop.clock.now += 86400
        until(lambda: states(shop) == ["dead"], "it was given up")
        assert oldest() == 0
        assert metric(shop, "covey_registry_letters") == {"waiting": 0, "dead": 1}


async def postpone(shop) -> None:
    """Have the letters wait for longer than they would."""

    def work(session):
        for letter in session.scalars(select(Notification)):
            letter.due_at += 3 * 3600

    await shop.http.app.state.registry.store.write(work)


def test_a_supervised_loop_is_started_again_whatever_ends_it():
    from covey_consent.operations.supervision import Loop, Supervisor

    runs: list[int] = []

    async def work(done):
        runs.append(len(runs))
        if len(runs) == 1:
            raise RuntimeError("a mistake")
        if len(runs) == 2:
            return  # It was to run until it is cancelled.
        if len(runs) == 3:
            # A cancelled future that it waits for is an error of its work: nobody cancelled the loop.
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        done()
        await asyncio.Event().wait()

    async def other(done):
        while True:
            done()
            await asyncio.sleep(0)

    async def scene():
        supervisor = Supervisor([Loop("work", work), Loop("other", other)], first=0.001)
        task = asyncio.create_task(supervisor.run())
        async with asyncio.timeout(DEADLINE):
            while len(runs) < 4 or supervisor.states()["work"].state != "running":
                await asyncio.sleep(0)
        states = supervisor.states()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        return states

    states = asyncio.run(scene())
    assert states["work"].failures == 3
    assert states["other"].failures == 0


@ON_SQLITE
def test_a_needed_loop_that_stands_still_for_long_is_not_ready(opened, problem, monkeypatch):
    from covey_consent.operations import supervision

    with opened(**QUICK) as shop:
        assert ready(shop) == 200
        now, stands_still = time.monotonic, threading.Event()
        registry = shop.http.app.state.registry
        hold = registry.delivery_worker.store.read

        async def read(work, *args):
            if work == registry.outbox.awaited:
                stands_still.set()
                await asyncio.Event().wait()  # As a database that never answers.
            return await hold(work, *args)

        monkeypatch.setattr(registry.store, "read", read)
        until(stands_still.is_set, "deliveries stand still")
        monkeypatch.setattr(registry.supervisor, "_clock", lambda: now() + supervision.STALLED_SECONDS)
        until(lambda: ready(shop) == 503, "the registry is not ready")

        def standing():
            return problem(shop.http.get("/readyz"), 503)

        until(lambda: "publishing" not in standing(), "publishing went on")
        assert "deliveries" in standing()
