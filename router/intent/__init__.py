"""Explicit intent: what a person says, in the last user turn, about how hard to think."""

from __future__ import annotations

from router.intent.reader import Intent, load_phrases, read_intent

__all__ = ["Intent", "load_phrases", "read_intent"]
