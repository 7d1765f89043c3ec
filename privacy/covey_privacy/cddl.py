"""The grammar of the messages in CDDL (RFC 8610), made of the hints by which `wire` reads and writes them.

python -m covey_privacy.cddl                                 # print that of protocol.cddl
python -m covey_privacy.cddl docs/protocol.cddl              # compare
python -m covey_privacy.cddl docs/protocol.cddl --write      # after a change of the messages
python -m covey_privacy.cddl docs/one-message.cddl --write   # after one of `secagg`'s messages
"""

from __future__ import annotations

import dataclasses
import re
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from covey_privacy import (
    catalogue_document,
    certificate,
    evidence,
    inclusion_promise,
    manifest,
    registry_messages,
    release,
    sealed_figures,
    signatures,
    site_document,
    split_view,
    tickets,
)
from covey_privacy.command_line import write_or_compare
from covey_privacy.field_types import U32, U64, Bytes32, Name, Names, Range, Records, Signature, Size, Text
from covey_privacy.fixed_records import is_message, layout
from covey_privacy.secagg import equality_proof, leaves, shape, terms
from covey_privacy.secagg import messages as secagg
from covey_privacy.secagg import notary_messages as registry

ROUND = (
    signatures.Signed,
    manifest.Manifest,
    evidence.Evidence,
    evidence.CommitteeEvidence,
    evidence.ComplaintCount,
    evidence.RoundProofs,
    sealed_figures.Annex,
    release.Release,
    catalogue_document.Listing,
)
REGISTRY = (
    registry_messages.NoticeText,
    registry_messages.Notice,
    registry_messages.Notices,
    registry_messages.Enrolment,
    registry_messages.Decision,
    registry_messages.Batch,
    registry_messages.Sync,
    registry_messages.Synced,
    tickets.IssuerKeys,
    registry_messages.Issuer,
    registry_messages.TicketRequest,
    registry_messages.BlindSignatures,
    registry_messages.EpochEnd,
    registry_messages.LogIndex,
    registry_messages.Inclusion,
    registry_messages.ConsistencyProof,
    registry_messages.Entries,
    split_view.Fork,
    inclusion_promise.Promise,
    site_document.SiteDocument,
    site_document.Organisation,
)
SECAGG = (
    signatures.Signed,
    terms.RoundTerms,
    shape.Shape,
    shape.Band,
    secagg.VolunteerOffer,
    secagg.RosterHead,
    secagg.Draw,
    secagg.Seat,
    secagg.CommitteeFile,
    secagg.DrawnCommittee,
    secagg.Contribution,
    secagg.Dealing,
    secagg.Retraction,
    secagg.Collected,
    secagg.CollectedDealings,
    secagg.PartialSum,
    secagg.IncludeRequest,
    secagg.Entry,
    secagg.Leaf,
    secagg.SetHead,
    secagg.Logged,
    secagg.CheckRequest,
    secagg.Complaints,
    secagg.Grant,
    secagg.DisputeRequest,
    secagg.Dealt,
    secagg.DisputeProof,
    equality_proof.SharedPoint,
    secagg.FinalRequest,
    secagg.OpenRequest,
    secagg.Opening,
    leaves.Placed,
    leaves.Presence,
    leaves.Absence,
    leaves.Neighbour,
    leaves.JointAbsence,
    certificate.Certificate,
    certificate.Participation,
    certificate.AbsenceSince,
    certificate.Claim,
    certificate.LoggedDocument,
    registry.RosterRequest,
    registry.DrawRequest,
    registry.InclusionRequest,
    registry.GrantRequest,
    registry.ExclusionRequest,
    registry.LoggedHead,
    registry.DrawAnswer,
    registry.InclusionAnswer,
    registry.RefusedMember,
    registry.RoundEntries,
    registry.RoundEntry,
    registry.SetLeaves,
)
"""Messages of secure aggregation."""

