"""Cursors of paged listings: the sort key of the last row, authenticated."""

from __future__ import annotations

import binascii
import hmac
import json

from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from covey_consent.errors import RequestError
from covey_consent.storage import key_file
from covey_privacy.signatures import SigningKey

LONGEST = 512
"""Characters of a cursor at most."""

_TAG = 16


class Cursors:
    """Cursors of one registry: each is valid for its listing alone, and only the registry can make one."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key_file.derive(key, "cursors")

    def after(self, listing: str, *place: int | str) -> str:
        """Return the cursor that goes on after the row with this sort key."""
        data = json.dumps(place, separators=(",", ":")).encode()
        return urlsafe_b64encode(self._tag(listing, data) + data).decode()

    def place(self, listing: str, cursor: str) -> tuple[int | str, ...]:
        """Return the sort key that a cursor goes on after. Raises RequestError."""
        try:
            raw = urlsafe_b64decode(cursor.encode("ascii"))
        except (binascii.Error, ValueError):
            raw = b""
        tag, data = raw[:_TAG], raw[_TAG:]
        if not hmac.compare_digest(tag, self._tag(listing, data)):
            raise RequestError(
                "the cursor is none of this listing; begin without one, and take `next` as it is"
            )
        return tuple(json.loads(data))

    def moment(self, listing: str, cursor: str | None) -> tuple[int, str] | None:
        """Return the time and id that a cursor goes on after, None to begin. Raises RequestError."""
        if cursor is None:
            return None
        at, id_ = self.place(listing, cursor)
        return int(at), str(id_)

    def _tag(self, listing: str, data: bytes) -> bytes:
        return hmac.digest(self._key, listing.encode() + b"\0" + data, "sha256")[:_TAG]
