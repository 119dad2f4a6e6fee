"""Who is calling. Keys are kept and compared as SHA-256 digests only."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from gateway.errors import AuthenticationFailed, PermissionRefused, StateUnavailable
from gateway.keys import KeyRecord, ManagedKeys
from gateway.limits.meters import Meter, meters_of
from gateway.queueing import Priority
from gateway.settings import KeyBounds, KeySettings, LimitSettings
from gateway.show import Show
from router.types import Bounds

T = TypeVar("T")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `models` None means every model; `reasoning` None means what everybody may see of it."""

    name: str
    tenant: str
    models: frozenset[str] | None = None
    bounds: Bounds = field(default_factory=Bounds)
    priority: Priority = Priority.NORMAL
    reasoning: Show | None = None
    meters: tuple[Meter, ...] = ()
    """What it is limited in."""

    def check_may_ask_for(self, model: str) -> None:
        """Raise PermissionRefused unless this caller may ask for the model name."""
        if self.models is not None and model not in self.models:
            allowed = ", ".join(sorted(self.models))
            raise PermissionRefused(f"This key may not use the model '{model}'. It may use: {allowed}.")


LOCAL = Caller("local", "default")
"""Whoever calls a gateway without keys, which listens on loopback only."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One bearer token: whose it is, until when (Unix seconds), and from where it may come."""

    digest: str
    caller: Caller
    until: float | None
    networks: tuple[Network, ...] | None
    record_id: str | None = None


class Keyring:
    """The keys that open this gateway: those written in the configuration, and those of the key store.

    Without any, everyone on loopback is `LOCAL`.
    """

    def __init__(
        self,
        keys: Iterable[KeySettings],
        limits: Sequence[LimitSettings] = (),
        managed: ManagedKeys | None = None,
    ) -> None:
        self._limits = limits
        self._managed = managed
        # Tokens are looked up by a hash that nobody outside can predict, so that timing tells nothing about them.
        self._salt = secrets.token_bytes(16)
        self._configured = self._index(self._configured_entries(keys))
        self._known: dict[bytes, _Entry] = {}
        self._version = -1
        self._local = replace(LOCAL, meters=meters_of(limits, ())) if limits else LOCAL

    @property
    def asks(self) -> bool:
        """Whether callers have to show a key."""
        return bool(self._configured) or (self._managed is not None and self._managed.are_asked_for)

    def identify(self, authorization: str | None, api_key: str | None = None, address: str | None = None) -> Caller:
        """Find the caller behind an ``Authorization: Bearer …`` header, or else behind Anthropic's ``x-api-key: …``.

        Args:
            authorization: the header.
            api_key: the other header.
            address: where the request comes from, for keys that are bound to networks.

        Raises:
            AuthenticationFailed: keys are asked for, and this is none of them, or not any more.
            PermissionRefused: the key may not be used from there.
            StateUnavailable: this process has not been able to read the keys yet.
        """
        managed = self._managed
        if managed is not None and managed.version != self._version:
            self._take_over(managed)
        if not self.asks:
            return self._local
        scheme, _, token = (authorization or f"Bearer {api_key or ''}").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise AuthenticationFailed("No API key was given. Send 'Authorization: Bearer KEY' or 'x-api-key: KEY'.")
        # Headers are decoded as Latin-1; encoding them so again gives the bytes that the client sent.
        digest = hashlib.sha256(token.strip().encode("latin-1", "replace")).hexdigest()
        blind = self._blind(digest)
        entry = self._configured.get(blind) or self._known.get(blind)
        if entry is None or not hmac.compare_digest(entry.digest, digest):
            if managed is not None and not managed.are_known:
                raise StateUnavailable("The keys cannot be read at the moment.")
            raise AuthenticationFailed("The API key is not known to this gateway.")
        now = time.time()
        if entry.until is not None and now >= entry.until:
            raise AuthenticationFailed("The API key has expired.")
        if entry.networks is not None and not _is_within(address, entry.networks):
            raise PermissionRefused("This key may not be used from this address.")
        if managed is not None and entry.record_id is not None:
            managed.used[entry.record_id] = now
        return entry.caller

    def callers(self) -> list[Caller]:
        """Give everybody who may call."""
        if self._managed is not None and self._managed.version != self._version:
            self._take_over(self._managed)
        if not self.asks:
            return [self._local]
        return [entry.caller for entry in (*self._configured.values(), *self._known.values())]

    def _take_over(self, managed: ManagedKeys) -> None:
        self._known = self._index(entry for record in managed.records for entry in self._entries_of(record))
        self._version = managed.version

    def _configured_entries(self, keys: Iterable[KeySettings]) -> Iterator[_Entry]:
        for key in keys:
            until = key.expires.timestamp() if key.expires is not None else None
            yield _Entry(_digest(key), self._caller(key), until, key.networks)

    def _entries_of(self, record: KeyRecord) -> Iterator[_Entry]:
        if record.revoked is not None:
            return
        caller = self._caller(record)
        for secret in record.secrets:
            ends = [one.timestamp() for one in (secret.until, record.expires) if one is not None]
            yield _Entry(secret.sha256, caller, min(ends, default=None), record.networks, record.id)

    def _caller(self, key: KeyBounds) -> Caller:
        bounds = Bounds(_set(key.tiers), _set(key.dials))
        meters = meters_of(self._limits, key.limits)
        priority = Priority[key.priority.upper()]
        return Caller(key.name, key.tenant, _set(key.models), bounds, priority, key.reasoning, meters)

    def _index(self, entries: Iterable[_Entry]) -> dict[bytes, _Entry]:
        return {self._blind(entry.digest): entry for entry in entries}

    def _blind(self, digest: str) -> bytes:
        return hashlib.blake2b(digest.encode(), digest_size=16, key=self._salt).digest()


def _digest(key: KeySettings) -> str:
    if key.sha256 is not None:
        return key.sha256
    if key.key is None:
        raise ValueError(f"key {key.name} has neither form")
    return hashlib.sha256(key.key.get_secret_value().encode()).hexdigest()


def _is_within(address: str | None, networks: Iterable[Network]) -> bool:
    if address is None:
        return False
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)  # what an IPv4 caller is on a socket that listens on "::"
    return any((mapped or found) in network for network in networks)


def _set(listed: Iterable[T] | None) -> frozenset[T] | None:
    return None if listed is None else frozenset(listed)
