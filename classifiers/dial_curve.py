"""What each threshold comes to on a bundle's validation data; `thalamus evaluate --report` writes it there."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

import msgspec

from classifiers.bundle import BUNDLES

CURVE: Final = "curve.json"


class CurvePoint(msgspec.Struct, frozen=True):
    """All requests of a difficulty of at least `threshold` go deep.

    `quality` is the mean probability of a right answer; `thinking_tokens` and `prompt_tokens` are means over all
    requests, of which those count as thinking that go deep. `deep_prompt_tokens` are the prompts' that go deep.
    """

    threshold: float
    deep_share: float
    quality: float
    prompt_tokens: float
    deep_prompt_tokens: float
    thinking_tokens: float


class CurveSource(msgspec.Struct, frozen=True):
    """One curve. `basis`: ``claimed`` by the model's calibrated probabilities, or ``observed`` outcomes."""

    name: str
    basis: str
    examples: int
    points: tuple[CurvePoint, ...]


class DialCurve(msgspec.Struct, frozen=True):
    """A bundle's curves on its validation data, the mixture of all sources first."""

    bundle: str
    sources: tuple[CurveSource, ...]


@functools.cache
def read_curve(bundle: str) -> DialCurve | None:
    """Read the curve of a bundle, by name or folder; None where it has none. Of a cascade, its first bundle's."""
    first = bundle.partition("+")[0]
    folder = Path(first) if Path(first).is_dir() else BUNDLES / first
    try:
        return msgspec.json.decode((folder / CURVE).read_bytes(), type=DialCurve)
    except (OSError, msgspec.DecodeError):
        return None


def share_curve(bundle: str) -> tuple[tuple[float, float], ...]:
    """Give the shares of deep calls over all sources, rising, with the threshold of each; empty without a curve.

    Of a cascade it is the second bundle's, since that one's estimates are held against the threshold.
    """
    curve = read_curve(bundle.rpartition("+")[2])
    if curve is None or not curve.sources:
        return ()
    highest: dict[float, float] = {}
    for point in curve.sources[0].points:
        highest[point.deep_share] = max(point.threshold, highest.get(point.deep_share, 0.0))
    return tuple(sorted(highest.items()))


def write_curve(folder: Path, curve: DialCurve) -> None:
    """Write a bundle's curve into its folder."""
    plain: Any = msgspec.to_builtins(curve)
    (folder / CURVE).write_bytes(msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n")
