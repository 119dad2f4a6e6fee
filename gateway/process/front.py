"""What is seen of the gateway from outside before anything is built: the address it listens on, and what it says."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from rich.console import Console

from gateway.settings import Settings, SettingsError, TargetSettings

BACKLOG = 2048


def listen(settings: Settings) -> socket.socket:
    """Listen.

    Raises:
        SettingsError: the address is taken, or is not this machine's.
    """
    host, port = settings.server.host, settings.server.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"server: cannot listen on {host}:{port}: {error.strerror or error}; choose another with --port"
        ) from None
    return listener


def address(listener: socket.socket) -> str:
    """Give the address under which a listener is reached from this machine."""
    host, port = listener.getsockname()[:2]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  compared, not bound
    return f"http://{shown}:{port}"


def print_banner(settings: Settings, listener: socket.socket) -> None:
    """Tell a person what is served, where, and what to do next."""
    console = Console(stderr=True, highlight=False)
    for label, text in _banner(settings, address(listener)):
        console.print(f"[bold]{label:<12}[/bold] {text}", soft_wrap=True)


def _banner(settings: Settings, url: str) -> Iterator[tuple[str, str]]:
    yield "Thalamus", f"{url}/v1   model [bold]auto[/bold]"
    for tier, targets in settings.tiers.items():
        yield tier.value, ", ".join(_target(settings, target) for target in targets)
    yield "console", f"{url}/"
    yield "docs", f"{url}/docs"
    yield "metrics", f"{url}/metrics"
    if settings.server.workers > 1:
        yield "workers", _workers(settings)
    yield "try it", f"curl -i {url}/v1/chat/completions -H 'content-type: application/json' \\"
    yield "", """     -d '{"model": "auto", "messages": [{"role": "user", "content": "Hello!"}]}'"""
    if any(backend.transport == "embedded" for backend in settings.backends.values()):
        yield "real models", "set THALAMUS_UPSTREAM_URL, THALAMUS_UPSTREAM_KEY and THALAMUS_UPSTREAM_MODEL,"
        yield "", "or write a thalamus.yaml: `thalamus init`"


def _target(settings: Settings, target: TargetSettings) -> str:
    effort = f", effort {target.effort}" if target.effort else ""
    return f"{target.backend} ({settings.backends[target.backend].model}{effort})"


def _workers(settings: Settings) -> str:
    """Say how many there are, and what each has for itself."""
    if settings.redis.url is not None:
        return f"{settings.server.workers}, sharing limits, cache, conversations and breakers through Redis"
    return (
        f"{settings.server.workers}; without redis.url each has limits, cache, conversations, kept responses, "
        "breakers and drains of its own"
    )
