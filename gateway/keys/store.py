"""Where key records are: a file that is replaced whole, or one value in Redis. Changes are one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from gateway.keys.records import KeyRecord

T = TypeVar("T")
Change = Callable[[list[KeyRecord]], tuple[list[KeyRecord], T]]
"""Takes the records and gives what they shall be, and something for whoever asked."""

_records = TypeAdapter(list[KeyRecord])


class KeyStoreUnavailable(Exception):
    """The records cannot be read or written now; the message names the place and says why."""


class KeyStore(Protocol):
    """Key records, shared by all processes that name the same place."""

    async def stamp(self) -> object | None:
        """Give something that changes whenever the records do; None where there are none yet."""

    async def load(self) -> list[KeyRecord]:
        """Give all records."""

    async def change(self, make: Change[T]) -> T:
        """Change the records in one step: nobody else's change is lost."""


def encode(records: list[KeyRecord]) -> bytes:
    """Write records as JSON."""
    return _records.dump_json(records, indent=1, exclude_defaults=True, by_alias=True)


def decode(written: bytes, where: str) -> list[KeyRecord]:
    """Read records.

    Raises:
        KeyStoreUnavailable: they are damaged. Nothing is guessed: half a list of keys would close out the rest.
    """
    try:
        return _records.validate_json(written)
    except ValidationError as error:
        raise KeyStoreUnavailable(f"{where}: not a list of keys: {error.error_count()} faults") from None


class FileKeyStore:
    """Records in a JSON file that only its owner may read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def stamp(self) -> object | None:
        """Give the file's identity and time; None if there is no file."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeyStoreUnavailable(f"{self._path}: {error.strerror}") from None
        return status.st_mtime_ns, status.st_size, status.st_ino

    async def load(self) -> list[KeyRecord]:
        """Read the file."""
        return await asyncio.to_thread(self._read)

    async def change(self, make: Change[T]) -> T:
        """Replace the file, under a lock that other processes heed."""
        return await asyncio.to_thread(self._change, make)

    def _read(self) -> list[KeyRecord]:
        try:
            written = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise KeyStoreUnavailable(f"{self._path}: {error.strerror}") from None
        return decode(written, str(self._path))

    def _change(self, make: Change[T]) -> T:
        try:
            with self._locked():
                records, given = make(self._read())
                self._write(encode(records))
        except OSError as error:
            raise KeyStoreUnavailable(f"{self._path}: cannot be written: {error.strerror}") from None
        return given

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = os.open(self._path.with_name(self._path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, content: bytes) -> None:
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        with os.fdopen(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
