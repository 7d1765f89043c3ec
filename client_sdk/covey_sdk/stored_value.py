"""A typed value that stands under a name in the store.

Another thread or process may change it at any time, so it is read from the store whenever it is asked for.
Decoding is what costs, and is done again only when the bytes have changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Generic, TypeVar

from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_sdk.errors import StoreError
from covey_sdk.store import Store

_T = TypeVar("_T")


class StoredValue(Generic[_T]):
    """The value called `name` in a store; `default` where there is none.

    Args:
        decode: makes a value of stored bytes; it may raise PrivacyError. The default decodes the type of
            `default`.
        encode: makes bytes of a value.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        default: _T,
        decode: Callable[[bytes], _T] | None = None,
        encode: Callable[[_T], bytes] = wire.encode,
    ) -> None:
        self._store = store
        self._name = name
        self._default = default
        self._decode = decode or (lambda data: wire.decode(type(default), data))
        self._encode = encode
        self._last: tuple[bytes, _T] | None = None
        """The value decoded last, by the digest of its bytes."""

    def read(self) -> _T:
        """Return the value as it stands now. Raises StoreError for bytes that hold none."""
        data = self._store.get(self._name)
        if data is None:
            return self._default
        digest, last = hashlib.sha256(data).digest(), self._last
        if last is None or last[0] != digest:
            try:
                last = (digest, self._decode(data))
            except PrivacyError as error:
                raise StoreError(f"what the store holds as {self._name!r} cannot be read: {error}") from None
            self._last = last
        return last[1]

    def write(self, value: _T) -> None:
        """Put another value in its place, in the caller's transaction."""
        data = self._encode(value)
        self._store.put(self._name, data)
        self._last = (hashlib.sha256(data).digest(), value)
