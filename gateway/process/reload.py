"""A changed configuration takes effect without a restart; a bad one is refused and the old one goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog
from fastapi import FastAPI

from gateway.building import Builder
from gateway.rooms import Rooms
from gateway.settings import SettingsError, SettingsSource

LOOK_EVERY_S = 1.0

_log = structlog.get_logger("thalamus")


class Reloader:
    """Reloads on request, one reload at a time."""

    def __init__(self, app: FastAPI, source: SettingsSource) -> None:
        self._app = app
        self._source = source
        self._lock = asyncio.Lock()

    async def reload(self) -> bool:
        """Read the file again and serve by it from the next request on. Requests under way keep the old one.

        Returns:
            Whether the new configuration took effect; if not, the log says why.
        """
        async with self._lock:
            rooms: Rooms = self._app.state.rooms
            builder: Builder = self._app.state.builder
            try:
                settings = self._source.load()
                if settings.server != rooms.settings.server:
                    _log.warning("server settings change with a restart only", path=str(self._source.path))
                self._app.state.rooms = await builder.build(settings, rooms)
            except SettingsError as error:
                _log.error("configuration refused, the old one goes on", why=str(error))
                rooms.metrics.record_reload("refused")
                return False
            rooms.metrics.record_reload("applied")
            _log.info("configuration reloaded", path=str(self._source.path))
            return True

    async def watch(self) -> None:
        """Reload whenever the file's content changes, until cancelled.

        The file is looked at once a second: cheap, and right for whatever replaces it (an editor, a Kubernetes
        ConfigMap behind two links), which notifications of the file system are not.
        """
        path = self._source.path
        if path is None:
            return
        content, stamp = _read(path), _stamp(path)
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if (seen := _stamp(path)) == stamp:
                continue
            stamp, changed = seen, _read(path)
            if changed is not None and changed != content:
                content = changed
                await self.reload()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
