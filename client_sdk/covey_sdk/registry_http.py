"""HTTP to the registry, as a phone sends it: bounded answers, no cookies, every failure one RegistryError.

Cookies are never kept: nothing but what a phone signs may tell two of its requests belong together. httpx is
imported when the first request is sent: an app that only opens its store does not pay for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from covey_sdk.errors import RegistryError

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 2**20
SECONDS = 10.0

_CBOR = "application/cbor"


class RegistryHttp:
    """Requests through `client`, whose base_url is the registry's."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, *, most: int = MOST_BYTES, **params: int) -> bytes:
        """Return the answer to a GET request; one of more than `most` bytes is refused."""
        return self._call(self._client.build_request("GET", path, params=params, timeout=SECONDS), most)

    def post(self, path: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
        """Return the answer to a POST request whose body is CBOR."""
        headers = {"Content-Type": _CBOR, **headers}
        return self._call(
            self._client.build_request("POST", path, content=body, headers=headers, timeout=SECONDS)
        )

    def _call(self, request: httpx.Request, most: int = MOST_BYTES) -> bytes:
        import httpx

        request.headers["Accept-Encoding"] = "identity"
        try:
            response = self._answer(request)
            try:
                body = _bounded(response, most)
            finally:
                response.close()
                self._client.cookies.clear()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RegistryError(
                f"the registry cannot be reached: {error or type(error).__name__}; try later"
            ) from None
        if response.status_code not in (200, 204):
            raise RegistryError(
                f"the registry refuses {request.url.path} ({response.status_code}): {_detail(body)}",
                status=response.status_code,
            )
        return body

    def _answer(self, request: httpx.Request) -> httpx.Response:
        """Return the answer, whose body is to come.

        A server may close an idle line just as it is used again; what it did not answer is then sent once
        more, on a new one. Nothing that a phone sends counts twice.
        """
        import httpx

        try:
            return self._client.send(request, stream=True)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            return self._client.send(request, stream=True)


def _bounded(response: httpx.Response, most: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > most:
            raise RegistryError(f"the registry's answer is longer than {most} bytes; it is not read")
    return bytes(body)


def _detail(body: bytes) -> str:
    """Return the one line that a problem+json answer (RFC 9457) says."""
    try:
        problem: Any = json.loads(body)
    except (ValueError, RecursionError):
        return "no reason given"
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return " ".join(detail.split())[:300] if isinstance(detail, str) else "no reason given"
