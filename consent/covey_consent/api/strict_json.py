"""Strict JSON: RFC 8259's, UTF-8 without halves of characters, no NaN, and not too deep.

Nor is there a NUL in its texts: not every database takes one.
"""

from __future__ import annotations

import re
from json import JSONDecodeError
from typing import Any

import orjson
from fastapi import Request


class StrictRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Any:
        """Return the body. Raises json.JSONDecodeError."""
        received = await self.body()
        if b"\\u0000" in received and (found := _NUL.search(received)):
            raise JSONDecodeError("a text holds a NUL; leave it out", "", found.start())
        return orjson.loads(received)


_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""A NUL as JSON writes it, and not a backslash before `u0000`."""
