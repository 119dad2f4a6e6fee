"""Whether a task was told to end, where the exception that says so may have been lost on the way."""

from __future__ import annotations

import asyncio


def was_cancelled() -> bool:
    """Say whether this task was cancelled, for loops that call libraries and must end when they are told to.

    `asyncio.wait_for` before Python 3.12 loses a cancellation that comes in the moment in which what it waits for ends
    (https://github.com/python/cpython/issues/86296), and redis-py sends every command through it.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
