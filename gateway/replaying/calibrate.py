"""From a share of deep calls to the threshold that gives it, on logged requests or sample prompts.

RouteLLM takes the quantile of the scores (https://github.com/lm-sys/RouteLLM, `calibrate_threshold`). Here the policy's
other rules have their say too: explicit intent, named routes, the least gain, what a conversation carries. So the
threshold is searched for by deciding, and the share that is told is the share that the gateway would have.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import Progress

from classifiers.types import Conversation, DifficultyModel
from gateway.replaying.curve import Sample
from gateway.replaying.edit import yaml_key
from gateway.replaying.reading import ReplayError
from router.engine import Engine
from router.policy import AUTO
from router.replay import Logged, at_threshold, is_deep, judged_by, replay
from router.signals import read_signals
from router.types import Decision, Reason, RouteRequest

RESOLUTION = 10_000
"""Thresholds are told to four digits."""

MOST_REQUESTS = 10_000
"""Logged requests, in whole conversations, that a threshold is searched on: 5,000 tell a share to about one point."""

TOLERANCE = 0.005
"""A share further than this from the one that was wanted is remarked upon."""

Decide = Callable[[Engine], Iterable[Decision]]
"""Decides the whole sample by an engine."""


@dataclass(slots=True)
class KindShare:
    """Requests of one kind and how many of them go deep."""

    requests: int = 0
    deep: int = 0


@dataclass(frozen=True, slots=True)
class Calibration:
    """The threshold of one notch of the dial, and what it comes to. `requests` are those that it decides over."""

    threshold: float
    dial: str
    bundle: str
    wanted: float
    achieved: float
    requests: int
    kinds: dict[str, KindShare] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def yaml(self) -> str:
        """The lines to paste into the settings."""
        return f"routing:\n  thresholds: {{{yaml_key(self.dial)}: {self.threshold:.4f}}}"


def logged_sample(lines: Iterable[Logged], model: DifficultyModel) -> tuple[Decide, list[str]]:
    """Prepare logged requests, and say which are left out.

    Raises:
        ReplayError: none of them was judged by the model, or can be.
    """
    sample = Sample(MOST_REQUESTS)
    found = sum(1 for _ in sample.watch(lines))
    left_out: Counter[str] = Counter()
    kept: list[Logged] = []
    for logged in sample.kept:
        judged = judged_by(logged, model)
        if judged is not None:
            kept.append(judged)
        elif logged.facts is None:
            left_out["a backend was asked for by name"] += 1
        else:
            left_out[f"judged by {logged.facts.estimate.model}, and logged without words"] += 1
    notes = [f"{count:,} requests are left out: {why}." for why, count in left_out.items()]
    if found > len(sample.kept):
        notes.insert(0, f"A sample of {len(sample.kept):,} of {found:,} requests, in whole conversations.")
    if not kept:
        raise ReplayError(f"no request in the log was judged by {model.name}, or can be. {' '.join(notes)}")

    def decide(engine: Engine) -> Iterator[Decision]:
        return (each.decision for each in replay(kept, engine) if each.decision is not None)

    return decide, notes


def prompt_sample(conversations: Iterable[Conversation], model: DifficultyModel) -> Decide:
    """Prepare sample prompts, each a conversation of its own: judged once, decided often."""
    requests = [RouteRequest(AUTO, conversation) for conversation in conversations]
    known = [(request, read_signals(request, model)) for request in requests]

    def decide(engine: Engine) -> Iterator[Decision]:
        return (engine.decide(request, signals) for request, signals in known)

    return decide


def calibrate(decide: Decide, engine: Engine, dial: str, deep_share: float, notes: Sequence[str] = ()) -> Calibration:
    """Find the threshold at which a share of the requests goes deep.

    All requests are decided at this notch but those whose caller chose another. Only those count that are left to
    the decision: no caller's own model, tier, effort or other dial.

    Raises:
        ReplayError: there are none.
    """
    engine = Engine(dataclasses.replace(engine.policy, dial=dial), engine.model)

    def kinds_at(threshold: float) -> dict[str, KindShare]:
        return _kinds(decide(at_threshold(engine, threshold, [dial])), dial)

    if not kinds_at(1.0):
        raise ReplayError(f"no request leaves the choice to the decision at the dial {dial}")
    threshold = _search(lambda threshold: _share(kinds_at(threshold)), deep_share)
    kinds = kinds_at(threshold)
    achieved = _share(kinds)
    remarks = [] if abs(achieved - deep_share) <= TOLERANCE else [_why_not(achieved, deep_share)]
    return Calibration(
        threshold=threshold,
        dial=dial,
        bundle=engine.model.name,
        wanted=deep_share,
        achieved=achieved,
        requests=sum(kind.requests for kind in kinds.values()),
        kinds=dict(sorted(kinds.items())),
        notes=(*notes, *remarks),
    )


def _search(share_at: Callable[[float], float], wanted: float) -> float:
    """Find the threshold whose share comes closest, in the middle between the difficulties that it parts.

    Shares fall as thresholds rise, so each edge is found by halving. Where nothing more can be won the threshold is
    an end of the scale: 1 if even then too many go deep, or none shall; 0 if even then too few do, or all shall.
    """
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("searching", total=3 * RESOLUTION.bit_length())

        @functools.cache
        def share(step: int) -> float:
            progress.advance(task)
            return share_at(step / RESOLUTION)

        edge = _first(lambda step: share(step) <= wanted)
        closest = min((share(step) for step in (edge, edge - 1) if 0 <= step <= RESOLUTION), key=_distance_to(wanted))
        lowest = _first(lambda step: share(step) <= closest)
        beyond = _first(lambda step: share(step) < closest)
    if beyond > RESOLUTION:
        return 1.0
    if lowest == 0 and (closest < wanted or closest == 1.0):
        return 0.0
    return (lowest + beyond) // 2 / RESOLUTION


def _first(holds: Callable[[int], bool]) -> int:
    """Give the first step at which something holds that goes on holding, or the one after the last."""
    return bisect.bisect_left(range(RESOLUTION + 1), True, key=holds)


def _distance_to(wanted: float) -> Callable[[float], float]:
    return lambda share: abs(share - wanted)


def _kinds(decisions: Iterable[Decision], dial: str) -> dict[str, KindShare]:
    kinds: dict[str, KindShare] = {}
    for decision in decisions:
        if decision.reason is Reason.CLIENT or decision.dial != dial or decision.kind is None:
            continue
        kind = kinds.setdefault(decision.kind.value, KindShare())
        kind.requests += 1
        kind.deep += is_deep(decision.tier)
    return kinds


def _share(kinds: dict[str, KindShare]) -> float:
    return sum(kind.deep for kind in kinds.values()) / sum(kind.requests for kind in kinds.values())


def _why_not(achieved: float, wanted: float) -> str:
    if achieved > wanted:
        return (
            "More go deep than wanted: asked for in words, sent by a named route, held by their conversation, or as "
            "difficult as many others."
        )
    return (
        "Fewer go deep than wanted: the others would gain too little (routing.min_gain), ask for a quick answer, are "
        "sent elsewhere by a named route, or are as difficult as many others."
    )
