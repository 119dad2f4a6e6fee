"""Signatures for reasoning that came without one.

Anthropic's clients send thinking blocks back as they got them, and need a signature to do so. Claude signs its own;
for every other model the gateway does: a digest of the text, so that a block that comes back can be told from a
foreign one, and its text from an altered one. It proves nothing about who thought it.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode

_PREFIX = "thalamus1."
_DIGEST_BYTES = 24


class Signer:
    """Signs one thinking block, piece by piece."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES, person=b"thalamus-thought")

    def add(self, text: str) -> None:
        """Take a piece of the block's text."""
        self._digest.update(text.encode("utf-8", "surrogatepass"))

    def signature(self) -> str:
        """Give the signature of the text so far: ASCII, safe in URLs."""
        return _PREFIX + urlsafe_b64encode(self._digest.digest()).decode()


def sign(text: str) -> str:
    """Give the signature of a whole block's text."""
    signer = Signer()
    signer.add(text)
    return signer.signature()


def is_ours(signature: str) -> bool:
    """Whether the gateway made a signature; if not, a model did."""
    return signature.startswith(_PREFIX)
