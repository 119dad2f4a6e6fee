"""One homemade training example, and the rules that hold for all of them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

from classifiers.types import Kind, Turn

# Whole task templates that are never trained on. Every kind, and every evaluation slice, has some here.
HELD_OUT = frozenset(
    {
        "agent_calendar",
        "agent_incident",
        "arithmetic_trip",
        "business_market_entry",
        "business_quick",
        "chat_gifts",
        "chat_health",
        "chat_hobbies",
        "chat_social",
        "chat_travel",
        "code_distributed",
        "code_easy_sql",
        "code_review_cache",
        "competition_combinatorics",
        "competition_inequalities",
        "competition_proofs_held",
        "contest_bare_held",
        "contest_bare_zh_held",
        "contest_judge_held",
        "contest_judge_zh_held",
        "contest_signature_held",
        "dialogue_followup_held",
        "everyday_other_held",
        "expert_physics",
        "kinship_dialogue",
        "knights_held",
        "letters_and_counting",
        "long_code_hard_held",
        "long_mail",
        "long_roleplay_tavern",
        "maths_highschool",
        "misleading_easy_held",
        "misleading_hard_held",
        "parallel_held",
        "plan_easy_weekend",
        "plan_rules_held",
        "schedule_rooms",
        "seating_round",
        "short_hard_held",
        "simple_facts_nature",
        "syllogism_formal",
        "writing_poem",
        "writing_translate",
        "zebra_table",
    }
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt or a conversation with its argued label.

    Attributes:
        source: dataset name, starting with ``homemade_``; one per room of this package.
        domain: task template; the unit of weighting and of the train and validation split.
        language: ISO 639-1 code of the last user turn.
        kind: the work that is asked for.
        difficulty: argued probability in [0, 1] that a fast, non-thinking model falls short.
        turns: the conversation; a single user turn is a plain prompt.
    """

    source: str
    domain: str
    language: str
    kind: Kind
    difficulty: float
    turns: tuple[Turn, ...]

    @property
    def fingerprint(self) -> str:
        """A hash of what the model would read; two samples with the same one are duplicates."""
        text = "\x1e".join(f"{turn.role}\x1f{turn.text}" for turn in self.turns)
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:16]

    def record(self) -> dict[str, Any]:
        """Write the sample in the training command's JSON-lines form."""
        return {
            "source": self.source,
            "id": f"{self.domain}-{self.fingerprint}",
            **_text_fields(self.turns),
            "language": self.language,
            "domain": self.domain,
            "kind": self.kind.value,
            "difficulty_num": round(self.difficulty, 4),
            "split": split_of(self.domain),
            "thinking_tokens": expected_thinking(self.difficulty, self.kind),
        }


def prompt(text: str) -> tuple[Turn, ...]:
    """Make a conversation of one user turn."""
    return (Turn("user", text),)


def split_of(domain: str) -> str:
    """Say ``validation`` for the task templates that are held back, else ``train``."""
    return "validation" if domain in HELD_OUT else "train"


def expected_thinking(difficulty: float, kind: Kind) -> int:
    """Rough thinking length in tokens: exponential in difficulty, longer where steps have to be checked.

    Recorded thinking models spend some 50 to 100 tokens on small talk and 5,000 to 10,000 on olympiad
    problems and 5 x 5 puzzles; the exponent joins the two ends.
    """
    stretch = 1.4 if kind in {Kind.MATHS, Kind.LOGIC} else 1.0
    return round(50 * stretch * math.exp(5.0 * difficulty))


def _text_fields(turns: tuple[Turn, ...]) -> dict[str, Any]:
    if len(turns) == 1:
        return {"prompt": turns[0].text}
    return {"messages": [{"role": turn.role, "content": turn.text} for turn in turns]}
