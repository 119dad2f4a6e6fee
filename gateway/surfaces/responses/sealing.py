"""Reasoning that the caller carries: sealed, so that only this gateway can read it and only for the same tenant."""

from __future__ import annotations

import base64
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = "ts1."
_KEY_BYTES = 32
_NONCE_BYTES = 12


class Seal:
    """Seals and opens text with AES-GCM; the tenant is authenticated with it.

    Without a secret, the key is random: nothing that was sealed can be opened after a restart or by another process.
    """

    def __init__(self, secret: bytes | None = None) -> None:
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


def _derive_key(secret: bytes) -> bytes:
    """Give a key of its own to this use of a secret that has others."""
    return hashlib.blake2b(secret, digest_size=_KEY_BYTES, person=b"thalamus-seal").digest()
