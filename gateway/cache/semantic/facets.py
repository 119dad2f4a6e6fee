"""What the content gate compares: the facets of a prompt, and their fingerprints."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

Tokens = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """What one prompt says, in facets that must all agree. `language` is "" where the gate cannot read it."""

    language: str
    question: Tokens
    negation: Tokens
    numbers: Tokens
    units: Tokens
    dates: Tokens
    names: Tokens
    code: Tokens
    order: Tokens
    subject: Tokens

    def print_of(self, secret: bytes) -> Prints:
        """Give a fingerprint of each facet, made with a secret, so that nothing of the text is stored."""
        return tuple(_digest(secret, facet, getattr(self, facet)) for facet in FACETS)


Prints = tuple[str, ...]
FACETS: tuple[str, ...] = tuple(one.name for one in fields(Content))


def differing(one: Prints, other: Prints) -> str | None:
    """Name the first facet in which two fingerprinted prompts differ; None if they agree in all."""
    if len(one) != len(FACETS) or len(other) != len(FACETS):
        return FACETS[0]
    return next((name for name, a, b in zip(FACETS, one, other, strict=True) if a != b), None)


def differences(one: Content, other: Content) -> dict[str, tuple[Tokens | str, Tokens | str]]:
    """Give every facet in which two prompts differ, with what each has."""
    pairs = ((name, getattr(one, name), getattr(other, name)) for name in FACETS)
    found = {name: (a, b) for name, a, b in pairs if a != b}
    if not (one.language and other.language):
        found["language"] = (one.language, other.language)
    return found


def _digest(secret: bytes, facet: str, value: Tokens | str) -> str:
    written = "\0".join((facet, value) if isinstance(value, str) else (facet, *value)).encode(errors="replace")
    return hashlib.blake2b(written, key=secret[:64], digest_size=6).hexdigest()
