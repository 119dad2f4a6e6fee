"""The smallest instance of a JSON schema, so that structured outputs and tool arguments fit what was asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

_DEEP = 6
"""Nesting after which only required properties are written, which ends most recursive schemas."""
_BOTTOM = 24
"""Nesting after which objects and arrays stay empty, which ends the others."""
_MOST_PARTS = 20_000
"""Values after which objects and arrays stay empty, which ends those that grow in breadth as well."""

Kind = Literal["object", "array", "string", "integer", "number", "boolean", "null"]
Bound = Annotated[float, Meta(ge=-(2.0**63), le=2.0**63)]
Length = Annotated[int, Meta(ge=0, le=10_000)]


class Schema(Struct, rename={"defs": "$defs", "reference": "$ref"}):
    """What is understood of JSON Schema, to check a schema's own form. Lengths and bounds are kept within reason."""

    type: Kind | Annotated[list[Kind], Meta(min_length=1)] = "object"
    enum: Annotated[list[Any], Meta(min_length=1)] = msgspec.field(default_factory=list)
    properties: dict[str, Schema | bool] = {}
    required: list[str] = []
    items: Schema | bool = True
    prefixItems: list[Schema | bool] = []  # noqa: N815 - the standard's names
    uniqueItems: bool = False  # noqa: N815
    minItems: Length = 0  # noqa: N815
    maxItems: Length = 10_000  # noqa: N815
    allOf: list[Schema | bool] = []  # noqa: N815
    anyOf: list[Schema | bool] = []  # noqa: N815
    oneOf: list[Schema | bool] = []  # noqa: N815
    defs: dict[str, Schema | bool] = {}
    definitions: dict[str, Schema | bool] = {}
    reference: str = "#"
    format: str = ""
    minLength: Length = 0  # noqa: N815
    maxLength: Annotated[int, Meta(ge=0)] = 0  # noqa: N815
    minimum: Bound = 0
    maximum: Bound = 0
    exclusiveMinimum: Bound = 0  # noqa: N815
    exclusiveMaximum: Bound = 0  # noqa: N815
    multipleOf: Annotated[float, Meta(ge=1e-9, le=1e15)] = 1  # noqa: N815


class SchemaError(ValueError):
    """A schema that is none; says where and why."""


def check_schema(schema: object) -> None:
    """Check that a schema has the form of one.

    Raises:
        SchemaError: naming the keyword.

    """
    try:
        msgspec.convert(schema, Schema)
    except (msgspec.ValidationError, RecursionError) as error:
        raise SchemaError(str(error)) from error


