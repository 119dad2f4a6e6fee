"""From the effort that is asked to the one that a model has: worked out once per row, at load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.upstream.dialects.written import ThinkingKind
from router.types import Effort

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rung:
    """What an asked effort becomes: the effort that is applied, its exact fields, and what was lost on the way."""

    applied: Effort | None
    fields: Fields
    notes: tuple[str, ...] = ()


def build_ladder(
    thinking: ThinkingKind, efforts: Mapping[Effort, Fields], aliases: Mapping[Effort, Effort], always: Fields
) -> dict[Effort | None, Rung]:
    """Give the rung for every effort, and for None, which leaves the backend's own default alone."""
    ladder: dict[Effort | None, Rung] = {None: Rung(None, always)}
    for asked in Effort:
        if thinking == "unknown":
            ladder[asked] = Rung(None, {}, ("no thinking switch is known for this model: nothing sent",))
            continue
        applied = _nearest(asked, thinking, efforts, aliases)
        notes = () if applied is asked else (_loss(asked, applied, thinking, efforts),)
        ladder[asked] = Rung(applied, merge(always, efforts.get(applied, {})), notes)
    return ladder


def merge(base: Fields, patch: Fields) -> dict[str, Any]:
    """Lay a patch over a tree; only objects merge, everything else is replaced. Neither argument changes."""
    merged = dict(base)
    for key, value in patch.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _nearest(
    asked: Effort, thinking: ThinkingKind, efforts: Mapping[Effort, Fields], aliases: Mapping[Effort, Effort]
) -> Effort:
    """Give the listed effort nearest to the asked one; ties go up, and only "none" itself becomes "none"."""
    if thinking == "never":
        return Effort.NONE
    if asked in efforts:
        return asked
    if asked in aliases:
        return aliases[asked]
    some = [effort for effort in efforts if effort is not Effort.NONE]
    return min(some, key=lambda effort: (abs(effort.rank - asked.rank), -effort.rank))


def _loss(asked: Effort, applied: Effort, thinking: ThinkingKind, efforts: Mapping[Effort, Fields]) -> str:
    """Say in words what could not be had."""
    if thinking == "never":
        return f"this model does not think: {asked} cannot be had"
    if asked is Effort.NONE:
        return f"thinking cannot be switched off: {applied} used"
    known = ", ".join(effort for effort in Effort if effort in efforts)
    return f"{asked} is not one of this model's efforts ({known}): {applied} used"
