"""Keys that are made, changed and revoked while the gateway runs. See docs/keys.md."""

from gateway.keys.managed import ManagedKeys
from gateway.keys.records import KeyRecord, KeyRefused, issue, revoke, rotate
from gateway.keys.store import FileKeyStore, KeyStore, KeyStoreUnavailable

__all__ = [
    "FileKeyStore",
    "KeyRecord",
    "KeyRefused",
    "KeyStore",
    "KeyStoreUnavailable",
    "ManagedKeys",
    "issue",
    "revoke",
    "rotate",
]
