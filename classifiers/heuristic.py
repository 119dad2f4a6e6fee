"""The fallback when no bundle loads: length, and a few signs of hard work that need no training."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from classifiers.features import STRUCTURE, extract
from classifiers.text import read
from classifiers.types import Conversation, Estimate, Kind

_THRESHOLDS: Final = MappingProxyType({"cheap": 0.6, "balanced": 0.45, "quality": 0.3, "max": 0.0})

_HARD = re.compile(
    r"\b(?:prove|proof|derive|optimi[sz]e|algorithm|theorem|integer|polynomial|deadlock|race condition|np-hard|"
    r"worst-case|trade-?offs?|root cause|step by step)\b|证明|推导|定理|整数|多项式|算法|最优|死锁|逻辑题",
    re.IGNORECASE,
)
_KINDS: Final = (
    (
        Kind.CODING,
        re.compile(r"```|\bdef \w+\(|\b(?:python|javascript|sql|function|code|bug)\b|代码|函数", re.IGNORECASE),
    ),
    (
        Kind.MATHS,
        re.compile(r"\\frac|\$[^$]+\$|\b(?:solve|equation|integer|prove|probability)\b|方程|证明|概率", re.IGNORECASE),
    ),
    (
        Kind.WRITING,
        re.compile(r"\b(?:write|rewrite|translate|summari[sz]e|poem|email)\b|翻译|写一|改写|总结", re.IGNORECASE),
    ),
    (Kind.KNOWLEDGE, re.compile(r"\b(?:what|who|when|where|why|explain|define)\b|什么是|解释|为什么", re.IGNORECASE)),
)


class HeuristicModel:
    """Knows no outcomes of any model: it is here so that a broken bundle costs quality, not requests.

    Weakness: everything that structure and a handful of English and Chinese words do not show.
    """

    name: str = "heuristic"
    thresholds: Mapping[str, float] = _THRESHOLDS

    def estimate(self, conversation: Conversation) -> Estimate:
        """Judge one conversation. Never raises, for any text."""
        reading = read(conversation)
        dense = dict(zip(STRUCTURE, extract(reading).dense.tolist(), strict=True))
        signs = len(set(map(str.lower, _HARD.findall(reading.question))))
        score = (
            -3.4
            + 0.25 * min(dense["words"], 5.5)
            + 0.9 * min(signs, 3)
            + 0.25 * min(dense["commands"], 3)
            + 0.2 * min(dense["operators"], 3)
            + 0.2 * min(dense["code_lines"], 3)
        )
        difficulty = 1.0 / (1.0 + math.exp(-score))
        return Estimate(
            difficulty=difficulty,
            p_fast=1.0 - difficulty,
            p_deep=1.0 - 0.5 * difficulty,
            kind=_kind(reading.ask, conversation.tools),
            kind_confidence=0.5,
            thinking_tokens=round(200 + 8000 * difficulty**2),
            raw=score,
            model=self.name,
        )


def _kind(ask: str, tools: int) -> Kind:
    if tools:
        return Kind.AGENTIC
    return next((kind for kind, signs in _KINDS if signs.search(ask)), Kind.CHAT)
