"""What every room of tests may ask for: a stand-in backend, and the real gateway in front of it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gateway.standin import RunningStandin, running_standin
from tests.gateway.serving import RunningGateway, running_gateway, settings_over

Serve = Callable[..., RunningGateway]

# Tests start hundreds of gateways: with nowhere to keep compiled modules, each would spend half its start on that.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.fixture(scope="session")
def session_standin() -> Iterator[RunningStandin]:
    """One stand-in for the whole run; tests take `standin`, which cleans up behind them."""
    with running_standin() as running:
        yield running


@pytest.fixture
def standin(session_standin: RunningStandin) -> Iterator[RunningStandin]:
    """A healthy stand-in that has seen no requests; whatever a test makes of it is undone."""
    session_standin.reset()
    yield session_standin
    session_standin.reset()


@pytest.fixture(scope="module")
def gateway(session_standin: RunningStandin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """The gateway over the stand-in, without keys, shared by the tests of one module."""
    with running_gateway(settings_over(session_standin.url), tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start gateways with settings of a test's own: `serve(settings, environment=…)`; they end with the test."""
    numbers = count(1)
    with contextlib.ExitStack() as running:

        def start(settings: dict[str, Any], **options: Any) -> RunningGateway:
            return running.enter_context(running_gateway(settings, tmp_path / f"gateway-{next(numbers)}", **options))

        yield start
