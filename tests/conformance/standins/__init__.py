"""Strict stand-ins, a small class per provider, written from the providers' documentation and not from our dialects."""

from tests.conformance.standins.base import Mind, Provider, Refused
from tests.conformance.standins.registry import provider_for

__all__ = ["Mind", "Provider", "Refused", "provider_for"]
