"""A witness over HTTP: it cosigns the heads of the logs that it follows (C2SP tlog-witness).

The note that it cosigned last is on disk before anyone is answered: killed at any moment, it never signs two
heads that do not continue one another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

from fastapi import FastAPI, Request, Response

from covey_consent.api import problems
from covey_consent.api.http import body
from covey_consent.errors import ConsentRegistryError
from covey_consent.operations import http_server
from covey_consent.storage import key_file
from covey_consent.witness.witness_store import LastSeen
from covey_privacy.errors import ServerError
from covey_privacy.note import COSIGNATURE, ED25519, VerifierKey
from covey_privacy.signatures import SigningKey
from covey_privacy.split_view import LogVerdict, check_evidence
from covey_privacy.witness import REQUEST_LIMIT, Cosigned, Refused, Witness, parse_request

__all__ = ["ConsentRegistryError", "create_app", "serve", "verifier_key"]


class Desk:
    """Where one request after another is decided; `clock` gives Unix seconds."""

    def __init__(self, witness: Witness, last_seen: LastSeen, clock: Callable[[], float]) -> None:
        self._witness, self._last_seen, self._clock = witness, last_seen, clock
        self._one_at_a_time = Lock()

    def answer(self, asked: bytes) -> Cosigned | Refused:
        """Return the answer to a request, with what it changes on disk. Raises ServerError."""
        request = parse_request(asked)
        origin = request.checkpoint.origin
        with self._one_at_a_time:
            answer = self._witness.add_checkpoint(request, self._last_seen.note(origin), int(self._clock()))
            if isinstance(answer, Cosigned):
                self._last_seen.keep(origin, answer.seen)
            elif answer.evidence and self._convicts(answer.evidence, origin):
                self._last_seen.accuse(origin, answer.evidence)
        return answer

    def _convicts(self, evidence: bytes, origin: str) -> bool:
        return check_evidence(evidence, self._witness.logs[origin]) is LogVerdict.FORKED


def create_app(witness: Witness, folder: Path, clock: Callable[[], float] = time.time) -> FastAPI:
    """Return the witness as an ASGI application that keeps what it saw in `folder`.

    Raises DamageError when another process uses the folder, or what it holds is not of the logs followed.
    """
    app = FastAPI(title=f"Covey witness {witness.name}", version="1")
    desk = Desk(witness, LastSeen(folder, witness.logs), clock)
    problems.install(app)

    @app.post("/add-checkpoint")
    async def add_checkpoint(request: Request) -> Response:
        """Cosign a head that continues the last one; answer as tlog-witness says otherwise."""
        try:
            return _response(await asyncio.to_thread(desk.answer, await body(request, REQUEST_LIMIT)))
        except ServerError as error:
            return problems.problem(400, str(error))

    return app


def verifier_key(name: str, folder: Path) -> VerifierKey:
    """Return the key by which logs and phones know the witness that keeps `folder`."""
    return VerifierKey(name, COSIGNATURE, _key(folder).public)


def serve(
    host: str, port: int, name: str, folder: Path, logs: Sequence[str], *, tell: http_server.Tell
) -> None:
    """Serve a witness of the logs with these verifier keys until interrupted. Raises ValueError.

    `tell` gets the address once requests are answered there.
    """
    followed = [VerifierKey.parse(vkey) for vkey in logs]
    if any(log.algorithm != ED25519 for log in followed):
        raise ValueError("a log's key is of the type for Ed25519, 0x01; `covey registry key` prints it")
    verifier_key(name, folder)  # It says what is wrong with a name before anyone asks.
    witness = Witness(name, _key(folder), {log.name: log.public for log in followed})
    app = create_app(witness, folder)
    http_server.serve(app, host, port, tell, access_log=False, server_header=False, ws="none")


def _response(answer: Cosigned | Refused) -> Response:
    if isinstance(answer, Cosigned):
        return Response(answer.line, media_type="text/plain; charset=utf-8")
    if answer.body:
        return Response(answer.body, answer.status, media_type="text/x.tlog.size")
    return problems.problem(answer.status, answer.reason)


def _key(folder: Path) -> SigningKey:
    """Return the key in the folder, both made at first."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return key_file.load_or_create(folder / "witness.key")
