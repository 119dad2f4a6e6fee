"""Answers of the other tier that no caller sees: made in the background, compared, counted and logged."""

from gateway.shadow.shadows import Shadows

__all__ = ["Shadows"]
