import io
import json
import logging
import socket
import threading
import time
from typing import Annotated

import httpx
import pytest
import uvicorn

from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import needs
from covey_consent.app import create_app
from covey_consent.operations import logging_config
from covey_consent.settings import Settings

DEADLINE_SECONDS = 20


@pytest.fixture
def written():
    """Have everything logged, and give what was written."""
    root = logging.getLogger()
    handlers, level, stream = list(root.handlers), root.level, io.StringIO()
    logging_config.configure("DEBUG", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)


def test_traffic_leaves_no_identifier_in_the_journal(shop, written, tmp_path):
    """Phones and staff go about their business, and something fails with a name in its mouth."""
    app, person = shop.http.app, "5f0c1e6f2a7b4c1d9e8f70615243a1b2"

    @app.get("/toy/{subject}")
    async def read_toy(subject: str, caller: Annotated[Caller, needs(Role.OFFICER)]) -> str:
        raise RuntimeError(f"{subject} at 203.0.113.9 asked {caller.name}")

    phone = shop.phone()
    shop.grant(phone, "train")
    shop.tickets(phone, shop.issuer("train"))
    headers = shop.as_(Role.OFFICER, "alice.liddell") | {"covey-reason": "a-telling-reason"}
    assert (
        shop.http.get(f"/toy/{person}", params={"mail": "p@shop.example"}, headers=headers).status_code == 500
    )
    shop.http.get(f"/nowhere/{person}?q=telling")
    lines = written()
    text = json.dumps(lines)
    assert any(line["event"] == "answered" and line["route"] == "/v1/tickets" for line in lines)
    (failed,) = [line for line in lines if line["event"] == "a request failed"]
    assert (failed["error"], failed["route"]) == ("RuntimeError", "/toy/{subject}")
    assert any("read_toy" in frame for frame in failed["at"])
    token = headers["authorization"].removeprefix("Bearer ")
    for telling in (
        person, phone.device.hex(), phone.device.hex()[:16], "203.0.113.9", "testclient", "alice", "telling",
        "p@shop.example", "?q", token, token.split(".")[1], shop.http.get("/checkpoint").text.split("\n")[2],
    ):  # fmt: skip
        assert telling not in text, telling


def test_a_real_server_s_journal_is_json_without_an_address(written, tmp_path):
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path}/r.db", key_file=tmp_path / "k"))

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError("203.0.113.9")

    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        end = time.monotonic() + DEADLINE_SECONDS
        while not server.started and time.monotonic() < end and thread.is_alive():
            time.sleep(0.02)
        assert httpx.get(f"{url}/fails?who=me", timeout=DEADLINE_SECONDS).status_code == 500
        server.should_exit = True
        thread.join()
    text = json.dumps(written())
    assert "startup complete" in text
    assert "RuntimeError" in text
    for telling in ("203.0.113.9", "127.0.0.1", "who=me"):
        assert telling not in text


@pytest.mark.parametrize(
    "telling",
    [
        "5f0c1e6f2a7b4c1d9e8f70615243a1b2",
        "192.0.2.7:443",
        "2001:db8::7:1",
        "?subject=5f",
        "a@b.example",
        "eyJhbGciOi.x.y",
    ],
)
def test_what_looks_like_an_identifier_is_cut(telling):
    event = {"event": f"no answer to {telling} yet", "list": [f"({telling})"]}
    cut = logging_config.without_identifiers(None, "", event)
    assert telling not in json.dumps(cut)
    assert cut["event"] == "no answer to [cut] yet"


@pytest.mark.parametrize(
    "plain", ["12:34:56", "store.py:12 read", "epoch 20833", "version 2.1.0", "is it? yes"]
)
def test_what_does_not_is_left(plain):
    assert logging_config.without_identifiers(None, "", {"event": plain}) == {"event": plain}
