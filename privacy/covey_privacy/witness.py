"""Witnesses: who cosigns a log's checkpoints, and what a cosignature is worth.

A cosignature (C2SP tlog-cosignature, cosignature/v1) says that at its time this was the greatest head of the
log that the witness had seen, and that it continued all before. Who asks for several of them cannot be shown
a log of his own. A witness decides (C2SP tlog-witness, add-checkpoint) on what it saw last; the caller keeps
that, and the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from covey_privacy.checkpoint import Checkpoint, head, is_signed
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.merkle import EMPTY, Proof
from covey_privacy.note import COSIGNATURE, LIMIT, Note, VerifierKey, parse, to_base64, unbase64
from covey_privacy.protocol_rules import Rule
from covey_privacy.signatures import SigningKey, Verify, verify
from covey_privacy.split_view import LogVerdict, evidence, judge

MOST_HASHES = 63
REQUEST_LIMIT = 4 * LIMIT
"""Hashes of a consistency proof, and bytes of a request, at most."""

_LATEST = 2**63 - 1


def cosign(note: str, name: str, key: SigningKey, time: int) -> str:
    """Return the signature line of the witness `name` for a note, at `time` in POSIX seconds."""
    if not 0 <= time <= _LATEST:
        raise MisuseError(f"a cosignature's time is 0 to {_LATEST} seconds; {time} was given")
    signature = key.sign(_message(time, parse(note).text))
    return VerifierKey(name, COSIGNATURE, key.public).line(time.to_bytes(8, "big") + signature)


def cosigned_at(note: Note, witness: VerifierKey, verify: Verify = verify) -> int | None:
    """Return when the witness last cosigned the note, in POSIX seconds; None where it did not.

    Raises ServerError when a line of the witness's key is not its cosignature.
    """
    blobs = note.signatures(witness)
    if not all(_is_good(blob, note.text, witness.public, verify) for blob in blobs):
        raise ServerError(
            f"a cosignature of {witness.name!r} is not good; the note is not believed", rule=Rule.COSIGNATURE
        )
    return max(map(_time, blobs), default=None)


@dataclass(frozen=True, slots=True)
class WitnessPolicy:
    """At least `least` of these witnesses, with cosignatures at most `age` seconds from now either way."""

    witnesses: tuple[VerifierKey, ...]
    least: int
    age: int

    def __post_init__(self) -> None:
        if not 0 < self.least <= len(self.witnesses) or self.age < 0:
            raise MisuseError(
                f"{self.least} of {len(self.witnesses)} witnesses within {self.age} s is no policy"
            )
        if any(witness.algorithm != COSIGNATURE for witness in self.witnesses):
            raise MisuseError("a witness's key is of the type for cosignatures, 0x04")
        # The signed message has no name in it: one key under two names would be counted twice.
        if len({witness.public for witness in self.witnesses}) < len(self.witnesses):
            raise MisuseError("two witnesses of the policy have one key")

    def check(self, note: str, now: int, verify: Verify = verify) -> None:
        """Raise ServerError unless enough witnesses cosigned the note; `now` is in POSIX seconds."""
        parsed = parse(note)
        times = [cosigned_at(parsed, witness, verify) for witness in self.witnesses]
        count = sum(time is not None and abs(now - time) <= self.age for time in times)
        if count < self.least:
            raise ServerError(
                f"{count} of {len(self.witnesses)} witnesses cosigned the checkpoint within {self.age} "
                f"seconds; {self.least} are needed",
                rule=Rule.WITNESSES,
            )

    def reached(self, note: str, verify: Verify = verify) -> int:
        """Return when enough witnesses had cosigned the note, in POSIX seconds, however long ago that was.

        Raises ServerError unless enough did.
        """
        parsed = parse(note)
        times = [cosigned_at(parsed, witness, verify) for witness in self.witnesses]
        cosigned = sorted(time for time in times if time is not None)
        if len(cosigned) < self.least:
            raise ServerError(
                f"{len(cosigned)} of {len(self.witnesses)} witnesses cosigned the checkpoint; "
                f"{self.least} are needed",
                rule=Rule.WITNESSES,
            )
        return cosigned[self.least - 1]


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request to cosign `note`, whose log continued from size `old` by `proof`."""

    old: int
    proof: Proof
    note: str

    @property
    def checkpoint(self) -> Checkpoint:
        """The head that is to be cosigned."""
        return head(parse(self.note))

    @property
    def body(self) -> bytes:
        """The request's body."""
        hashes = "".join(f"{to_base64(each)}\n" for each in self.proof)
        return f"old {self.old}\n{hashes}\n{self.note}".encode()


