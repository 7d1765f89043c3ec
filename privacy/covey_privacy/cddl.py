"""The grammar of the messages in CDDL (RFC 8610), made of the hints by which `wire` reads and writes them.

python -m covey_privacy.cddl                              # print it
python -m covey_privacy.cddl docs/protocol.cddl           # compare
python -m covey_privacy.cddl docs/protocol.cddl --write   # after a change of the messages
"""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from covey_privacy import (
    annex,
    consent,
    evidence,
    fork,
    listing,
    manifest,
    promise,
    release,
    signatures,
    tickets,
)
from covey_privacy.bounds import U32, U64, Bytes32, Name, Names, Range, Records, Signature, Size, Text
from covey_privacy.five_phases import messages, roster
from covey_privacy.records import is_message, layout

ROUND = (
    signatures.Signed, manifest.Manifest, roster.Advert, roster.Roster, roster.RosterHead,
    roster.Countersigned, roster.Logged, messages.RosterView, messages.Parcels, messages.MaskedVector,
    messages.PartialSum, messages.Survivors, messages.Agreement, messages.Agreements, messages.Openings,
    evidence.Evidence, annex.Annex, release.Release, listing.Listing,
)  # fmt: skip
REGISTRY = (
    consent.NoticeText, consent.Notice, consent.Notices, consent.Enrolment, consent.Decision, consent.Batch,
    consent.Sync, consent.Synced, tickets.IssuerKey, consent.Issuer, consent.TicketRequest,
    consent.BlindSignatures, consent.EpochEnd, consent.Inclusion, consent.ConsistencyProof, consent.Entries,
    fork.Fork, promise.Promise,
)  # fmt: skip

SIGNED: dict[type, tuple[str, str]] = {
    manifest.Manifest: (manifest.CONTEXT, "operator"),
    evidence.Evidence: (evidence.CONTEXT, "operator"),
    release.Release: (release.CONTEXT, "operator"),
    listing.Listing: (listing.CONTEXT, "operator"),
    consent.Notice: (consent.NOTICE, "registry"),
    promise.Promise: (promise.CONTEXT, "registry"),
    consent.Enrolment: (consent.ENROLMENT, "device"),
    consent.Decision: (consent.DECISION, "device"),
    consent.Sync: (consent.SYNC, "device"),
    consent.TicketRequest: (consent.TICKETS, "device"),
}
"""What travels in a `Signed`: the context of its signature, and whose key makes it."""

_HEAD = """\
; Covey's messages, in CDDL (RFC 8610). Made by `python -m covey_privacy.cddl`; do not edit.
;
; A message is the array of its fields in order, as deterministic CBOR (RFC 8949, 4.2.1). A reader takes a
; whole number where a float stands. Where bounds are not the grammar's to say, a comment says them.
; Records are one byte string of values of one size, end to end, numbers big-endian.
"""

_COMMON = {
    U32: "u32", U64: "u64", Bytes32: "bytes32", Signature: "signature", Name: "name", Names: "names",
    Text: "paragraph",
}  # fmt: skip
_NAMED = {**_COMMON, float: "float", int: "int", bool: "bool", bytes: "bytes", str: "text"}

_LONGEST_CHARACTER = 4
"""Bytes of a character in UTF-8: `Size` counts characters, CDDL counts bytes."""


def grammar() -> str:
    """Return the grammar of every message that crosses a boundary of a round or of the registry."""
    known: set[Any] = set()
    parts = [_HEAD, "\n".join([*map(_common, _COMMON), ""])]
    for title, classes in (("A round", ROUND), ("The registry", REGISTRY)):
        parts.append(f"; {title}\n")
        parts += [rule for cls in classes for rule in _rules(cls, known)]
    return "\n".join(parts)


def _common(hint: Any) -> str:
    """Return the rule of a type that many fields have."""
    kind, comment = _bounded(*get_args(hint))
    return _told(f"{_COMMON[hint]} = {kind}", comment)


def _told(line: str, comment: str) -> str:
    return f"{line} ; {comment}" if comment else line


