"""What the difficulty model reads and what it says: plain frozen values, shared by every room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant", "tool"]


class Kind(StrEnum):
    """Conversation type: what sort of work the caller wants done."""

    CHAT = "chat"
    WRITING = "writing"
    KNOWLEDGE = "knowledge"
    CODING = "coding"
    MATHS = "maths"
    LOGIC = "logic"
    PLANNING = "planning"
    BUSINESS = "business"
    AGENTIC = "agentic"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message, as text only. `developer` counts as `system`; images and audio leave no text."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A whole request as the model reads it: every turn in order, and how many tools were declared."""

    turns: tuple[Turn, ...]
    tools: int = 0

    @property
    def last_asked(self) -> str:
        """The text of the last user turn, empty if there is none."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")

    @classmethod
    def from_prompt(cls, prompt: str) -> Conversation:
        """Wrap a single user prompt."""
        return cls((Turn("user", prompt),))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one model says of one conversation. All probabilities are calibrated and in [0, 1].

    Attributes:
        difficulty: probability that the fast tier falls short of a good answer, ``1 - p_fast``.
        p_fast: probability that a fast model's answer is right.
        p_deep: probability that a deep-thinking model's answer is right.
        kind: the most likely conversation type.
        kind_confidence: its probability.
        thinking_tokens: expected length of a deep model's thinking, in tokens.
        raw: the difficulty before calibration, for drift and for debugging.
        model: which model said so: a bundle's name, or ``heuristic``.
    """

    difficulty: float
    p_fast: float
    p_deep: float
    kind: Kind
    kind_confidence: float
    thinking_tokens: int
    raw: float
    model: str


class DifficultyModel(Protocol):
    """Anything that can judge a conversation: a bundle, a cascade of two, or the heuristic fallback."""

    @property
    def name(self) -> str:
        """The bundle's name and version, such as ``reflex-v1``, or ``heuristic``."""
        ...

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Difficulty from which each dial notch (cheap, balanced, quality, max) goes deep."""
        ...

    def estimate(self, conversation: Conversation) -> Estimate:
        """Judge one conversation. Never raises for any text; takes well under a millisecond (reflex)."""
        ...
