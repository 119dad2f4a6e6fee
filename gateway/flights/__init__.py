"""Identical requests that are under way at the same time share one call. See docs/caching.md."""

from gateway.flights.broadcast import Broadcast
from gateway.flights.flights import Flight, Flights

__all__ = ["Broadcast", "Flight", "Flights"]
