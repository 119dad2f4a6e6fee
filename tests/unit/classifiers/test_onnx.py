"""The runtime that serves graphs does what it is told to, and nothing besides."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ESTIMATE = "from classifiers.bundle import DEFAULT_BUNDLE, load_bundle; load_bundle(DEFAULT_BUNDLE)"


def test_nothing_is_noted_about_the_machine_nor_sent_to_the_runtimes_vendor(tmp_path):
    """onnxruntime's telemetry shows by a device id and a database in the home folder; in CI it is off by itself."""
    bare = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", _ESTIMATE], env=bare | home, cwd=Path(__file__).parents[3], check=True)
    assert list(tmp_path.rglob("*")) == []