def _rules(cls: type, known: set[Any]) -> Iterator[str]:
    """Yield the rule of a message, then what its fields name that was not yet told of."""
    if cls in known:
        return
    known.add(cls)
    hints = get_type_hints(cls, include_extras=True)
    yield _rule(cls, hints)
    for hint in hints.values():
        for part, in_records in _parts(hint):
            if in_records and ("records", part) not in known:
                known.add(("records", part))
                yield _record(part)
            elif not in_records:
                yield from _rules(part, known)


def _rule(cls: type, hints: dict[str, Any]) -> str:
    summary = (cls.__doc__ or "").partition("\n")[0]
    lines = [f"; {summary}", f"{cls.__name__} = ["]
    for field in dataclasses.fields(cls):
        kind, comment = _kind(hints[field.name])
        lines.append(_told(f"  {field.name}: {kind},", comment))
    lines.append("]")
    if cls in SIGNED:
        context, signer = SIGNED[cls]
        lines.append(f'; signed by the {signer}, for the context "{context}"')
        lines.append(f"Signed{cls.__name__} = [body: bytes .cbor {cls.__name__}, signature: signature]")
    return "\n".join([*lines, ""])


def _record(cls: type) -> str:
    """Return, as a comment, where the fields of a record lie."""
    lines, offset = [f"; A record of {cls.__name__}: {layout(cls).size} bytes. Offset, width, field:"], 0
    for name, width in _places(cls):
        lines.append(f";   {offset:4} {width:4}  {name}")
        offset += width
    return "\n".join([*lines, ""])


def _places(cls: type, within: str = "") -> Iterator[tuple[str, int]]:
    for name, hint in get_type_hints(cls, include_extras=True).items():
        if is_message(hint):
            yield from _places(hint, f"{within}{name}.")
        else:
            yield within + name, layout(hint).size


def _parts(hint: Any, in_records: bool = False) -> Iterator[tuple[type, bool]]:
    """Yield the message classes that a hint names, and whether they lie in records."""
    if is_message(hint):
        yield hint, in_records
    is_records = any(isinstance(each, Records) for each in get_args(hint))
    for each in get_args(hint):
        yield from _parts(each, in_records or is_records)


def _kind(hint: Any) -> tuple[str, str]:
    """Return the CDDL type of a field, and what the type does not say."""
    if hint in _NAMED:
        return _NAMED[hint], ""
    if is_message(hint):
        return hint.__name__, ""
    if get_origin(hint) in (Union, types.UnionType):
        kind, comment = _kind(get_args(hint)[0])
        return f"{kind} / null", comment
    if get_origin(hint) is Annotated:
        inner, bound = get_args(hint)
        return _bounded(inner, bound)
    raise TypeError(f"{hint} has no bounds; a message's field needs some")


def _bounded(inner: Any, bound: Size | Range | Records) -> tuple[str, str]:
    if isinstance(bound, Range):
        return f"{inner(bound.least)}..{inner(bound.most)}", ""
    most = bound.least if bound.most is None else bound.most
    if isinstance(bound, Records):
        (item, _), size = get_args(inner), layout(get_args(inner)[0]).size
        what = _NAMED.get(item) or item.__name__
        return (
            f"bytes .size ({bound.least * size}..{most * size})",
            f"{bound.least}..{most} records of {what}",
        )
    if get_origin(inner) is tuple:
        kind, comment = _kind(get_args(inner)[0])
        return f"[{bound.least}*{most} {kind}]", comment and f"each {comment}"
    if inner is str:
        kind = f"text .size ({bound.least}..{_LONGEST_CHARACTER * most})"
        return kind, f"{bound.least}..{most} characters"
    return f"bytes .size {most}" if most == bound.least else f"bytes .size ({bound.least}..{most})", ""


def main(arguments: list[str]) -> int:
    """Print the grammar, compare a file with it, or write the file."""
    made = grammar()
    if not arguments:
        sys.stdout.write(made)
        return 0
    path, *write = arguments
    if write:
        Path(path).write_text(made, "utf-8")
    if Path(path).read_text("utf-8") == made:
        return 0
    sys.stderr.write(f"{path} is not the messages' grammar; write it anew with --write\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
