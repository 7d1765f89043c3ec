"""Evidence: the public leaf that every finished round leaves in the log.

The leaf says enough to judge a round and too little to count anyone: cohorts are rounded down to tens,
denials below ten read "<10". The exact figures stand in the annex, whose hash is in the leaf
(`covey_privacy.annex`).
"""

from __future__ import annotations

from dataclasses import dataclass

from covey_privacy import wire

CONTEXT = "evidence"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What anyone may read about a round."""

    round_id: wire.Name
    query: wire.Name
    purposes: wire.Names
    profile: wire.Name
    manifest: wire.Bytes32
    model: wire.Bytes32
    ticket_root: wire.Bytes32
    cohort: wire.U32
    dropouts: wire.U32
    denials: wire.Name
    norm: float
    sigma: float
    epsilon: float
    epsilon_so_far: float
    delta: float
    honest: wire.U32
    threshold: wire.U32
    least_issued: wire.U32
    outcome: wire.Name
    code_version: wire.Name
    shared_operator: bool
    annex: wire.Bytes32


def tens(count: int) -> int:
    """Return `count` rounded down to tens."""
    return count // 10 * 10


def few(count: int) -> str:
    """Return `count` as text, or "<10"."""
    return "<10" if count < 10 else str(count)
