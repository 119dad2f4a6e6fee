"""Responses that nobody waits for: tasks with an owner that can cancel them and that waits for them at shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from gateway.errors import LimitReached
from gateway.surfaces.responses.events import EventLog

MOST_TASKS = 1024
"""Responses under way in the background of one process."""


class Background:
    """Tasks by name."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._logs: dict[str, EventLog] = {}
        self._cancelled: set[str] = set()

    def __len__(self) -> int:
        """How many tasks are under way."""
        return len(self._tasks)

    def check_room(self) -> None:
        """Raise LimitReached if no more tasks may be started."""
        if len(self._tasks) >= MOST_TASKS:
            raise LimitReached(f"{MOST_TASKS} background responses are under way; no more can be started now.")

    def start(self, name: str, work: Coroutine[None, None, None], log: EventLog | None = None) -> None:
        """Start a task under a name of its own; `log` is what it writes its events to, for those who follow here."""
        task = asyncio.create_task(work)
        self._tasks[name] = task
        if log is not None:
            self._logs[name] = log
        task.add_done_callback(lambda _: self._forget(name))

    def log(self, name: str) -> EventLog | None:
        """Give the events of a task under way; None if this process has none of that name, or it writes none."""
        return self._logs.get(name)

    async def cancel(self, name: str) -> bool:
        """Cancel a task and wait until it has ended; False if this process has none of that name."""
        task = self._tasks.get(name)
        if task is None:
            return False
        self._cancelled.add(name)
        task.cancel()
        await asyncio.wait((task,))
        return True

    def is_cancelled(self, name: str) -> bool:
        """Whether a task that is being cancelled is so by request, and not by the shutdown."""
        return name in self._cancelled

    async def finish(self, timeout_s: float) -> None:
        """Wait for all tasks, and cancel those that take longer than that."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks.values(), timeout=timeout_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _forget(self, name: str) -> None:
        del self._tasks[name]
        self._logs.pop(name, None)
        self._cancelled.discard(name)


@asynccontextmanager
async def running_background(drain_s: float) -> AsyncIterator[Background]:
    """Own background tasks; at the end they may take `drain_s` seconds to finish."""
    background = Background()
    try:
        yield background
    finally:
        await background.finish(drain_s)
