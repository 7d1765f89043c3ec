"""The decryptors of a standing committee, over HTTP: seats, checks, sums.

One that cannot be reached, or refuses, is absent: the committee bears as many as its shape says.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.secagg.messages import Logged, Seat
from covey_privacy.signatures import SigningKey
from covey_privacy.site_document import SiteDocument
from covey_privacy.tickets import IssuerKeys
from covey_server.decryptor.messages import CommitteeCheck, SeatRequest
from covey_server.errors import OrganisationError
from covey_server.registry_client import CBOR, refusal_detail

log = logging.getLogger("flwr.covey")


@dataclass(frozen=True, slots=True)
class Organisations:
    """Decryptors of organisations by their number on the committee: where each answers.

    `operator` signs what they are asked to check. `client` sends the requests.
    """

    urls: dict[int, str]
    operator: SigningKey
    client: httpx.Client

    @classmethod
    def of_site(cls, site: SiteDocument, operator: SigningKey, client: httpx.Client) -> Organisations | None:
        """Return the decryptors that a site pins, numbered in the order of their keys; None without any."""
        urls = [url for organisation in site.organisations for url in organisation.urls]
        return cls(dict(enumerate(urls, 1)), operator, client) if urls else None

    def seats(self, manifest: bytes, issuer_keys: IssuerKeys, logged: Logged) -> tuple[Seat, ...]:
        """Return every organisation's signed box key for the round of a manifest.

        Raises:
            OrganisationError: one gives no seat; without all of them no message can be sealed.
        """
        body = wire.encode(SeatRequest(manifest, issuer_keys, logged))
        answers = self._each("/v1/seats", dict.fromkeys(self.urls, body))
        missing = sorted(set(self.urls) - set(answers))
        if missing:
            raise OrganisationError(
                f"organisations {missing} of the standing committee gave no seat; the round does not begin"
            )
        try:
            return tuple(wire.decode(Seat, answers[number]) for number in sorted(answers))
        except PeerError as error:
            raise OrganisationError(f"an organisation's seat cannot be read: {error}") from None

    def check(self, digest: bytes, committee_file: bytes, requests: dict[int, bytes]) -> Iterable[bytes]:
        """Return the complaints of those who answer, by their check requests."""
        bodies = {
            number: wire.encode(CommitteeCheck.signed(digest, committee_file, request, self.operator))
            for number, request in requests.items()
        }
        return self._each(f"/v1/rounds/{digest.hex()}/check", bodies).values()

    def open(self, digest: bytes, request: bytes) -> Iterable[bytes]:
        """Return the sums of shares of those who answer."""
        return self._each(f"/v1/rounds/{digest.hex()}/open", dict.fromkeys(self.urls, request)).values()

    def _each(self, path: str, bodies: dict[int, bytes]) -> dict[int, bytes]:
        """Return what each answers, without those who do not."""
        with ThreadPoolExecutor(max(1, len(bodies))) as pool:
            answers = pool.map(lambda item: self._post(item[0], item[1], path), bodies.items())
            return {number: answer for number, answer in zip(bodies, answers, strict=True) if answer}

    def _post(self, number: int, body: bytes, path: str) -> bytes | None:
        try:
            response = self.client.post(self.urls[number].rstrip("/") + path, content=body, headers=CBOR)
        except httpx.HTTPError as error:
            log.warning("organisation %d cannot be reached: %s", number, error or type(error).__name__)
            return None
        if response.is_error:
            log.warning("organisation %d refused %s: %s", number, path, refusal_detail(response))
            return None
        return response.content