SIGNED: dict[type, tuple[str, str]] = {
    manifest.Manifest: (manifest.CONTEXT, "operator"),
    evidence.Evidence: (evidence.CONTEXT, "operator"),
    release.Release: (release.CONTEXT, "operator"),
    catalogue_document.Listing: (catalogue_document.CONTEXT, "operator"),
    registry_messages.Notice: (registry_messages.NOTICE, "registry"),
    inclusion_promise.Promise: (inclusion_promise.CONTEXT, "registry"),
    registry_messages.Enrolment: (registry_messages.ENROLMENT, "device"),
    registry_messages.Decision: (registry_messages.DECISION, "device"),
    registry_messages.Sync: (registry_messages.SYNC, "device"),
    registry_messages.TicketRequest: (registry_messages.TICKETS, "device"),
}
"""What travels in a `Signed`: the context of its signature, and whose key makes it."""
SECAGG_SIGNED: dict[type, tuple[tuple[str, ...], str]] = {
    secagg.RosterHead: ((secagg.ROSTER,), "registry"),
    secagg.Draw: ((secagg.DRAW,), "registry"),
    secagg.SetHead: ((secagg.INCLUDED, secagg.FINAL), "registry"),
    secagg.Grant: ((secagg.DISPUTE,), "registry"),
}
"""The same of secure aggregation; a set's head is signed in one of two contexts."""

_SIGNERS = {cls: ((context,), signer) for cls, (context, signer) in SIGNED.items()} | SECAGG_SIGNED
_GRAMMARS = {
    "protocol.cddl": (("Documents of a round", ROUND), ("The registry", REGISTRY)),
    "one-message.cddl": (("The messages of a round", SECAGG),),
}

_HEAD = """\
; Covey's messages, in CDDL (RFC 8610). Made by `python -m covey_privacy.cddl`; do not edit.
;
; A message is the array of its fields in order, as deterministic CBOR (RFC 8949, 4.2.1). A reader takes a
; whole number where a float stands. Where bounds are not the grammar's to say, a comment says them.
; Records are one byte string of values of one size, end to end, numbers big-endian.
"""

_COMMON = {
    U32: "u32",
    U64: "u64",
    Bytes32: "bytes32",
    Signature: "signature",
    Name: "name",
    Names: "names",
    Text: "paragraph",
}
_NAMED = {**_COMMON, float: "float", int: "int", bool: "bool", bytes: "bytes", str: "text"}

_LONGEST_CHARACTER = 4
"""Bytes of a character in UTF-8: `Size` counts characters, CDDL counts bytes."""
_WIDTH = 108


def grammar(name: str = "protocol.cddl") -> str:
    """Return the grammar in a file of docs/: of secure aggregation, or of every other message.

    Args:
        name: the file's name; one that is not known stands for `protocol.cddl`.
    """
    known: set[Any] = set()
    rules: list[str] = []
    for title, classes in _GRAMMARS.get(name, _GRAMMARS["protocol.cddl"]):
        rules.append(f"; {title}\n")
        rules += [rule for cls in classes for rule in _rules(cls, known)]
    used = set(re.findall(r"\w+", "\n".join(rules)))
    common = [_common(hint) for hint, word in _COMMON.items() if word in used]
    return "\n".join([_HEAD, "\n".join([*common, ""]), *rules])


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
    summary = " ".join((cls.__doc__ or "").partition("\n\n")[0].split())
    lines = [*(f"; {line}" for line in textwrap.wrap(summary, _WIDTH)), f"{cls.__name__} = ["]
    for field in dataclasses.fields(cls):
        kind, comment = _kind(hints[field.name])
        lines.append(_told(f"  {field.name}: {kind},", comment))
    lines.append("]")
    if cls in _SIGNERS:
        contexts, signer = _SIGNERS[cls]
        named = " or ".join(f'"{context}"' for context in contexts)
        lines.append(f"; signed by the {signer}, for the context {named}")
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
    kind = f"bytes .size {most}" if most == bound.least else f"bytes .size ({bound.least}..{most})"
    return kind, f"a multiple of {bound.step} bytes" if bound.step > 1 else ""


def main(arguments: list[str]) -> int:
    """Print the grammar, compare a file with it, or write the file."""
    path, *write = arguments or [""]
    generated = grammar(Path(path).name)
    if not path:
        sys.stdout.write(generated)
        return 0
    difference = "is not the messages' grammar; write it anew with"
    return write_or_compare(Path(path), generated, write=bool(write), difference=difference)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
