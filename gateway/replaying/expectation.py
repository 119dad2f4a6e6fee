"""What a request would have cost, taken and been worth elsewhere: few and plain assumptions, told with every report.

Tokens: the prompt stays as it was, and another backend has none of it cached. An answer keeps its length. Thinking
that falls away takes its tokens with it (the logged ones, or where the backend did not tell them apart the expected
ones); thinking that begins adds what the model expects of a thinking model; thinking at another effort is not
told apart. Worth: the model's probability that the tier's answer is right, a mini counting as its tier. Time: the
median of the new tier in the log.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from classifiers.types import Estimate
from gateway.records.prices import Price, Usage
from router.replay import Replayed, Tokens, is_deep
from router.types import Effort, Target

ASSUMPTIONS = (
    "Costs use today's prices on both sides. Where the target changes, the answer keeps its length, thinking takes "
    "the tokens that the model expects, and another backend has nothing cached. Quality is the model's probability "
    "that the tier answers right, and latency is the tier's median in the log."
)
"""The assumptions as the reader of a report is told them."""


def costs(replayed: Replayed, prices: Mapping[str, Price]) -> tuple[float, float] | None:
    """Give a request's cost in dollars, then and now; None where tokens or a price are missing, or nobody was asked.

    What failed checks cost besides stays with a request that is still to be checked.
    """
    served = replayed.logged.served
    if served.tokens is None or served.target is None or served.from_cache or replayed.decision is None:
        return None
    price_then = prices.get(served.target.backend)
    then = price_then.cost(_usage(served.tokens)) + served.besides_cost if price_then else served.cost
    if then is None or not replayed.changed:
        return None if then is None else (then, then)
    target = replayed.decision.targets[0]
    price_now = prices.get(target.backend)
    if price_now is None:
        return None
    now = price_now.cost(tokens_at(target, served.target, served.tokens, replayed.estimate))
    return then, now + (served.besides_cost if replayed.decision.escalation else 0.0)


def tokens_at(target: Target, served: Target, tokens: Tokens, estimate: Estimate | None) -> Usage:
    """Give the tokens that an answer of `served` would have taken at `target`."""
    cached = tokens.cached if target.backend == served.backend else 0
    usage = dataclasses.replace(_usage(tokens), cached=cached)
    if thinks(target) == thinks(served):
        return usage
    expected = estimate.thinking_tokens if estimate else 0
    if thinks(target):
        return dataclasses.replace(usage, output=tokens.output + expected, reasoning=expected)
    answer = max(tokens.output - (tokens.reasoning or expected), min(tokens.output, 1))
    return dataclasses.replace(usage, output=answer, reasoning=0)


def thinks(target: Target) -> bool:
    """Whether a target thinks; one that is left to its own default thinks if its tier does."""
    return is_deep(target.tier) if target.effort is None else target.effort.rank >= Effort.LOW.rank


def qualities(replayed: Replayed) -> tuple[float, float] | None:
    """Give how likely a right answer is, then and now; None without a judgement, or for a backend in no tier."""
    then, now = quality(replayed.logged.decided.target, replayed), quality(replayed.target, replayed)
    return None if then is None or now is None else (then, now)


def quality(target: Target | None, replayed: Replayed) -> float | None:
    """Give how likely a right answer is at a target."""
    estimate = replayed.estimate
    if target is None or target.tier is None or estimate is None:
        return None
    return estimate.p_deep if is_deep(target.tier) else estimate.p_fast


def _usage(tokens: Tokens) -> Usage:
    return Usage(tokens.input, tokens.output, tokens.cached, tokens.reasoning)
