"""A witness over HTTP: it cosigns the heads of the logs that it follows (C2SP tlog-witness).

The note that it cosigned last is on disk before a request is answered: killed at any moment, it never signs
two inconsistent heads.
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
from covey_consent.witness.witness_store import WitnessStore
from covey_privacy.errors import ServerError
from covey_privacy.note import COSIGNATURE, ED25519, VerifierKey
from covey_privacy.signatures import SigningKey
from covey_privacy.split_view import LogVerdict, check_evidence
from covey_privacy.witness import REQUEST_LIMIT, Cosigned, Refused, Witness, parse_request

__all__ = ["ConsentRegistryError", "create_app", "serve", "verifier_key"]


class CosigningService:
    """Answers requests for cosignatures, one at a time; `clock` gives Unix seconds."""

    def __init__(self, witness: Witness, store: WitnessStore, clock: Callable[[], float]) -> None:
        self._witness, self._store, self._clock = witness, store, clock
        self._lock = Lock()

    def answer(self, body: bytes) -> Cosigned | Refused:
        """Return the answer to a request, once what it changes is on disk. Raises ServerError."""
        request = parse_request(body)
        origin = request.checkpoint.origin
        with self._lock:
            answer = self._witness.add_checkpoint(request, self._store.note(origin), int(self._clock()))
            if isinstance(answer, Cosigned):
                self._store.keep(origin, answer.seen)
            elif (
                answer.evidence
                and check_evidence(answer.evidence, self._witness.logs[origin]) is LogVerdict.FORKED
            ):
                self._store.keep_evidence(origin, answer.evidence)
        return answer


def create_app(witness: Witness, folder: Path, clock: Callable[[], float] = time.time) -> FastAPI:
    """Return the witness as an ASGI application that keeps what it saw in `folder`.

    Raises DamageError when another process uses the folder, or what it holds is not of the logs followed.
    """
    app = FastAPI(title=f"Covey witness {witness.name}", version="1")
    service = CosigningService(witness, WitnessStore(folder, witness.logs), clock)
    problems.install(app)

    @app.post("/add-checkpoint")
    async def add_checkpoint(request: Request) -> Response:
        """Cosign a head that continues the last one; answer as tlog-witness says otherwise."""
        try:
            answer = await asyncio.to_thread(service.answer, await body(request, REQUEST_LIMIT))
        except ServerError as error:
            return problems.problem(400, str(error))
        if isinstance(answer, Cosigned):
            return Response(answer.line, media_type="text/plain; charset=utf-8")
        if answer.body:
            return Response(answer.body, answer.status, media_type="text/x.tlog.size")
        return problems.problem(answer.status, answer.reason)

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
    verifier_key(name, folder)  # Raises for a wrong name before the server starts.
    witness = Witness(name, _key(folder), {log.name: log.public for log in followed})
    app = create_app(witness, folder)
    http_server.serve(app, host, port, tell, access_log=False, server_header=False, ws="none")


def _key(folder: Path) -> SigningKey:
    """Return the key in the folder, both made at first."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return key_file.load_or_create(folder / "witness.key")