def parse_request(body: bytes) -> AddCheckpoint:
    """Return the request in a body, with a note that is a checkpoint's. Raises ServerError."""
    if len(body) > REQUEST_LIMIT:
        raise ServerError(
            f"a request has at most {REQUEST_LIMIT} bytes; {len(body)} arrived", rule=Rule.NOTE_FORM
        )
    try:
        above, _, note = body.decode().partition("\n\n")
        old, *hashes = above.split("\n")
        request = AddCheckpoint(int(old.removeprefix("old ")), tuple(map(unbase64, hashes)), note)
    except ValueError:
        raise ServerError(
            "'old' and a size, base64 hashes and a checkpoint were expected", rule=Rule.NOTE_FORM
        ) from None
    whole = all(len(each) == len(EMPTY) for each in request.proof)
    if not whole or len(request.proof) > MOST_HASHES or request.body != body:
        raise ServerError(
            f"the old size, or one of at most {MOST_HASHES} hashes, is not written plainly",
            rule=Rule.NOTE_FORM,
        )
    head(parse(note))
    return request


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The answer to a good request: the signature line, and the note that is now the last seen."""

    line: str
    seen: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer to another: its HTTP status, reason, and body (of 409, the size that was expected).

    `evidence` is of two heads that the log signed and did not connect (`covey_privacy.split_view`).
    """

    status: int
    reason: str
    body: str = ""
    evidence: bytes | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness: its name and key, and the public keys of the logs it follows, by origin."""

    name: str
    key: SigningKey
    logs: Mapping[str, bytes]

    def add_checkpoint(
        self, request: AddCheckpoint, seen: str, time: int, verify: Verify = verify
    ) -> Cosigned | Refused:
        """Return the answer to a request, where `seen` is the last note cosigned for its origin ("": none).

        The caller replaces `seen` by the answer's, at once and only if it still stands, before it answers:
        of two requests at one time the slower is to be decided anew.
        """
        refused = self._unsigned(request, verify) or _unconnected(request, seen)
        return refused or Cosigned(cosign(request.note, self.name, self.key, time), request.note)

    def _unsigned(self, request: AddCheckpoint, verify: Verify) -> Refused | None:
        origin = request.checkpoint.origin
        if origin not in self.logs:
            return Refused(404, f"the log {origin!r} is not followed")
        if not is_signed(parse(request.note), origin, self.logs[origin], verify):
            return Refused(403, f"the checkpoint is not signed by the key of {origin!r}")
        return None


def _unconnected(request: AddCheckpoint, seen: str) -> Refused | None:
    """Return why the head does not continue the last one seen, in the order of tlog-witness."""
    newer = request.checkpoint
    last = head(parse(seen)) if seen else Checkpoint(newer.origin, 0, EMPTY)
    if last.origin != newer.origin:
        raise MisuseError(f"a note of {last.origin!r} was given as the last seen of {newer.origin!r}")
    if not 0 <= request.old <= newer.size:
        return Refused(400, f"the log of {newer.size} leaves had {request.old} before")
    if request.old != last.size:
        return Refused(409, "another size was cosigned last", f"{last.size}\n")
    if request.proof and last.size in (0, newer.size):
        return Refused(422, "a proof arrived where there is nothing to prove")
    if judge(last, newer, last.root, request.proof) is not LogVerdict.CONSISTENT:
        return _fork(request, seen, last)
    return None


def _fork(request: AddCheckpoint, seen: str, last: Checkpoint) -> Refused:
    found = evidence(seen or request.note, request.note, request.proof)
    if 0 < last.size == request.checkpoint.size:
        return Refused(409, "another root was cosigned at this size", f"{last.size}\n", found)
    return Refused(422, f"the proof does not lead from size {last.size} to this head", evidence=found)


def _is_good(blob: bytes, text: str, key: bytes, verify: Verify) -> bool:
    time = _time(blob)
    return time <= _LATEST and verify(key, _message(time, text), blob[8:])


def _time(blob: bytes) -> int:
    return int.from_bytes(blob[:8], "big")


def _message(time: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
