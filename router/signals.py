"""What is known of a request before anything is decided: the four signals, and the plain facts beside them.

- *conversation type*: the bundle's kind head; a tool loop is always `agentic`. Weakness: short turns say little of it.
- *complexity*: the bundle, and what the conversation carries. Weakness: trained mostly on single questions whose
  answers can be checked.
- *tool needs*: declared tools, tool results, words that ask for fresh facts. Weakness: it reads wording, so that "the
  latest theorem" looks fresh.
- *explicit intent*: `router.intent`. Weakness: it reads wording, not meaning.

The others are told as they are; *language* is `classifiers.language`'s coarse guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from classifiers.language import language_of
from classifiers.types import Conversation, DifficultyModel, Estimate, Kind
from router.conversation import carried_difficulty, in_tool_loop, leaning
from router.intent import Intent, read_intent
from router.types import Needs, RouteRequest, Signal, Tier

LANGUAGE = "language"
"""The signal's name, by which it is counted."""

_FRESH_WORDS = frozenset(["today", "today's", "currently", "latest", "breaking", "weather", "news"])
_FRESH_PHRASES = (
    *("right now", "this week", "this morning", "this month", "live score", "stock price", "share price"),
    *("exchange rate", "look up", "look it up", "search the web", "search online", "search for"),
    *("今天", "现在几点", "最新", "实时", "股价", "汇率", "天气", "新闻", "查一下", "搜一下", "搜索"),
)
_FRESH_CHARS = 2000


@dataclass(frozen=True, slots=True)
class ToolNeeds:
    """Whether a request works with tools, or would need to."""

    declared: int
    in_loop: bool
    fresh_facts: bool


@dataclass(frozen=True, slots=True)
class Signals:
    """All signals of one request. `difficulty` is the conversation's, `estimate.difficulty` the turn's own."""

    estimate: Estimate
    difficulty: float
    kind: Kind
    intent: Intent
    tool_needs: ToolNeeds
    lean: float

    def listed(self, request: RouteRequest) -> Iterator[Signal]:
        """Yield the signals as the explanation shows them."""
        estimate, needs = self.estimate, request.needs
        yield Signal("conversation type", self.kind.value, f"{estimate.kind_confidence:.0%} sure")
        yield Signal(
            "complexity",
            round(self.difficulty, 4),
            f"this turn {estimate.difficulty:.2f}, answers right: fast {estimate.p_fast:.0%}, "
            f"deep {estimate.p_deep:.0%}, by {estimate.model}",
        )
        tools = self.tool_needs
        declared = f"{tools.declared} declared" + (", in a loop" if tools.in_loop else "")
        yield Signal("tool needs", bool(tools.declared or tools.fresh_facts), declared + _fresh_note(tools))
        intent = self.intent
        yield Signal("explicit intent", intent.direction, _intent_note(intent))
        yield Signal("prompt tokens", needs.prompt_tokens, "a safe estimate")
        yield Signal("client effort", request.effort and request.effort.value)
        yield Signal("client max tokens", needs.max_tokens)
        yield Signal("modality", " and ".join(_modalities(needs)))
        yield Signal("response format", "json" if needs.json else None)
        yield Signal(LANGUAGE, language_of(request.conversation.last_asked), "of the last question, coarsely")
        yield Signal("key", _listed(request.bounds.tiers), "the tiers that it allows" if request.bounds.tiers else "")
        yield Signal("limits reached", _listed(request.exhausted))
        yield Signal("tiers under load", _listed(request.busy))
        session = request.session
        yield Signal("conversation", session.tier.value if session else None, f"leans {self.lean:.0%} on it")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a conversation's own words say: the same for the same words, whoever sends them and whenever."""

    estimate: Estimate
    intent: Intent
    tool_needs: ToolNeeds


def read_conversation(conversation: Conversation, model: DifficultyModel) -> Reading:
    """Read what a conversation itself says. Never raises, if the model does not."""
    text = conversation.last_asked
    return Reading(
        estimate=model.estimate(conversation),
        intent=read_intent(text),
        tool_needs=ToolNeeds(
            declared=conversation.tools,
            in_loop=in_tool_loop(conversation),
            fresh_facts=_asks_for_fresh_facts(text[:_FRESH_CHARS].lower()),
        ),
    )


def read_signals(request: RouteRequest, model: DifficultyModel) -> Signals:
    """Read all signals of a request. Never raises, if the model does not."""
    return signals_of(request, read_conversation(request.conversation, model))


def signals_of(request: RouteRequest, reading: Reading) -> Signals:
    """Put what the words say beside what is remembered of the conversation."""
    lean = leaning(request.conversation) if request.session else 0.0
    return Signals(
        estimate=reading.estimate,
        difficulty=carried_difficulty(reading.estimate.difficulty, request.session, lean),
        kind=Kind.AGENTIC if reading.tool_needs.in_loop else reading.estimate.kind,
        intent=reading.intent,
        tool_needs=reading.tool_needs,
        lean=lean,
    )


def judged_again(signals: Signals, estimate: Estimate, request: RouteRequest) -> Signals:
    """Give the same signals with another model's estimate."""
    return replace(
        signals,
        estimate=estimate,
        difficulty=carried_difficulty(estimate.difficulty, request.session, signals.lean),
        kind=Kind.AGENTIC if signals.tool_needs.in_loop else estimate.kind,
    )


def _modalities(needs: Needs) -> Iterator[str]:
    yield "text"
    if needs.vision:
        yield "images"
    if needs.audio:
        yield "audio"


def _listed(tiers: Iterable[Tier] | None) -> str | None:
    return ", ".join(sorted(tiers)) if tiers else None


def _asks_for_fresh_facts(text: str) -> bool:
    return not _FRESH_WORDS.isdisjoint(text.split()) or any(phrase in text for phrase in _FRESH_PHRASES)


def _fresh_note(tools: ToolNeeds) -> str:
    return ", asks for fresh facts" if tools.fresh_facts else ""


def _intent_note(intent: Intent) -> str:
    if not intent.phrase:
        return ""
    return f"“{intent.phrase}”" + (f", which is {intent.discounted}" if intent.discounted else "")
