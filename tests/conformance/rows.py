"""The rows under test: every family on every host that a dialect describes, and what OpenRouter resells."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.upstream.dialects import Dialect, load_dialects

DIALECTS = load_dialects()

RESOLD = ("claude-4.6", "deepseek-r1", "deepseek-v4", "glm-4.7", "gpt-5.2", "kimi-k2", "kimi-k2.5", "qwen3")
"""Families tried on OpenRouter, which has one row for all."""


@dataclass(frozen=True, slots=True)
class Row:
    """A family on a host; ``*`` is a host that nobody described."""

    family: str
    host: str

    @property
    def name(self) -> str:
        """The row's backend in the gateway."""
        return f"{self.family}@{self.host.replace('*', 'elsewhere')}"

    @property
    def dialect(self) -> Dialect:
        """The dialect that the gateway will use."""
        return DIALECTS.find(self.family, None if self.host == "*" else self.host)


def all_rows() -> list[Row]:
    """List the rows by family, the described hosts first. The row for what is wholly unknown sends nothing."""
    written = (Row(family, host) for family, host in DIALECTS.table if family != "*")
    resold = (Row(family, "openrouter") for family in RESOLD)
    return sorted({*written, *resold}, key=lambda row: (row.family, row.host == "*", row.host))