_FORMATS = {
    "date": "2025-01-31",
    "date-time": "2025-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}


def instance_of(schema: Mapping[str, Any], *, hint: str = "text") -> Any:
    """Return a value that satisfies a schema that `check_schema` passed; free strings hold the text `hint`.

    Understood: `$ref` into the schema itself, const, enum, anyOf, oneOf, allOf, types and lists of types,
    properties, items, prefixItems, and bounds on numbers, lengths and counts. Not understood: `pattern`, `not`
    and conditional schemas; instances may miss those.
    """
    return _Generator(schema).instance(schema, hint, depth=0)


class _Generator:
    """Writes the instance of one schema, of bounded size even where the schema has no end."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = _MOST_PARTS

    def instance(self, schema: Any, hint: str, depth: int) -> Any:
        """Return a value for a part of the schema; past the bounds an empty one."""
        self._left -= 1
        if not isinstance(schema, Mapping):
            return {}
        schema = self._flattened(schema, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        match _type_of(schema, depth):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, hint, depth)
            case "string":
                return _string(schema, hint)
            case "integer":
                return math.ceil(_number(schema, step=1))
            case "number":
                return _number(schema, step=0.5)
            case "boolean":
                return True
            case _:
                return None

    def _flattened(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """Follow `$ref` and fold allOf and one choice of anyOf and oneOf into one plain schema."""
        flat = dict(schema)
        parts = [*flat.pop("allOf", ())]
        if "$ref" in flat:
            parts.insert(0, _resolve(flat.pop("$ref"), self._root))
        alternatives = [flat.pop(keyword) for keyword in ("anyOf", "oneOf") if flat.get(keyword)]
        parts += [_choice(choices, depth) for choices in alternatives]
        for part in parts:
            self._left -= 1
            if isinstance(part, Mapping) and not self._exhausted(depth):
                flat = _merged(flat, self._flattened(part, depth + 1))
        return flat

    def _exhausted(self, depth: int) -> bool:
        return depth > _BOTTOM or self._left < 0

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        names = required if depth > _DEEP else dict.fromkeys((*properties, *required))
        return {
            name: self.instance(properties.get(name, {"type": "string"}), name, depth + 1)
            for name in names
            if not self._exhausted(depth)
        }

    def _array(self, schema: Mapping[str, Any], hint: str, depth: int) -> list[Any]:
        fewest = schema.get("minItems", 0 if depth > _DEEP else 1)
        first = schema.get("prefixItems", ())
        items = schema.get("items", {"type": "string"})
        most = schema.get("maxItems", max(fewest, len(first)))
        parts = [*first, *(items for _ in range(min(max(fewest, len(first)), most) - len(first)))]
        values = [self.instance(part, hint, depth + 1) for part in parts if not self._exhausted(depth)]
        if not schema.get("uniqueItems"):
            return values
        return items["enum"][: len(values)] if isinstance(items, Mapping) and "enum" in items else _numbered(values)


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = {**other, **one}
    for keyword in ("properties", "required"):
        if keyword in one and keyword in other:
            both = (other[keyword], one[keyword])
            merged[keyword] = {**both[0], **both[1]} if keyword == "properties" else [*both[0], *both[1]]
    return merged


def _choice(choices: list[Any], depth: int) -> Any:
    """Return the first choice, or null where that ends a recursion that has gone deep."""
    ends = (choice for choice in choices if isinstance(choice, Mapping) and choice.get("type") == "null")
    return next(ends, choices[0]) if depth > _DEEP else choices[0]


def _resolve(reference: str, root: Any) -> Any:
    """Return what a reference such as `#/$defs/node` names; one that leads nowhere says nothing."""
    found = root
    for step in reference.lstrip("#").split("/")[1:]:
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found


def _type_of(schema: Mapping[str, Any], depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return "null" if depth > _DEEP and "null" in kind else kind[0]
    if isinstance(kind, str):
        return kind
    for keyword, implied in (("properties", "object"), ("items", "array"), ("minLength", "string")):
        if keyword in schema:
            return implied
    return "number" if "minimum" in schema or "maximum" in schema else "object"


def _numbered(values: list[Any]) -> list[Any]:
    """Make equal texts and numbers differ, for `uniqueItems`."""
    return [
        f"{value}-{index}" if isinstance(value, str) else value + index if isinstance(value, int) else value
        for index, value in enumerate(values)
    ]


def _string(schema: Mapping[str, Any], hint: str) -> str:
    text = str(_FORMATS.get(schema.get("format", ""), hint))
    text = text.ljust(schema.get("minLength", 0), ".")
    return text[: schema.get("maxLength", len(text))]


def _number(schema: Mapping[str, Any], *, step: float) -> float:
    """Return the lowest lawful number, or the highest where there is no lower bound, or zero."""
    number: float = 0
    if "minimum" in schema:
        number = schema["minimum"]
    elif "exclusiveMinimum" in schema:
        number = schema["exclusiveMinimum"] + step
    elif "maximum" in schema:
        number = min(0, schema["maximum"])
    elif "exclusiveMaximum" in schema:
        number = min(0, schema["exclusiveMaximum"] - step)
    multiple = schema.get("multipleOf")
    return number if multiple is None else math.ceil(number / multiple) * multiple
