"""Rounds of any shape: the sum is exact, or the round aborts and nothing is released.

Devices fall silent at any phase, messages arrive in any order, and nodes nest their sums in any way.
"""

import functools
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from covey_privacy.errors import AbortError, ServerError
from covey_privacy.five_phases import ring
from covey_privacy.five_phases.aggregator import Sharing, Total
from covey_privacy.signatures import verify

pytestmark = pytest.mark.slow  # The five-phase protocol is about to be replaced.

PHASES = ("advertise", "share", "mask", "agree", "open")
STAYS = len(PHASES)


@dataclass(frozen=True)
class Shape:
    """`leaves`: the number of the phase from which each device is silent; `shares`: gamma and dropout."""

    leaves: tuple[int, ...]
    shares: tuple[float, float]
    length: int
    bits: int
    honest: int
    order: int

    def here(self, phase: str) -> set[int]:
        """Who still speaks in a phase."""
        return {who for who, leaves in enumerate(self.leaves) if leaves > PHASES.index(phase)}

    @property
    def absent(self) -> dict[str, set[int]]:
        return {phase: set(range(len(self.leaves))) - self.here(phase) for phase in PHASES}


@st.composite
def shapes(draw, least=4, most=40, shares=(0.0, 0.0), spare=lambda roster: roster // 3 - 1):
    """Rounds close to where they stop being live: of a roster, about `spare` devices fall silent, or few."""
    count = draw(st.integers(least, most))
    unseen = draw(st.integers(0, min(2, count - 4)))
    near = max(0, spare(count - unseen) + draw(st.integers(-3, 2)))
    leavers = min(count - unseen, draw(st.integers(1, 3)) if draw(st.booleans()) else near)
    phases = draw(st.lists(st.integers(1, STAYS - 1), min_size=leavers, max_size=leavers))
    stays = [STAYS] * (count - unseen - leavers)
    leaves = draw(st.permutations([*[0] * unseen, *phases, *stays]))
    masked = sum(phase > PHASES.index("mask") for phase in leaves)
    honest = draw(st.sampled_from([1, masked - 2, masked - 1, masked]))
    length, bits, order = draw(st.integers(1, 80)), draw(st.integers(8, 32)), draw(st.integers(0, 2**32))
    return Shape(tuple(leaves), shares, length, bits, max(1, honest), order)


@functools.cache
def remembered(key: bytes, message: bytes, signature: bytes) -> bool:
    return verify(key, message, signature)


def tree(random: Random, node, masked: list[bytes]):
    """A node over other nodes, in the end over devices; some take nothing."""
    total = node()
    if len(masked) < 2 or random.random() < 0.2:
        for message in masked:
            total.add(message)
        return total
    cut = random.randrange(len(masked) + 1)
    for part in random.sample([masked[:cut], masked[cut:]], 2):
        total.merge(tree(random, node, part).message())
    return total


def round_of(makers, shape: Shape, vectors):
    random = Random(shape.order)
    gamma, dropout = shape.shares
    manifest = makers.manifest_of(
        shape.length, bits=shape.bits, honest=shape.honest, gamma=gamma, dropout=dropout
    )
    return makers.make(
        vectors,
        shape.absent,
        makers.terms_of(manifest),
        verify=remembered,
        shuffled=lambda said: random.sample(said, len(said)),
        added_up=lambda node, masked: [tree(random, node, masked[i::3]).message() for i in range(3)],
        refusing=True,
    )


def survivors(shape: Shape, graph: Sharing, index: dict[int, int], needed: int) -> set[int] | None:
    """Whose vectors are in the sum, by index, None where the round is to abort: the rules, on sets alone."""

    def here(phase: str, among: set[int]) -> set[int]:
        speaking = {index[who] for who in shape.here(phase)}
        return {i for i in speaking if len(among & {*graph.near[i]}) >= graph.threshold}

    shared = {index[who] for who in shape.here("share")}
    masked = here("mask", shared)
    agreed = here("agree", masked) & masked if len(masked) >= needed else set()
    opened = here("open", agreed) & agreed
    is_open = all(len(opened & {*graph.near[owner]}) >= graph.threshold for owner in shared)
    return masked if is_open and min(len(shared), len(masked)) >= needed else None


def check(makers, shape: Shape) -> None:
    draw = np.random.Generator(np.random.PCG64(shape.order))
    vectors = [draw.integers(0, 2**32, shape.length, dtype=np.uint32) for _ in shape.leaves]
    round_ = round_of(makers, shape, vectors)
    try:
        total = round_.run()
    except (AbortError, ServerError):
        total = None
    if round_.graph is None:
        event("no graph")
        assert len(shape.here("advertise")) < 4  # from four devices on there is a graph
        return
    needed = round_.terms.manifest.least_survivors(len(round_.index))
    expected = survivors(shape, round_.graph, round_.index, needed)
    without = shape.here("share") - shape.here("mask")
    event("aborts" if expected is None else "sums with dropouts" if without else "sums")
    if expected is None:
        assert total is None
        assert not isinstance(round_.aggregator.state, Total)
        return
    summed = [vectors[who] for who, index in round_.index.items() if index in expected]
    plain = ring.reduce(np.sum(summed, axis=0, dtype=np.uint32), shape.bits)
    assert np.array_equal(total.vector, plain)
    assert total.survivors.devices == expected
    assert total.blamed == ()


@settings(max_examples=60, deadline=None)
@given(shape=shapes())
@example(shape=Shape((STAYS,) * 3, (0.0, 0.0), 5, 20, 1, 0))
@example(shape=Shape((0, 0, 0, STAYS), (0.0, 0.0), 5, 20, 1, 0))
def test_the_sum_is_exact_or_nothing_is_released(makers, shape):
    check(makers, shape)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(shape=shapes())
def test_so_it_is_for_very_many_shapes(makers, shape):
    check(makers, shape)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(shape=shapes(least=52, most=60, shares=(0.02, 0.05), spare=lambda roster: 5))
def test_so_it_is_on_a_sparse_graph(makers, shape):
    check(makers, shape)
