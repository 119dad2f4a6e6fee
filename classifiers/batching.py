"""One thread that works on whatever has arrived while it was busy."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batches(Generic[Item, Result]):
    """Owns one thread that does slow work; whatever has arrived while it was busy becomes its next batch.

    Nothing waits for company: a single item starts at once, and under load batches grow by themselves. Open it
    with ``with``; `close` waits for the batch under way and cancels what is still queued.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Result]], *, name: str, most: int) -> None:
        self._do = work
        self._most = most
        self._waiting: queue.SimpleQueue[tuple[Item, Future[Result]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"batcher-{name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, item: Item) -> Future[Result]:
        """Queue one item. In asyncio, await ``asyncio.wrap_future(batches.submit(item))``."""
        future: Future[Result] = Future()
        self._waiting.put((item, future))
        return future

    def close(self) -> None:
        """Stop the thread; what has not been started is cancelled."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, ending = self._gather(first)
            self._answer(batch)
            if ending:
                break
        self._cancel_rest()

    def _gather(self, first: tuple[Item, Future[Result]]) -> tuple[list[tuple[Item, Future[Result]]], bool]:
        batch = [first]
        while len(batch) < self._most:
            try:
                following = self._waiting.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
        return batch, False

    def _answer(self, batch: list[tuple[Item, Future[Result]]]) -> None:
        wanted = [(item, future) for item, future in batch if future.set_running_or_notify_cancel()]
        try:
            results = self._do([item for item, _ in wanted])
        except Exception as error:  # noqa: BLE001 - handed to each waiting caller, who sees it raised
            for _, future in wanted:
                future.set_exception(error)
            return
        for (_, future), result in zip(wanted, results, strict=True):
            future.set_result(result)

    def _cancel_rest(self) -> None:
        while True:
            try:
                left = self._waiting.get_nowait()
            except queue.Empty:
                return
            if left is not None:
                left[1].cancel()
