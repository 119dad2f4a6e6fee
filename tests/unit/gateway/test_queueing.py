"""A line is fair between keys, keeps priorities, is bounded, and gives back what nobody takes."""

import asyncio

import pytest

from gateway.queueing import PATIENCE, Priority, Queue, QueueEvent, SentAway, Visitor


class Places:
    """So many places; a key holds one until it is released."""

    def __init__(self, queue: Queue, free: int) -> None:
        self.queue, self.free, self.released = queue, free, 0

    def taker(self, key: str):
        def take() -> "Place | None":
            if not self.free:
                return None
            self.free -= 1
            self.queue.hold(key)
            return Place(self, key)

        return take


class Place:
    def __init__(self, places: Places, key: str) -> None:
        self.places, self.key = places, key

    def release(self) -> None:
        self.places.free += 1
        self.places.released += 1
        self.places.queue.let_go(self.key)


@pytest.fixture
def events():
    return []


@pytest.fixture
def queue(events):
    return Queue("q", 4, 5.0, events.append)


async def waiting(queue, places, key, priority=Priority.NORMAL):
    """Begin to wait, and come back once in line."""
    task = asyncio.create_task(queue.wait(Visitor(key, priority), places.taker(key)))
    await asyncio.sleep(0)
    return task


async def served_order(queue, places, tasks):
    """Give one place after the other and name the keys in the order in which they got one."""
    order = []
    for _ in tasks:
        places.free = 1
        queue.wake()
        await asyncio.sleep(0)
        for name, task in tasks.items():
            if task.done() and name not in order:
                order.append(name)
    return order


async def test_whoever_holds_least_goes_first_and_among_equals_the_oldest(queue):
    places = Places(queue, 2)
    held = [places.taker("busy")(), places.taker("busy")()]
    tasks = {
        "busy": await waiting(queue, places, "busy"),
        "first": await waiting(queue, places, "a"),
        "second": await waiting(queue, places, "b"),
    }
    assert await served_order(queue, places, tasks) == ["first", "second", "busy"]
    assert held


async def test_priorities_go_first_and_nobody_starves(events):
    queue = Queue("q", 100, 5.0, events.append)
    places = Places(queue, 0)
    low = await waiting(queue, places, "batch", Priority.LOW)
    highs = [await waiting(queue, places, f"k{number}", Priority.HIGH) for number in range(PATIENCE)]
    for number in range(PATIENCE - 1):
        places.free = 1
        queue.wake()
        await asyncio.sleep(0)
        assert not low.done(), number
    places.free = 1
    queue.wake()
    await asyncio.sleep(0)
    assert low.done()
    for task in (low, *highs):
        task.cancel()


async def test_the_key_that_fills_the_line_makes_room_for_another(queue, events):
    places = Places(queue, 0)
    flood = [await waiting(queue, places, "flood") for _ in range(4)]
    other = await waiting(queue, places, "other")
    with pytest.raises(SentAway) as evicted:
        await flood[-1]
    assert evicted.value.why == "evicted"
    assert evicted.value.retry_after_s >= 1
    with pytest.raises(SentAway) as full:
        await queue.wait(Visitor("flood"), places.taker("flood"))
    assert full.value.why == "full"
    assert [event.result for event in events] == ["evicted", "full"]
    for task in (*flood, other):
        task.cancel()


async def test_a_high_priority_finds_room_in_a_full_line(queue):
    places = Places(queue, 0)
    lows = [await waiting(queue, places, f"k{number}", Priority.LOW) for number in range(4)]
    high = await waiting(queue, places, "urgent", Priority.HIGH)
    with pytest.raises(SentAway, match="evicted"):
        await lows[-1]
    assert not high.done()
    for task in (*lows, high):
        task.cancel()


async def test_waiting_ends_after_the_longest_wait(events):
    queue = Queue("q", 4, 0.02, events.append)
    with pytest.raises(SentAway) as late:
        await queue.wait(Visitor("a"), Places(queue, 0).taker("a"))
    assert late.value.why == "late"
    assert not len(queue)
    assert isinstance(events[-1], QueueEvent)
    assert events[-1].waited_s >= 0.02


async def test_whoever_has_less_time_than_the_line_allows_leaves_earlier(events):
    queue = Queue("q", 4, 60, events.append)
    hurried = Visitor("a", until=asyncio.get_running_loop().time() + 0.02)
    with pytest.raises(SentAway) as late:
        await asyncio.wait_for(queue.wait(hurried, Places(queue, 0).taker("a")), 5)
    assert late.value.why == "late"
    assert not len(queue)


async def test_what_a_leaving_client_was_just_given_goes_to_the_next(queue):
    places = Places(queue, 0)
    leaving, staying = await waiting(queue, places, "a"), await waiting(queue, places, "b")
    places.free = 1
    queue.wake()
    leaving.cancel()  # it has been given a place and has not woken up yet
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (await asyncio.wait_for(staying, 1)).key == "b"
    assert places.free == 0


async def test_a_place_is_not_given_to_one_who_is_already_leaving(queue):
    places = Places(queue, 0)
    leaving, staying = await waiting(queue, places, "a"), await waiting(queue, places, "b")
    leaving.cancel()
    places.free = 1
    queue.wake()  # before the one who leaves has woken up
    assert (await asyncio.wait_for(staying, 1)).key == "b"
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert places.free == 0


async def test_a_leaving_client_frees_its_place_in_line(queue, events):
    places = Places(queue, 0)
    task = await waiting(queue, places, "a")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not len(queue)
    assert events[-1].result == "left"


async def test_the_place_in_line_can_be_looked_up(queue):
    places, looks = Places(queue, 0), []
    visitor = Visitor("a", Priority.LOW, looks.append)
    task = asyncio.create_task(queue.wait(visitor, places.taker("a")))
    await asyncio.sleep(0)
    assert looks[0]() == 1
    other = await waiting(queue, places, "b")
    assert looks[0]() == 2
    for waiter in (task, other):
        waiter.cancel()
    await asyncio.gather(task, other, return_exceptions=True)
    assert looks[-1] is None


async def test_what_taking_raises_is_told_to_the_one_who_waits(queue):
    refusing = False

    def take():
        if refusing:
            raise RuntimeError("nobody is left")

    task = asyncio.create_task(queue.wait(Visitor("a"), take))
    await asyncio.sleep(0)
    refusing = True
    queue.wake()
    with pytest.raises(RuntimeError, match="nobody is left"):
        await task
