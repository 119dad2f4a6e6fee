"""Who is calling. Keys are kept and compared as SHA-256 digests only."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from gateway.errors import AuthenticationFailed, PermissionRefused
from gateway.limits.meters import Meter, meters_of
from gateway.queueing import Priority
from gateway.settings import KeySettings, LimitSettings
from router.types import Bounds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `models` None means every model."""

    name: str
    tenant: str
    models: frozenset[str] | None = None
    bounds: Bounds = field(default_factory=Bounds)
    priority: Priority = Priority.NORMAL
    meters: tuple[Meter, ...] = ()
    """What it is limited in."""

    def check_may_ask_for(self, model: str) -> None:
        """Raise PermissionRefused unless this caller may ask for the model name."""
        if self.models is not None and model not in self.models:
            allowed = ", ".join(sorted(self.models))
            raise PermissionRefused(f"This key may not use the model '{model}'. It may use: {allowed}.")


LOCAL = Caller("local", "default")
"""Whoever calls a gateway without keys, which listens on loopback only."""


class Keyring:
    """The keys that open this gateway; without any, everyone on loopback is `LOCAL`."""

    def __init__(self, keys: Iterable[KeySettings], limits: Sequence[LimitSettings] = ()) -> None:
        self._callers = {_digest(key): _caller(key, limits) for key in keys}
        self._local = replace(LOCAL, meters=meters_of(limits, ())) if limits else LOCAL

    def identify(self, authorization: str | None, api_key: str | None = None) -> Caller:
        """Find the caller behind an ``Authorization: Bearer …`` header, or else behind Anthropic's ``x-api-key: …``.

        Raises:
            AuthenticationFailed: keys are configured, and this is none of them.
        """
        if not self._callers:
            return self._local
        scheme, _, token = (authorization or f"Bearer {api_key or ''}").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise AuthenticationFailed("No API key was given. Send 'Authorization: Bearer KEY' or 'x-api-key: KEY'.")
        # Headers are decoded as Latin-1; encoding them so again gives the bytes that the client sent.
        digest = hashlib.sha256(token.strip().encode("latin-1", "replace")).hexdigest()
        found = None
        # Every digest is compared, in constant time, so that timing tells nothing about the keys.
        for known, caller in self._callers.items():
            if hmac.compare_digest(known, digest):
                found = caller
        if found is None:
            raise AuthenticationFailed("The API key is not known to this gateway.")
        return found


def _digest(key: KeySettings) -> str:
    if key.sha256 is not None:
        return key.sha256
    if key.key is None:
        raise ValueError(f"key {key.name} has neither form")
    return hashlib.sha256(key.key.get_secret_value().encode()).hexdigest()


def _caller(key: KeySettings, limits: Sequence[LimitSettings]) -> Caller:
    bounds = Bounds(_set(key.tiers), _set(key.dials))
    meters = meters_of(limits, key.limits)
    return Caller(key.name, key.tenant, _set(key.models), bounds, Priority[key.priority.upper()], meters)


def _set(listed: Iterable[T] | None) -> frozenset[T] | None:
    return None if listed is None else frozenset(listed)
