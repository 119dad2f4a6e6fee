"""Writes docs/settings.md from the settings' own descriptions: ``python -m gateway.settings.describe``."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.settings.model import Settings

_INTRODUCTION = """\
# Settings

`thalamus.yaml`, or `THALAMUS_*` variables, or both: `THALAMUS_SERVER__PORT=9000` overrides `server.port`. Inside
values, `${VAR}` is replaced from the environment, and `${VAR:-default}` has a default. `thalamus check` says whether a
file is right and shows what it comes to; a running gateway takes a changed file over by itself, or on SIGHUP, and keeps
the old one where the new one is wrong. `server` alone needs a restart.

Without a file, `THALAMUS_UPSTREAM_URL`, `THALAMUS_UPSTREAM_KEY` and `THALAMUS_UPSTREAM_MODEL` (one model id, or two:
`fast,deep`) are a whole configuration.

This page is written by `python -m gateway.settings.describe`.
"""


def describe() -> str:
    """Write the page, in Markdown."""
    return "\n".join([_INTRODUCTION, *_sections("", Settings)])


def _sections(path: str, model: type[BaseModel]) -> Iterator[str]:
    title = f"`{path}`" if path else "Top level"
    yield f"## {title}\n"
    yield f"{(model.__doc__ or '').strip().splitlines()[0]}\n"
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    inner: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        below = _model_in(field.annotation)
        if below is not None:
            place = f"{path}.{key}" if path else key
            origin = typing.get_origin(field.annotation)
            inner.append((f"{place}.NAME" if origin is dict else f"{place}[]" if origin is tuple else place, below))
        yield f"| `{key}` | {_default(field)} | {_meaning(field, below)} |"
    yield ""
    described = set()
    for place, below in inner:
        if below not in described:
            described.add(below)
            yield from _sections(place, below)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Find the settings model inside an annotation such as ``dict[str, BackendSettings]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True) if field.default_factory else field.default
    if value is None or value is PydanticUndefined or isinstance(value, BaseModel) or value in ({}, ()):
        return ""
    if isinstance(value, SecretStr):
        return ""
    return f"`{value.value if isinstance(value, Enum) else value}`"


def _meaning(field: FieldInfo, below: type[BaseModel] | None) -> str:
    if field.description:
        return field.description.replace("|", "\\|")
    return (below.__doc__ or "").strip().splitlines()[0] if below else ""


if __name__ == "__main__":
    print(describe(), end="")
