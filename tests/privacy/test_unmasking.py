from concurrent.futures import ThreadPoolExecutor
from functools import partialmethod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy import wire
from covey_privacy.five_phases import Aggregator, masks, ring, unmasking
from covey_privacy.five_phases.unmasking import Dropped, Job, Peer

KEYS = [bytes([number]) * 32 for number in range(1, 9)]
PEERS = tuple(Peer(index, masks.KeyPair(key).public) for index, key in enumerate(KEYS))
SEEDS = st.lists(st.binary(min_size=32, max_size=32), max_size=9)
DROPPED = st.lists(
    st.builds(
        lambda index, peers: Dropped(
            index, KEYS[index], tuple(peer for peer in peers if peer.index != index)
        ),
        st.integers(0, 7),
        st.lists(st.sampled_from(PEERS), unique=True),
    ),
    max_size=9,
)
JOBS = st.builds(lambda seeds, dropped: Job(b"\x05" * 32, 7, tuple(seeds), tuple(dropped)), SEEDS, DROPPED)


@given(JOBS, st.integers(1, 12), st.randoms(use_true_random=False))
def test_jobs_add_up_however_split_wherever_done_in_any_order(job, parts, shuffle):
    """Each part travels as bytes."""

    def elsewhere(work, jobs):
        sent = [wire.encode(each) for each in jobs]
        shuffle.shuffle(sent)
        return [work(wire.decode(Job, each)) for each in sent]

    assert np.array_equal(unmasking.spread(elsewhere, parts)(job), unmasking.unmask(job))


def test_parts_are_of_about_the_same_size():
    job = Job(bytes(32), 7, tuple(KEYS), tuple(Dropped(index, KEYS[index], PEERS) for index in range(5)))
    parts = job.split(3)
    assert [len(part.seeds) for part in parts] == [3, 3, 2]
    assert [len(part.dropped) for part in parts] == [2, 2, 1]


def test_a_round_is_opened_by_several_workers(play, monkeypatch):
    vectors = [np.arange(5, dtype=np.uint32) * who for who in range(12)]
    with ThreadPoolExecutor(2) as pool:
        total = partialmethod(Aggregator.total, unmask=unmasking.spread(pool.map, 3))
        monkeypatch.setattr(Aggregator, "total", total)
        result = play(vectors, {"mask": {2, 5}}).run()
    expected = sum(vector for who, vector in enumerate(vectors) if who not in {2, 5})
    assert np.array_equal(result.vector, ring.reduce(expected, 20))
