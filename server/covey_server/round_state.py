"""The state of a round at the coordinator: what runs, how far it went, and how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from covey_privacy.evidence import Evidence, RoundProofs
from covey_privacy.manifest import Manifest
from covey_privacy.round_files import RoundFiles
from covey_privacy.secagg.aggregator import Result
from covey_privacy.secagg.notary_messages import LoggedHead
from covey_privacy.secagg.terms import Kind
from covey_privacy.signatures import digest_of


@dataclass
class RoundProgress:
    """What is known of a round's sum and for its evidence, as far as the round went.

    `volunteers` is the size of the signed roster. `refused` has the rule that each refused round key broke,
    `complaints` how many members each decryptor complained of; `openings` are the sums of shares that count.
    """

    result: Result | None = None
    volunteers: int = 0
    included: LoggedHead | None = None
    final: LoggedHead | None = None
    refused: dict[bytes, str] = field(default_factory=dict)
    complaints: dict[tuple[Kind, int], int] = field(default_factory=dict)
    openings: list[bytes] = field(default_factory=list)
    final_request: bytes = b""


@dataclass
class RunningRound:
    """A round that runs.

    `files` are the round's, without committees; `nonce` is that of the draw, whose hash stands in the terms.
    `started` is by the monotonic clock, None for a round that no run of this process goes on with.
    """

    manifest: Manifest
    files: RoundFiles
    nonce: bytes
    progress: RoundProgress = field(default_factory=RoundProgress)
    started: float | None = field(default_factory=time.monotonic)

    @property
    def digest(self) -> bytes:
        """The digest of the signed manifest."""
        return digest_of(self.files.manifest)

    @property
    def seconds(self) -> float:
        """For how long the round has run."""
        return 0.0 if self.started is None else time.monotonic() - self.started


@dataclass(frozen=True, slots=True)
class RoundResult:
    """A result, as plain JSON values, the evidence for the log, the sealed annex to that, and the proofs."""

    result: dict[str, Any]
    evidence: Evidence
    annex: bytes
    proofs: RoundProofs
