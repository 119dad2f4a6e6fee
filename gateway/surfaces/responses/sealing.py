"""Reasoning that the caller carries: sealed, so that only this gateway can read it and only for the same tenant.

What a backend has encrypted itself is not encrypted again: it gets a label that says whose it is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.vault import Origin

_VERSION = "ts1."
_LABEL = "tn2"
_DIGEST_BYTES = 16
_KEY_BYTES = 32
_NONCE_BYTES = 12

_read_names = msgspec.json.Decoder(tuple[str, str, str, str]).decode


@dataclass(frozen=True, slots=True)
class Sealed:
    """A reasoning item as the backend that wrote it takes it back: its id there, and its encrypted content."""

    origin: Origin
    id: str
    content: str


class Seal:
    """Seals and opens text with AES-GCM; the tenant is authenticated with it.

    Without a secret, the key is random: nothing that was sealed can be opened after a restart or by another process.
    Labels can still be read then, and a tenant could forge them: the backend's own encryption alone protects the rest.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self._label_key = b"" if secret is None else _derive_key(secret, b"thalamus-label")
        self._cipher = AESGCM(os.urandom(_KEY_BYTES) if secret is None else _derive_key(secret))

    def close(self, text: str, tenant: str) -> str:
        """Seal a text for a tenant."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, text.encode("utf-8", "replace"), tenant.encode())
        return _VERSION + base64.urlsafe_b64encode(sealed).decode()

    def open(self, sealed: str, tenant: str) -> str | None:
        """Open what was sealed for a tenant; None if it was not, or not with this key."""
        try:
            data = base64.urlsafe_b64decode(sealed.removeprefix(_VERSION))
            return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], tenant.encode()).decode()
        except (InvalidTag, ValueError):  # ValueError: not base64, or too short to hold a nonce
            return None

    def label(self, sealed: Sealed, tenant: str) -> str:
        """Write a backend's encrypted content so that its origin, its id and the tenant can be told from it."""
        named = [sealed.origin.family, sealed.origin.host, sealed.id, self._digest(sealed, tenant)]
        return ".".join((_LABEL, base64.urlsafe_b64encode(msgspec.json.encode(named)).decode(), sealed.content))

    def unlabel(self, written: str, tenant: str) -> Sealed | None:
        """Read what was labelled for a tenant; None if it was not."""
        label, _, rest = written.partition(".")
        named, _, content = rest.partition(".")
        if label != _LABEL:
            return None
        try:
            family, host, identity, digest = _read_names(base64.urlsafe_b64decode(named))
        except (msgspec.DecodeError, ValueError):
            return None
        sealed = Sealed(Origin(family, host), identity, content)
        return sealed if hmac.compare_digest(digest, self._digest(sealed, tenant)) else None

    def _digest(self, sealed: Sealed, tenant: str) -> str:
        said = msgspec.json.encode([tenant, sealed.origin.family, sealed.origin.host, sealed.id, sealed.content])
        return hashlib.blake2b(said, digest_size=_DIGEST_BYTES, key=self._label_key).hexdigest()


def _derive_key(secret: bytes, use: bytes = b"thalamus-seal") -> bytes:
    """Give a key of its own to this use of a secret that has others."""
    return hashlib.blake2b(secret, digest_size=_KEY_BYTES, person=use).digest()
