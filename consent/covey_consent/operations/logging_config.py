"""Logging to standard error, one JSON object a line, without personal data.

An error's message could name a person, a device or an address: of an unexpected error only its type and place
are written. Anything else that looks like an identifier is cut out of every line.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_IDENTIFIERS = re.compile(
    r"[0-9a-fA-F]{16,}"  # pseudonyms, keys, digests
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b(?::\d+)?"  # IPv4
    r"|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4}(?![\w:])"  # IPv6
    r"|\?[^\s\"']+"  # query strings
    r"|[\w.+-]+@[\w-]+\.[\w.]+"
    r"|eyJ[\w-]+(?:\.[\w-]*)*"  # tokens
)

FRAMES = 20


def configure(level: str, stream: TextIO = sys.stderr) -> None:
    """Configure the logging of this process."""
    before: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    then: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        place_of_error,
        without_identifiers,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=then))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("alembic", "httpcore", "httpx", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(max(logging.getLevelName(level), logging.INFO))


def place_of_error(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace an error by its type and the place where it was raised."""
    raised = event.pop("exc_info", None)
    error = sys.exc_info() if raised is True else _parts(raised)
    if error is not None and error[0] is not None:
        event["error"] = error[0].__name__
        frames = traceback.extract_tb(error[2])[-FRAMES:]
        event["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def without_identifiers(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Cut what looks like a pseudonym, a key, an address, a token or a query out of every text."""
    return {key: _cut(value) if key != "timestamp" else value for key, value in event.items()}


def _cut(value: object) -> object:
    if isinstance(value, str):
        return _IDENTIFIERS.sub("[cut]", value)
    return [_cut(item) for item in value] if isinstance(value, list | tuple) else value


def _parts(
    raised: object,
) -> tuple[type[BaseException] | None, BaseException | None, TracebackType | None] | None:
    if isinstance(raised, BaseException):
        return type(raised), raised, raised.__traceback__
    return raised if isinstance(raised, tuple) else None
