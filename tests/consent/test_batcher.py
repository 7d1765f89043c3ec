import asyncio
import itertools

import pytest

from covey_consent.errors import RequestError
from covey_consent.storage.batcher import LIMIT, PATIENCE_SECONDS, Pool


class Panic(BaseException):
    """What an extension module raises that failed within."""


class Slow:
    """A store whose writes end when they are let; it counts the wishes that each was given."""

    def __init__(self):
        self.sizes, self.go = [], asyncio.Event()

    async def write(self, work, wishes, made):
        self.sizes.append(len(wishes))
        await self.go.wait()
        return work(None, wishes, made)


def odd_are_refused(_session, wishes):
    return [RequestError(f"{wish} is odd") if wish % 2 else wish for wish in wishes]


def played(work, count):
    async def play():
        store = Slow()
        pool = Pool(store.write, work)
        asked = [asyncio.create_task(pool.submit(wish)) for wish in range(count)]
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


def test_when_the_pool_is_stopped_nobody_waits_and_it_can_go_on():
    async def play():
        store = Slow()
        pool = Pool(store.write, odd_are_refused)
        asked = [asyncio.create_task(pool.submit(wish)) for wish in (2, 4)]
        while not store.sizes:
            await asyncio.sleep(0)
        pool._emptying.cancel()
        async with asyncio.timeout(5):
            first = await asyncio.gather(*asked, return_exceptions=True)
            store.go.set()
            return first, await pool.submit(6)

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
        pool = Pool(store.write, work)
        async with asyncio.timeout(5):
            first = await asyncio.gather(pool.submit(1), pool.submit(2), return_exceptions=True)
            return first, await pool.submit(3)

    assert asyncio.run(play()) == ([error, error], 3)


def test_work_that_forgets_someone_fails_and_leaves_nobody_waiting():
    async def play():
        store = Slow()
        store.go.set()
        pool = Pool(store.write, lambda _session, wishes: wishes[1:])
        asked = asyncio.gather(pool.submit(1), pool.submit(2), return_exceptions=True)
        return await asyncio.wait_for(asked, 5)

    assert [type(outcome) for outcome in asyncio.run(play())] == [ValueError] * 2


def test_who_goes_away_keeps_nobody_waiting():
    async def play():
        store = Slow()
        pool = Pool(store.write, odd_are_refused)
        gone, stays = (asyncio.create_task(pool.submit(wish)) for wish in (0, 2))
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
        pool = Pool(store.write, odd_are_refused, clock)

        async def come(turn):
            for _ in range(3 * turn):
                await asyncio.sleep(0)
            return await pool.submit(2 * turn)

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


class Disk:
    """A store that has done the work, and commits it when it is let, or fails to."""

    def __init__(self):
        self.commit = asyncio.get_running_loop().create_future()

    async def write(self, work, wishes, made):
        await asyncio.to_thread(work, None, wishes, made)
        await self.commit


async def said_before_the_commit(ready, wishes=(2,)):
    """Return the disk, those who ask, and the list of what `ready` was given, once it was given all."""
    disk, seen = Disk(), []

    def noted(wish):
        seen.append(wish)
        return ready(wish)

    pool = Pool(disk.write, odd_are_refused)
    asked = [asyncio.create_task(pool.answer(wish, noted)) for wish in wishes]
    async with asyncio.timeout(5):
        while len(seen) < sum(wish % 2 == 0 for wish in wishes):
            await asyncio.sleep(0)
    return disk, asked, seen


def test_answers_are_made_while_the_disk_is_waited_for_and_given_after():
    async def play():
        disk, asked, _ = await said_before_the_commit(str, (2, 3, 4))
        before = [task.done() for task in asked]
        disk.commit.set_result(None)
        return before, await asyncio.gather(*asked, return_exceptions=True)

    before, (first, second, third) = asyncio.run(play())
    assert not any(before)
    assert (first, third) == ("2", "4")
    assert isinstance(second, RequestError)


def test_an_answer_to_what_could_not_be_committed_reaches_nobody():
    async def play():
        disk, asked, seen = await said_before_the_commit(str)
        disk.commit.set_exception(OSError("no disk"))
        return seen, await asyncio.gather(*asked, return_exceptions=True)

    seen, (outcome,) = asyncio.run(play())
    assert seen == [2]
    assert isinstance(outcome, OSError)


@pytest.mark.parametrize(
    ("raised", "heard"),
    [(ZeroDivisionError, ZeroDivisionError), (StopIteration, RuntimeError), (Panic, Panic)],
)
def test_an_answer_that_cannot_be_made_fails_its_own_asker_alone(raised, heard):
    def ready(wish):
        if wish == 2:
            raise raised
        return wish

    async def play():
        disk, asked, _ = await said_before_the_commit(ready, (2, 4))
        disk.commit.set_result(None)
        async with asyncio.timeout(5):
            return await asyncio.gather(*asked, return_exceptions=True)

    failed, served = asyncio.run(play())
    assert type(failed) is heard
    assert served == 4
