"""What a record of each source says about difficulty, kind and thinking: argued, dated rules instead of guesses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from classifiers.types import Kind

THINKING_MODELS: Final = ("deepseek-r1", "o1-", "o3-mini", "qwq", "grok-3-mini", "cot")
"""Parts of names of models that think before they answer, or were told to."""

PRESENT_ACCURACY: Final[Mapping[str, float]] = {
    # Accuracy of a present-day model that does not think (GPT-4o and DeepSeek-V3 class, as published), by source or
    # template. The recorded models are often weaker; see `linked`. The first prefix that fits holds.
    "llmrouter/natural_qa": 0.80,
    "llmrouter/trivia_qa": 0.90,
    "llmrouter/mmlu": 0.87,
    "llmrouter/gsm8k": 0.95,
    "llmrouter/math": 0.75,
    "llmrouter/mbpp": 0.82,
    "llmrouter/human_eval": 0.90,
    "llmrouter/commonsense_qa": 0.88,
    "llmrouter/openbook_qa": 0.95,
    "llmrouter/arc_challenge": 0.96,
    "llmrouter/gpqa": 0.50,
    "llmrouter/agentverse-logicgrid": 0.45,
    "llmrouter/commongen": 0.85,
    "routerbench_zs/arc-challenge": 0.96,
    "routerbench_zs/winogrande": 0.88,
    "routerbench_zs/mbpp": 0.82,
    "mmlu_pro": 0.74,
    "zeroeval_crux": 0.78,
    "zeroeval_math_l5": 0.55,
    "gaokao_gpt4": 0.75,
    "bbh_direct_vs_cot": 0.72,
}

_OPINIONS: Final[Mapping[str, float]] = {
    # How often a present-day model that does not think falls short. "everyday" and "moderate" are the chat sources'
    # own words; the tiers are another router's (opinions, not outcomes); levels are those of the MATH data set, on
    # which such models solve almost all of level 1 and about half of level 5 (zeroeval_math_l5: 55 %).
    "everyday": 0.03,
    "moderate": 0.15,
    "simple": 0.03,
    "medium": 0.10,
    "complex": 0.30,
    "reasoning": 0.55,
    "level 1": 0.04,
    "level 2": 0.08,
    "level 3": 0.15,
    "level 4": 0.25,
    "level 5": 0.45,
}

_KINDS: Final[Mapping[str, Kind]] = {
    # The first prefix of "source/domain" that fits; a source's own entry stands after its domains'.
    "llmrouter/math": Kind.MATHS,
    "llmrouter/gsm8k": Kind.MATHS,
    "llmrouter/mbpp": Kind.CODING,
    "llmrouter/human_eval": Kind.CODING,
    "llmrouter/agentverse-logicgrid": Kind.LOGIC,
    "llmrouter/commongen": Kind.WRITING,
    "llmrouter": Kind.KNOWLEDGE,
    "mmlu_pro/math": Kind.MATHS,
    "mmlu_pro": Kind.KNOWLEDGE,
    "gaokao_gpt4/gaokao/2010-2022_Math": Kind.MATHS,
    "gaokao_gpt4": Kind.KNOWLEDGE,
    "routerbench_zs/mbpp": Kind.CODING,
    "routerbench_zs": Kind.KNOWLEDGE,
    "zeroeval_crux": Kind.CODING,
    "reasoning_gym/algebra": Kind.MATHS,
    "reasoning_gym/arithmetic": Kind.MATHS,
    "reasoning_gym/geometry": Kind.MATHS,
    "reasoning_gym/code": Kind.CODING,
    "reasoning_gym/games/boxnet": Kind.PLANNING,
    "reasoning_gym/games/rush_hour": Kind.PLANNING,
    "reasoning_gym/games/sokoban": Kind.PLANNING,
    "reasoning_gym/games/tower_of_hanoi": Kind.PLANNING,
    "reasoning_gym/graphs/course_schedule": Kind.PLANNING,
    "reasoning_gym": Kind.LOGIC,
    "planbench": Kind.PLANNING,
    "bbh_direct_vs_cot/bbh/multistep_arithmetic": Kind.MATHS,
    "bbh_direct_vs_cot/bbh/object_counting": Kind.MATHS,
    "bbh_direct_vs_cot/bbh/movie": Kind.KNOWLEDGE,
    "bbh_direct_vs_cot/bbh/sports": Kind.KNOWLEDGE,
    "bbh_direct_vs_cot/bbh/ruin_names": Kind.KNOWLEDGE,
    "bbh_direct_vs_cot/bbh/snarks": Kind.KNOWLEDGE,
    "bbh_direct_vs_cot/bbh/disambiguation": Kind.KNOWLEDGE,
    "bbh_direct_vs_cot": Kind.LOGIC,
    "math_train_levels": Kind.MATHS,
    "math500_levels": Kind.MATHS,
    "zeroeval_math_l5": Kind.MATHS,
    "aime_levels": Kind.MATHS,
    "cmath_grades": Kind.MATHS,
    "chat_gpteacher/code": Kind.CODING,
    "chat_gpteacher/roleplay": Kind.CHAT,
    "chat_gpteacher": Kind.KNOWLEDGE,
    "chat_belle_zh/chat_zh/math": Kind.MATHS,
    "chat_belle_zh/chat_zh/code": Kind.CODING,
    "chat_belle_zh/chat_zh/open qa": Kind.KNOWLEDGE,
    "chat_belle_zh/chat_zh/closed": Kind.KNOWLEDGE,
    "chat_belle_zh/chat_zh/seed": Kind.CHAT,
    "chat_belle_zh": Kind.WRITING,
    "chat_vicuna_multilingual/chat/coding": Kind.CODING,
    "chat_vicuna_multilingual/chat/math": Kind.MATHS,
    "chat_vicuna_multilingual/chat/writing": Kind.WRITING,
    "chat_vicuna_multilingual/chat/roleplay": Kind.CHAT,
    "chat_vicuna_multilingual": Kind.KNOWLEDGE,
    "uncommonroute_tiers/formal-proof": Kind.MATHS,
    "uncommonroute_tiers/math": Kind.MATHS,
    "uncommonroute_tiers/game-theory": Kind.MATHS,
    "uncommonroute_tiers/formal-logic": Kind.LOGIC,
    "uncommonroute_tiers/logic-puzzle": Kind.LOGIC,
    "uncommonroute_tiers/factual-qa": Kind.KNOWLEDGE,
    "uncommonroute_tiers/explanation": Kind.KNOWLEDGE,
    "uncommonroute_tiers/comparison": Kind.KNOWLEDGE,
    "uncommonroute_tiers/definition": Kind.KNOWLEDGE,
    "uncommonroute_tiers/translation": Kind.WRITING,
    "uncommonroute_tiers/summary": Kind.WRITING,
    "uncommonroute_tiers/rewrite": Kind.WRITING,
    "uncommonroute_tiers/creative": Kind.WRITING,
    "uncommonroute_tiers/brainstorming": Kind.WRITING,
    "uncommonroute_tiers/greeting": Kind.CHAT,
    "uncommonroute_tiers/edge": Kind.CHAT,
    "uncommonroute_tiers/agentic": Kind.AGENTIC,
    "uncommonroute_tiers/migration": Kind.PLANNING,
    "uncommonroute_tiers": Kind.CODING,
    "chat_self_instruct": Kind.WRITING,
    "alpaca_eval": Kind.CHAT,
}


@dataclass(frozen=True, slots=True)
class Label:
    """What is to be learnt from one record. Both difficulties are in [0, 1].

    Attributes:
        hard: share of fast models, or argued probability, that fall short.
        hard_deep: the same of deep models.
        recorded: whether `hard` comes from models that were run, not from an opinion.
        kind: conversation type, None where the source does not tell.
        log_tokens: ``log(1 + n)`` of the thinking that the record deserves, in tokens.
    """

    hard: float
    hard_deep: float
    recorded: bool
    kind: Kind | None
    log_tokens: float


def label(source: str, record: Mapping[str, Any]) -> Label | None:
    """Read the label of one record of `source` (a file's name without ending); None if it carries none."""
    hard, hard_deep, recorded = _difficulties(record)
    if hard is None:
        return None
    if recorded:
        trials = max(len(record.get("models") or {}), 1)
        hard = (hard * trials + 0.5) / (trials + 1)  # half a failure in one more trial: few models say little
    return Label(
        hard=hard,
        hard_deep=hard / 2 if hard_deep is None else hard_deep,
        recorded=recorded,
        kind=_kind(source, record),
        log_tokens=_log_tokens(hard, record),
    )


def _difficulties(record: Mapping[str, Any]) -> tuple[float | None, float | None, bool]:
    """Give how often fast and deep models fall short, and whether that was recorded."""
    outcomes = record.get("models") or {}
    judged = record.get("fast_correct") is not None
    if judged and outcomes:
        thinking = [float(value) for name, value in outcomes.items() if _thinks(name)]
        fast = [float(value) for name, value in outcomes.items() if not _thinks(name)]
        deep_correct = fmean(thinking) if thinking else record.get("deep_correct")
        hard = 1 - (fmean(fast) if fast else float(record["fast_correct"]))
        return hard, None if deep_correct is None else 1 - float(deep_correct), True
    if judged:
        deep_correct = record.get("deep_correct")
        return 1 - float(record["fast_correct"]), None if deep_correct is None else 1 - float(deep_correct), True
    return _opinion(record), None, False


def linked(hard: Sequence[float], accuracy: float) -> list[float]:
    """Carry shares of failures over to a model of another ability: the Rasch model's linking by a constant.

    All logits move by the one amount with which their mean comes to ``1 - accuracy``: the order stays, and a question
    on which half of yesterday's small models failed becomes one that a present-day model mostly gets right.
    """
    logits = [math.log(share / (1 - share)) for share in hard]
    low, high = -8.0, 8.0
    for _ in range(40):
        middle = (low + high) / 2
        failing = fmean(1 / (1 + math.exp(middle - logit)) for logit in logits)
        low, high = (middle, high) if failing > 1 - accuracy else (low, middle)
    return [1 / (1 + math.exp(low - logit)) for logit in logits]


def _opinion(record: Mapping[str, Any]) -> float | None:
    written, number = record.get("difficulty"), record.get("difficulty_num")
    if isinstance(written, str):
        word = written.lower()
        if word in _OPINIONS:
            return _OPINIONS[word]
        if word.startswith("aops") and number is not None:
            return min(0.95, 0.45 + 0.1 * float(number))  # AIME: levels 2 to 6; fast models solve a tenth to a half
        if word.startswith("grade") and number is not None:
            return 0.01 + 0.015 * float(number) + 0.01 * float(record.get("reasoning_steps", 1))
    if number is not None and 0 <= float(number) <= 1:
        return float(number)
    return None


def _thinks(model: str) -> bool:
    return any(part in model for part in THINKING_MODELS)


def _kind(source: str, record: Mapping[str, Any]) -> Kind | None:
    if "kind" in record:
        return Kind(record["kind"])
    place = f"{source}/{record.get('domain')}"
    return next((kind for prefix, kind in _KINDS.items() if place.startswith(prefix)), None)


def _log_tokens(hard: float, record: Mapping[str, Any]) -> float:
    """Argue the thinking that pays: about 60 tokens for the easiest, 16,000 for what no fast model solves.

    Published traces of thinking models grow about exponentially with difficulty: some hundred tokens on school
    questions, some thousand on MATH level 5, over ten thousand on AIME.
    """
    if record.get("thinking_tokens") is not None:
        return math.log1p(float(record["thinking_tokens"]))
    return math.log1p(60) + (math.log(16_000) - math.log1p(60)) * math.sqrt(hard)
