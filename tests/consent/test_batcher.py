import asyncio
import itertools

import pytest

from covey_consent.errors import RequestError
from covey_consent.storage.batcher import LIMIT, PATIENCE_SECONDS, Batcher


class Panic(BaseException):
    """What an extension module raises that failed within."""


class Slow:
    """A store whose writes end when they are let; it counts the wishes that each was given."""

    def __init__(self):
        self.sizes, self.go = [], asyncio.Event()

    async def write(self, work, wishes):
        self.sizes.append(len(wishes))
        await self.go.wait()
        return work(None, wishes)


def odd_are_refused(_session, wishes):
    return [RequestError(f"{wish} is odd") if wish % 2 else wish for wish in wishes]


def played(work, count):
    async def play():
        store = Slow()
        batcher = Batcher(store.write, work)
        asked = [asyncio.create_task(batcher.submit(wish)) for wish in range(count)]
        await asyncio.sleep(0)
        store.go.set()
        return store.sizes, await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(play())


def test_what_waits_together_is_done_together_and_refused_alone():
    sizes, outcomes = played(odd_are_refused, LIMIT + 10)
    assert len(sizes) <= 3
    assert sum(sizes) == LIMIT + 10
    assert max(sizes) <= LIMIT
    for wish, outcome in enumerate(outcomes):
        assert isinstance(outcome, RequestError) if wish % 2 else outcome == wish


def test_when_the_batcher_is_stopped_nobody_waits_and_it_can_go_on():
    async def play():
        store = Slow()
        batcher = Batcher(store.write, odd_are_refused)
        asked = [asyncio.create_task(batcher.submit(wish)) for wish in (2, 4)]
        while not store.sizes:
            await asyncio.sleep(0)
        batcher._task.cancel()
        async with asyncio.timeout(5):
            first = await asyncio.gather(*asked, return_exceptions=True)
            store.go.set()
            return first, await batcher.submit(6)

    first, then = asyncio.run(play())
    assert [type(error) for error in first] == [asyncio.CancelledError] * 2
    assert then == 6


@pytest.mark.parametrize("error", [OSError("no disk"), Panic("in an extension")])
def test_when_the_work_fails_everyone_hears_and_the_next_are_served(error):
    tries = iter([error, None])

    def work(_session, wishes):
        if error := next(tries):
            raise error
        return wishes

    async def play():
        store = Slow()
        store.go.set()
        batcher = Batcher(store.write, work)
        async with asyncio.timeout(5):
            first = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
            return first, await batcher.submit(3)

    assert asyncio.run(play()) == ([error, error], 3)


def test_work_that_forgets_someone_fails_and_leaves_nobody_waiting():
    async def play():
        store = Slow()
        store.go.set()
        batcher = Batcher(store.write, lambda _session, wishes: wishes[1:])
        asked = asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
        return await asyncio.wait_for(asked, 5)

    assert [type(outcome) for outcome in asyncio.run(play())] == [ValueError] * 2


def test_who_goes_away_keeps_nobody_waiting():
    async def play():
        store = Slow()
        batcher = Batcher(store.write, odd_are_refused)
        gone, stays = (asyncio.create_task(batcher.submit(wish)) for wish in (0, 2))
        await asyncio.sleep(0)
        gone.cancel()
        store.go.set()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await asyncio.wait_for(stays, 5)

    assert asyncio.run(play()) == 2


def come_in(clock):
    """Return the sizes of the groups of twenty wishes that come three turns apart, and what they got."""

    async def play():
        store = Slow()
        store.go.set()
        batcher = Batcher(store.write, odd_are_refused, clock)

        async def come(turn):
            for _ in range(3 * turn):
                await asyncio.sleep(0)
            return await batcher.submit(2 * turn)

        return store.sizes, await asyncio.gather(*(come(turn) for turn in range(20)))

    sizes, granted = asyncio.run(play())
    assert granted == [2 * turn for turn in range(20)]
    return sizes


def test_a_group_waits_for_what_still_comes_in():
    assert come_in(lambda: 0.0) == [20]


def test_a_group_waits_no_longer_where_turns_are_long():
    turns = itertools.count(0.0, PATIENCE_SECONDS / 9)
    sizes = come_in(lambda: next(turns))
    assert sum(sizes) == 20
    assert max(sizes) <= 4
