"""Rounds with every party. They share issuers and round keys, which are slow to make."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import pytest

from covey_privacy.secagg import contributor as contributor_module
from covey_privacy.secagg import dealing, keys
from covey_privacy.secagg.shape import Shape, choose_shape, standing_shape
from covey_privacy.secagg.terms import Kind
from covey_simulations.scenarios.in_process_round import Issuer, Players, Setting, new_issuers

VERIFY = functools.lru_cache(2**16)(keys.verify)
"""Remembers what it has checked: the parties of a round share a process, and check the same tickets."""
STANDING = standing_shape()
DRAWN = choose_shape(40, 2, 0.1)
"""Of 40 volunteers, 2 of which may be corrupt."""
SETTINGS = {
    "standing": Setting(phones=12, length=40, standing=STANDING),
    "drawn": Setting(phones=12, length=40, drawn=DRAWN, volunteers=40, lost=0.1, issued=40, gamma=0.05),
    "both": Setting(
        phones=12, length=40, standing=STANDING, drawn=DRAWN, volunteers=40, lost=0.1, issued=40, gamma=0.05
    ),
}


@pytest.fixture(scope="session")
def issuers() -> tuple[Issuer, Issuer]:
    return new_issuers()


@pytest.fixture
def players(issuers) -> Callable[..., Players]:
    """`players(kind, **changes)`: a round of that kind with its committees seated."""

    def seated(kind: str, **changes) -> Players:
        made = Players(dataclasses.replace(SETTINGS[kind], **changes), issuers, verify=VERIFY)
        made.seat()
        return made

    return seated


@pytest.fixture(params=sorted(SETTINGS))
def kind(request) -> str:
    return request.param


def vectors(count: int, length: int, bound: int = 1000, seed: int = 1) -> np.ndarray:
    """Return made-up vectors."""
    return np.random.default_rng(seed).integers(-bound, bound + 1, (count, length))


def contribute(round_: Players, given: np.ndarray) -> list[bytes]:
    """Let every phone contribute; return the messages."""
    messages = []
    for contributor, vector in zip(round_.contributors(), given, strict=True):
        messages.append(contributor.contribute(round_.file, vector))
        round_.collector.add(messages[-1])
    return messages


def seats(round_: Players, kind: Kind) -> list[tuple[Kind, int]]:
    """Return the decryptors of a kind."""
    return sorted(seat for seat in round_.decryptors if seat[0] == kind)


def crooked(
    round_: Players,
    place: int,
    vector: np.ndarray,
    *,
    shares: Callable[[Shape, np.ndarray], np.ndarray] = lambda _, rest: rest,
    boxes: Callable[[tuple[bytes, ...]], tuple[bytes, ...]] = lambda sealed: sealed,
    proof: Callable[[bytes], bytes] = lambda honest: honest,
    only: Kind | None = None,
) -> bytes:
    """Return the well-signed message of a dealer that alters shares before sealing, boxes or its proof.

    `only` names the committee that it cheats; others are dealt to honestly.
    """
    contributor = list(round_.contributors())[place]
    honest = dealing.complete, contributor_module.deal, contributor_module.prove
    cheated: list[bool] = []

    def complete(shape, first):
        secrets, rest = honest[0](shape, first)
        return secrets, (shares(shape, rest.copy()) if cheated[-1] else rest)

    def deal(committee, *rest):
        cheated.append(only in (None, committee.kind))
        dealt = honest[1](committee, *rest)
        return dataclasses.replace(dealt, boxes=boxes(dealt.boxes)) if cheated[-1] else dealt

    proofs = iter(range(2))

    def prove(*arguments):
        made = honest[2](*arguments)
        return proof(made) if cheated[next(proofs)] else made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dealing, "complete", complete)
        patch.setattr(contributor_module, "deal", deal)
        patch.setattr(contributor_module, "prove", prove)
        return contributor.contribute(round_.file, vector)
