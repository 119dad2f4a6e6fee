"""Which row of the dialects a backend is: as its settings say, else as its model id and address tell."""

from __future__ import annotations

from gateway.settings import BackendSettings
from gateway.upstream.dialects import Dialect, Dialects


def recognise(settings: BackendSettings, dialects: Dialects) -> tuple[Dialect, str | None]:
    """Give a backend's row and its host; None is a host that nobody could guess."""
    addresses = settings.addresses()
    family = settings.family or dialects.guess_family(settings.model)
    host = settings.host or (dialects.guess_host(str(addresses[0].url)) if addresses else None)
    return dialects.find(family, host), host
