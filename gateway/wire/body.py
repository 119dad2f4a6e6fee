"""From bytes to a checked request and back, without touching the bytes that nobody looks at."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from gateway.errors import InvalidField, MalformedBody

T = TypeVar("T", bound=msgspec.Struct)

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """A request as read: `typed` is what the gateway understands, `fields` is every field's own bytes."""

    typed: T
    fields: Mapping[str, msgspec.Raw]

    def with_fields(self, changes: Mapping[str, Any], drop: Iterable[str] = ()) -> bytes:
        """Encode the request again with some fields set or dropped; all others keep their bytes."""
        fields: dict[str, Any] = {**self.fields, **changes}
        for name in drop:
            fields.pop(name, None)
        return msgspec.json.encode(fields)

    def decode(self, names: Iterable[str]) -> dict[str, Any]:
        """Decode the named fields, those that were sent."""
        return {name: msgspec.json.decode(self.fields[name]) for name in names if name in self.fields}


def parse(body: bytes, shape: type[T]) -> Parsed[T]:
    """Read and check a JSON body.

    Raises:
        MalformedBody: the body is not a JSON object in UTF-8 or is nested too deeply to read.
        InvalidField: a field that the gateway looks at is missing or wrong; `param` is its path.
    """
    try:
        body.decode()  # raw fields are forwarded unread, so that this is the one place to refuse bad UTF-8
        typed = _decoder(shape).decode(body)
        fields = _FIELDS.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid_field(str(error)) from None
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not valid UTF-8 (byte {error.start}).") from None
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None
    except msgspec.DecodeError as error:
        raise MalformedBody(f"The body is not valid JSON: {error}.") from None
    return Parsed(typed, fields)


@functools.cache
def _decoder(shape: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(shape)


def _invalid_field(message: str) -> InvalidField:
    """Turn msgspec's "Expected `str`, got `int` - at `$.messages[0].role`" into OpenAI's words."""
    what, _, path = message.partition(" - at `")
    param = path.rstrip("`").removeprefix("$").removeprefix(".") or None
    if param is None and "missing required field" in what:
        param = what.rsplit("`", 2)[-2]
    where = f"'{param}': " if param else ""
    return InvalidField(f"Invalid request. {where}{what.replace('`', chr(39))}.", param=param)
