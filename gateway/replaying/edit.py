"""Sets one value in a YAML file and leaves every other character, comments included, as it is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import yaml

from gateway.replaying.reading import ReplayError


class _NotAMapping(Exception):
    """What should hold the value holds something else, or nothing."""


def write_value(path: Path, place: Sequence[str], value: float) -> None:
    """Set a value in a file, which is replaced as a whole so that nobody reads half of it.

    Raises:
        ReplayError: the file cannot be read or written, or is not written in a way that can be edited.
    """
    path = path.resolve()  # a link stays a link
    try:
        edited = with_value(path.read_bytes().decode(), place, value)
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as beside:
            beside.write(edited.encode())
        shutil.copymode(path, beside.name)
        Path(beside.name).replace(path)
    except OSError as error:
        raise ReplayError(f"{path}: cannot be written: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ReplayError(f"{path}: cannot be read: {error}") from None


def with_value(text: str, place: Sequence[str], value: float) -> str:
    """Give a YAML text in which the value stands at a place such as ``("routing", "thresholds", "balanced")``.

    Raises:
        ReplayError: it is no YAML mapping, or the place cannot be made out.
    """
    by_hand = ReplayError(f"{'.'.join(place)}: the file cannot be edited safely; write {value} there by hand")
    try:
        edited = _edit(text, place, value)
        came_out = yaml.safe_load(edited)
    except (yaml.YAMLError, _NotAMapping):
        raise by_hand from None
    if came_out != _with(yaml.safe_load(text), place, value):
        raise by_hand
    return edited


def _edit(text: str, place: Sequence[str], value: float) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None:
        raise _NotAMapping
    node: yaml.Node = root
    for depth, key in enumerate(place):
        if not isinstance(node, yaml.MappingNode):
            raise _NotAMapping
        below = next((inner for outer, inner in node.value if outer.value == key), None)
        if below is None:
            return _insert(text, node, _flow(place[depth:], value), root=depth == 0)
        node = below
    return f"{text[: node.start_mark.index]}{value}{text[node.end_mark.index :]}"


def _insert(text: str, mapping: yaml.MappingNode, entry: str, *, root: bool) -> str:
    """Add an entry: inside the braces, or on a line before the mapping's first, or at the end of the file."""
    start = mapping.start_mark.index
    if mapping.flow_style:
        return f"{text[: start + 1]}{entry}{', ' if mapping.value else ''}{text[start + 1 :]}"
    if root:
        return f"{text.rstrip()}\n{entry}\n"
    return f"{text[:start]}{entry}\n{' ' * mapping.start_mark.column}{text[start:]}"


def _flow(place: Sequence[str], value: float) -> str:
    """Write ``routing: {thresholds: {balanced: 0.4}}``."""
    inner = str(value) if len(place) == 1 else f"{{{_flow(place[1:], value)}}}"
    return f"{yaml_key(place[0])}: {inner}"


def yaml_key(name: str) -> str:
    """Write a key so that it stays text: `0.2` would be a number."""
    return name if name.isidentifier() else f'"{name}"'


def _with(document: dict[str, Any], place: Sequence[str], value: float) -> dict[str, Any]:
    """Give the document that an edit must come to."""
    key, *below = place
    return {**document, key: _with(document.get(key, {}), below, value) if below else value}
