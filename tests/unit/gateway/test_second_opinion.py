"""The slow model is asked only where it can change the tier, is not waited for long, and may fail or be swapped."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import MappingProxyType

import pytest

from classifiers.bundle import BundleModel, load_bundle
from classifiers.cascade import Batcher, BundleCascade
from classifiers.types import Conversation, Estimate
from gateway.app import create_app
from gateway.second_opinion import SecondOpinion
from gateway.settings import Settings
from router.engine import Engine
from router.guard import FellBack, GuardEvent, Overran
from router.types import Effort, RouteRequest, Tier
from tests.gateway.serving import settings_over
from tests.golden.conversations.judging import two_tier_engine

REQUEST = RouteRequest("auto", Conversation.from_prompt("What is the capital of Norway?"))


class Sure:
    """Says of everything that it is hard; can be held up, and can fail."""

    name = "sure-v1"
    thresholds = MappingProxyType({"cheap": 0.5, "balanced": 0.3, "quality": 0.2, "max": 0.1})

    def __init__(self, like: BundleModel, difficulty: float = 0.9) -> None:
        self.like = like
        self.difficulty = difficulty
        self.asked = 0
        self.fails = False
        self.gate = threading.Event()
        self.gate.set()

    def estimate(self, conversation: Conversation) -> Estimate:
        return self.estimate_many([conversation])[0]

    def estimate_many(self, conversations: Sequence[Conversation]) -> list[Estimate]:
        self.gate.wait(5)
        self.asked += len(conversations)
        if self.fails:
            raise OSError("the weights are gone")
        return [
            replace(each, difficulty=self.difficulty, p_fast=1 - self.difficulty, p_deep=0.95, model=self.name)
            for each in self.like.estimate_many(conversations)
        ]


@pytest.fixture(scope="module")
def reflex() -> BundleModel:
    return load_bundle("reflex-v1")


@pytest.fixture
def slow(reflex: BundleModel) -> Iterator[Sure]:
    model = Sure(reflex)
    yield model
    model.gate.set()


@pytest.fixture
def engine(reflex: BundleModel) -> Engine:
    return two_tier_engine(reflex)


async def difficulty(slow: Sure, engine: Engine, request: RouteRequest, band: float = 1.0) -> tuple[float | None, list]:
    events: list[GuardEvent] = []
    with Batcher(slow) as batcher:
        cascade = BundleCascade(slow.like, slow, band)
        second = SecondOpinion(cascade, batcher, budget_s=0.2, on_event=events.append)
        signals = await second.read(engine, request)
        slow.gate.set()
    return (None if signals is None else signals.difficulty), events


async def test_an_unsure_estimate_is_replaced_by_the_second_model_and_decided_on(slow: Sure, engine: Engine):
    with Batcher(slow) as batcher:
        second = SecondOpinion(BundleCascade(slow.like, slow, 1.0), batcher, budget_s=5, on_event=pytest.fail)
        signals = await second.read(engine, REQUEST)
    assert signals is not None
    assert signals.estimate.model == "sure-v1"
    decision = engine.decide(REQUEST, signals)
    assert (decision.tier, decision.difficulty) == (Tier.DEEP, 0.9)
    assert engine.decide(REQUEST).tier is Tier.FAST


@pytest.mark.parametrize(
    "request_",
    [
        replace(REQUEST, tier=Tier.FAST),
        replace(REQUEST, effort=Effort.LOW),
        replace(REQUEST, model="nobody"),
    ],
    ids=["the caller chose a tier", "the caller chose an effort", "nobody is called that"],
)
async def test_who_decides_without_difficulty_is_not_kept_waiting(slow: Sure, engine: Engine, request_: RouteRequest):
    await difficulty(slow, engine, request_)
    assert slow.asked == 0


async def test_a_sure_estimate_stands(slow: Sure, engine: Engine):
    found, events = await difficulty(slow, engine, REQUEST, band=0.0)
    assert slow.asked == 0
    assert found is not None
    assert found < 0.3
    assert not events


async def test_a_late_second_opinion_is_not_waited_for_and_counted(slow: Sure, engine: Engine):
    slow.gate.clear()
    found, events = await difficulty(slow, engine, REQUEST)
    assert found is not None
    assert found < 0.3
    assert [type(event) for event in events] == [Overran]


async def test_a_failing_second_model_costs_no_request(slow: Sure, engine: Engine):
    slow.fails = True
    found, events = await difficulty(slow, engine, REQUEST)
    assert found is not None
    assert found < 0.3
    assert events == [FellBack("sure-v1", "OSError", "")]


async def test_a_swapped_model_judges_from_the_next_batch_on(slow: Sure, reflex: BundleModel):
    with Batcher(slow) as batcher:
        batcher.swap(Sure(reflex, difficulty=0.1))
        estimate = await asyncio.wrap_future(batcher.submit(REQUEST.conversation))
    assert estimate.difficulty == 0.1
    assert slow.asked == 0


async def test_in_the_gateway_the_event_loop_asks_the_fast_model_alone(reflex: BundleModel):
    settings = settings_over("http://127.0.0.1:9", routing={"bundle": "cortex-v1", "second_budget_ms": 5000})
    app = create_app(Settings.model_validate(settings))
    async with app.router.lifespan_context(app):
        rooms = app.state.rooms
        at_once = rooms.engine.read(REQUEST)
        in_time = await rooms.second_opinion.read(rooms.engine, REQUEST)
    assert at_once.estimate.model == "reflex-v1"
    assert in_time.estimate.model == "cortex-v1"
    assert rooms.engine.model.thresholds != reflex.thresholds
