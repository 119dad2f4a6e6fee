"""The SDKs and frameworks, each in an environment of its own under ``.cache/clients``, as their locks pin them.

An environment is made once and made anew when its lock changes. Making one needs a package registry: without it a test
fails where ``CI`` is set and is skipped, saying so, elsewhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "clients"
UV = Path(sys.executable).with_name("uv")

_INSTALL_TIMEOUT_S = 300
_STAMP = "installed"


class InstallError(Exception):
    """An environment could not be made; the message says which command failed and what it wrote."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """One SDK: the folder with its locks, and the checks that are run with it.

    Attributes:
        name: the folder's name here and in the cache.
        checks: the folder of the script, beside this file.
        node: whether the script is JavaScript; its environment then holds a Node of its own as well.
    """

    name: str
    checks: str
    node: bool = False

    def locks(self) -> list[Path]:
        """Give the files that pin this environment."""
        names = ("requirements.txt", "package.json", "package-lock.json")
        return [lock for name in names if (lock := HERE / self.name / name).exists()]

    def command(self, home: Path) -> list[str]:
        """Give the command that runs the checks in an installed environment."""
        if not self.node:
            return [str(home / "bin" / "python"), str(HERE / self.checks)]
        # Node looks for packages beside the script: so it sees the script through a link beside its packages.
        links = ("--preserve-symlinks", "--preserve-symlinks-main")
        return [str(home / "bin" / "node"), *links, str(home / "checks" / "main.mjs")]


SDKS = (
    Sdk("openai_python_2", checks="openai_python"),
    Sdk("openai_python_3", checks="openai_python"),
    Sdk("openai_python_responses", checks="openai_python_responses"),
    Sdk("openai_node", checks="openai_node", node=True),
    Sdk("anthropic_python", checks="anthropic_python"),
    Sdk("langchain", checks="langchain"),
    Sdk("llama_index", checks="llama_index"),
    Sdk("pydantic_ai", checks="pydantic_ai"),
)


def installed(sdk: Sdk) -> Path:
    """Return an SDK's environment, made first if need be; fail or skip the test if that cannot be done."""
    home = CACHE / sdk.name
    stamp = home / _STAMP
    digest = hashlib.sha256(b"\0".join(lock.read_bytes() for lock in sdk.locks())).hexdigest()
    with _alone(sdk.name):
        if stamp.exists() and stamp.read_text() == digest:
            return home
        shutil.rmtree(home, ignore_errors=True)
        try:
            _install(sdk, home)
        except InstallError as error:
            _give_up(sdk, error)
        stamp.write_text(digest)
    return home


def _install(sdk: Sdk, home: Path) -> None:
    folder = HERE / sdk.name
    python = str(home / "bin" / "python")
    _run([str(UV), "venv", "--quiet", "--python", sys.executable, str(home)])
    lock = str(folder / "requirements.txt")
    _run([str(UV), "pip", "install", "--quiet", "--python", python, "--require-hashes", "--requirement", lock])
    if sdk.node:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(folder / name, home / name)
        _run([str(home / "bin" / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], home)
        (home / "checks").symlink_to(HERE / sdk.checks)


def _run(command: Sequence[str], folder: Path = HERE) -> None:
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ["PATH"]])
    try:
        subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"PATH": path},
            check=True,
            capture_output=True,
            text=True,
            timeout=_INSTALL_TIMEOUT_S,
        )
    except subprocess.CalledProcessError as error:
        raise InstallError(f"{' '.join(command)}\n{error.stderr[-2000:]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"{' '.join(command)}\n{error}") from None


def _give_up(sdk: Sdk, error: InstallError) -> None:
    message = f"{sdk.name} IS NOT TESTED: its environment cannot be installed: {error}"
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keep other test processes out while one installs."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
