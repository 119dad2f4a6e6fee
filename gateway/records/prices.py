"""What a call costs: configured prices, else litellm's price map, read as a file and never imported."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from gateway.settings import BackendSettings

PER_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. `output` includes `reasoning`, which may be an estimate, and `input` includes `cached`."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
    reasoning_estimated: bool = False

    def with_estimate(self, reasoning: int) -> Usage:
        """Give the same with reasoning that the backend did not count; it is part of the output."""
        estimate = min(reasoning, self.output or reasoning)
        return replace(self, reasoning=estimate, reasoning_estimated=bool(estimate))


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens."""

    input: float
    output: float
    cached: float

    def cost(self, usage: Usage) -> float:
        """Give the price of a call in dollars."""
        fresh = usage.input - usage.cached
        return (fresh * self.input + usage.cached * self.cached + usage.output * self.output) / PER_MILLION


def find_price(backend: BackendSettings, host: str | None) -> Price | None:
    """Give a backend's price: its own figures first, then litellm's for its model id; None when unknown.

    Prompt tokens read from cache cost as much as fresh ones where nobody says otherwise.
    """
    own = backend.price
    known = _look_up(backend.model, host) if own.input is None or own.output is None else None
    per_input = own.input if own.input is not None else (known.input if known else None)
    per_output = own.output if own.output is not None else (known.output if known else None)
    if per_input is None or per_output is None:
        return None
    cached = own.cached if own.cached is not None else known.cached if known else per_input
    return Price(per_input, per_output, cached)


def _look_up(model: str, host: str | None) -> Price | None:
    prices = _litellm_prices()
    entry = prices.get(f"{host}/{model}") or prices.get(model)
    if not entry or "input_cost_per_token" not in entry:
        return None
    per_input = float(entry["input_cost_per_token"])
    per_output = float(entry.get("output_cost_per_token") or 0.0)
    cached = float(entry.get("cache_read_input_token_cost") or per_input)
    return Price(per_input * PER_MILLION, per_output * PER_MILLION, cached * PER_MILLION)


@functools.cache
def _litellm_prices() -> dict[str, dict[str, Any]]:
    """Read the price map that ships inside the installed litellm, without the seconds its import costs."""
    spec = importlib.util.find_spec("litellm")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "model_prices_and_context_window_backup.json"
        if path.is_file():
            prices: dict[str, dict[str, Any]] = msgspec.json.decode(path.read_bytes())
            return prices
    return {}
