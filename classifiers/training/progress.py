"""Stages of a long run: shown as they go, and kept on disk so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

Result = TypeVar("Result")


class Stages:
    """Runs named stages with a progress line each. `key` says of which data the kept results are."""

    def __init__(self, folder: Path, *, show: bool = True) -> None:
        self._folder = folder
        self.key = ""
        columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), disable=not show)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def do(self, name: str, work: Callable[[], Result]) -> Result:
        """Run a stage whose result is not worth keeping."""
        task = self._progress.add_task(name, total=1)
        result = work()
        self._progress.update(task, completed=1)
        return result

    def kept(self, name: str, work: Callable[[], Result], *code: ModuleType) -> Result:
        """Run a stage, or read what an earlier run on the same data and with the same `code` kept of it.

        The folder is the user's own; what lies there is trusted as the user's own code is.
        """
        path = self._folder / f"{name}-{self.key}-{_fingerprint(code)}.pickle"
        if path.is_file():
            kept: Result = self.do(f"{name} (kept)", lambda: pickle.loads(path.read_bytes()))  # noqa: S301 - our own
            return kept
        result = self.do(name, work)
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            pickle.dump(result, file, protocol=pickle.HIGHEST_PROTOCOL)
        Path(file.name).replace(path)
        return result


def _fingerprint(code: Iterable[ModuleType]) -> str:
    digest = hashlib.sha256()
    for module in code:
        digest.update(Path(module.__file__ or "").read_bytes())
    return digest.hexdigest()[:8]
