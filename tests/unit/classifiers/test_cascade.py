"""The slow model runs only where it can change something, and for many requests at once."""

import threading
from collections.abc import Sequence

import pytest

from classifiers.bundle import load_bundle
from classifiers.cascade import Batcher, BundleCascade
from classifiers.heuristic import HeuristicModel
from classifiers.types import Conversation, Estimate


class Counting(HeuristicModel):
    """Counts its batches, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def estimate_many(self, conversations: Sequence[Conversation]) -> list[Estimate]:
        self.gate.wait(5)
        self.batches.append(len(conversations))
        return [self.estimate(conversation) for conversation in conversations]


class Broken(Counting):
    def estimate_many(self, conversations: Sequence[Conversation]) -> list[Estimate]:
        raise RuntimeError("no weights")


HI = Conversation.from_prompt("hi")


def test_what_arrives_while_the_model_is_busy_becomes_one_batch():
    model = Counting()
    model.gate.clear()
    with Batcher(model) as batcher:
        futures = [batcher.submit(HI) for _ in range(9)]
        model.gate.set()
        assert all(future.result(5).model == "heuristic" for future in futures)
    assert sum(model.batches) == 9
    assert len(model.batches) <= 3


def test_a_models_error_reaches_the_caller_and_the_batcher_lives_on():
    with Batcher(Broken()) as batcher:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="no weights"):
                batcher.submit(HI).result(5)


def test_a_cascade_asks_twice_only_near_the_threshold():
    cascade = BundleCascade(load_bundle("reflex-v1"), Counting())
    assert cascade.estimate(HI).model == "reflex-v1"
    near = cascade.thresholds["balanced"]
    glanced = cascade.at_once.estimate(HI)
    assert not cascade.unsure(glanced, near)
    assert cascade.unsure(glanced, glanced.difficulty + 0.01)


def test_what_answers_at_once_never_asks_the_slow_model_and_has_the_cascades_thresholds():
    slow = Counting()
    cascade = BundleCascade(load_bundle("reflex-v1"), slow, band=1.0)
    assert cascade.estimate(HI).model == "heuristic"
    assert cascade.at_once.estimate(HI).model == "reflex-v1"
    assert slow.batches == [1]
    assert cascade.at_once.thresholds == slow.thresholds
