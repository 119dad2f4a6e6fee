"""The key records as this process knows them, kept up to date; and when keys were last used, written now and then."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from gateway.cancelled import was_cancelled
from gateway.keys.records import KeyRecord, touch
from gateway.keys.store import KeyStore, KeyStoreUnavailable

WRITE_USES_EVERY_S = 60.0

_log = structlog.get_logger("thalamus")


class ManagedKeys:
    """Records that change while the gateway runs.

    A store that is away leaves the records as they were last seen. Until they have been seen once nobody knows whether
    a key is good, so that none is (`are_known`).

    Attributes:
        records: as last seen.
        version: changes whenever they do.
        used: when each key was last used, by id, as far as it is not written yet (Unix seconds).
    """

    def __init__(self, store: KeyStore, refresh_s: float) -> None:
        self.store = store
        self.records: Sequence[KeyRecord] = ()
        self.version = 0
        self.used: dict[str, float] = {}
        self.are_known = False
        self._refresh_s = refresh_s
        self._stamp: object | None = None
        self._is_away = False

    @property
    def are_asked_for(self) -> bool:
        """Whether callers need a key: there is a store, even if it is empty by now."""
        return bool(self.records) or self._stamp is not None or not self.are_known

    async def refresh(self) -> None:
        """Take over what has changed."""
        try:
            stamp = await self._look()
            if stamp != self._stamp:
                self.records = await self.store.load()
                self.version += 1
            self._stamp, self.are_known = stamp, True
        except KeyStoreUnavailable as error:
            if not self._is_away:
                _log.error("keys cannot be read, those known so far go on", why=str(error))
            self._is_away = True
        else:
            self._is_away = False

    async def _look(self) -> object | None:
        stamp = await self.store.stamp()
        if stamp is None and self._stamp is not None:
            raise KeyStoreUnavailable("the file of keys is gone")
        return stamp

    async def write_uses(self) -> None:
        """Write when keys were last used."""
        used, self.used = self.used, {}
        if not used:
            return
        try:
            await self.store.change(lambda records: (touch(records, used), None))
        except KeyStoreUnavailable:
            self.used = {**used, **self.used}

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Look for changes, until the block ends."""
        await self.refresh()
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
            await self.write_uses()

    async def _keep(self) -> None:
        written_at = time.monotonic()
        while not was_cancelled():
            await asyncio.sleep(self._refresh_s)
            await self.refresh()
            if time.monotonic() - written_at >= WRITE_USES_EVERY_S:
                written_at = time.monotonic()
                await self.write_uses()
