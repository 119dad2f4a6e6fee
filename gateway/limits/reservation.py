"""What was set aside for one request, until it is known what the request took."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.limits.meters import Meter

LEASE_S = 20.0
"""A worker that has not renewed a request's lease for so long is dead, and the request with it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a caller stands with one of its limits, for the answer's headers.

    Attributes:
        resets_in_s: seconds until the whole limit is free again, if nothing more is used.
    """

    meter: Meter
    remaining: int
    resets_in_s: float


@dataclass(frozen=True, slots=True)
class Ask:
    """An amount of one meter, under the name of the caller's window.

    `is_late`: nothing was set aside for it, as when another tier served than the one expected.
    """

    meter: Meter
    name: str
    amount: int
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in one window.

    Attributes:
        used: what is used, of which what was just taken is part.
        free_in_ms: until what was refused would fit; 0 where it did, -1 where it never will.
        resets_in_ms: until the whole window is free again.
    """

    used: int
    free_in_ms: int
    resets_in_ms: int


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer to one question: all was taken, or nothing was."""

    granted: bool
    at_ms: int
    looks: tuple[Look, ...]


@dataclass(slots=True)
class Reservation:
    """Amounts set aside, when, and under which lease the request counts as concurrent.

    `is_shared`: whether they are in Redis as well as in this process.
    """

    tenant: str
    key: str
    meters: tuple[Meter, ...]
    asks: tuple[Ask, ...]
    lease: str
    at_ms: int
    is_shared: bool
    local_at_ms: int
    standing: tuple[Standing, ...] = field(default=())
