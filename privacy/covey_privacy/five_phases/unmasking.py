"""The work of taking masks out of a sum: secrets in, a vector out.

It is by far the most that a coordinator does. A job holds all that it takes, so that jobs can be done
anywhere and in any order; their vectors add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from covey_privacy import wire
from covey_privacy.five_phases import masks, terms
from covey_privacy.five_phases.messages import MOST_NEIGHBOURS, Index
from covey_privacy.five_phases.ring import Vector


@dataclass(frozen=True, slots=True)
class Peer:
    """A survivor whose masked vector holds its mask with a dropped neighbour."""

    index: Index
    mask_key: wire.Bytes32


@dataclass(frozen=True, slots=True)
class Dropped:
    """A device that shared and sent no vector: its secret mask key, and its surviving neighbours."""

    index: Index
    key: wire.Bytes32
    peers: Annotated[tuple[Peer, ...], wire.Records(0, MOST_NEIGHBOURS)]


@dataclass(frozen=True, slots=True)
class Job:
    """Survivors' self-mask seeds and dropped devices' mask keys, in the round of this context.

    It is a message (`wire`), for whoever gives it to another process or machine.
    """

    context: wire.Bytes32
    length: wire.U32
    seeds: Annotated[tuple[wire.Bytes32, ...], wire.Records(0, 1_000_000)]
    dropped: Annotated[tuple[Dropped, ...], wire.Size(0, 1_000_000)]

    def split(self, parts: int) -> list[Job]:
        """Return this job as `parts` jobs of about the same size."""
        return [
            replace(self, seeds=self.seeds[part::parts], dropped=self.dropped[part::parts])
            for part in range(parts)
        ]


Unmask = Callable[[Job], Vector]
Map = Callable[[Unmask, Sequence[Job]], Iterable[Vector]]


def unmask(job: Job) -> Vector:
    """Return what to add to the sum, mod 2^32, so that the job's masks are gone."""
    info = terms.seed_info(job.context)
    plus: list[bytes] = []
    minus = [masks.derive(seed, info) for seed in job.seeds]
    for dropped in job.dropped:
        pair = masks.KeyPair(dropped.key)
        for peer in dropped.peers:
            info = terms.mask_info(job.context, dropped.index, peer.index)
            mask = masks.derive(pair.exchange(peer.mask_key), info)
            (minus if peer.index < dropped.index else plus).append(mask)
    vector = np.zeros(job.length, np.uint32)
    masks.add_streams(vector, plus, minus)
    return vector


def spread(run: Map, parts: int) -> Unmask:
    """Return an `unmask` that splits a job into `parts` for `run`: an executor's `map`, for one."""
    return lambda job: np.sum(list(run(unmask, job.split(parts))), axis=0, dtype=np.uint32)
