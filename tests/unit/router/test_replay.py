"""A logged request is decided again as it was, but for what the new policy or the new bundle says otherwise."""

import dataclasses
import re
from datetime import UTC, datetime
from types import MappingProxyType

import msgspec
import pytest

from classifiers.types import Conversation, Estimate, Kind, Turn
from router.engine import Engine
from router.policy import Policy, TierTarget
from router.replay import (
    FORMAT,
    Decided,
    Logged,
    MalformedLine,
    Served,
    at_threshold,
    decide_again,
    judged_by,
    read_line,
    replay,
    without_content,
)
from router.types import Bounds, Candidate, Effort, Needs, Reason, RouteRequest, Session, Tier


class ByWord:
    """Finds a prompt as difficult as the number in it says; `off` makes another model of it."""

    thresholds = MappingProxyType({"cheap": 0.8, "balanced": 0.5, "quality": 0.3, "max": 0.1})

    def __init__(self, name: str = "one", off: float = 0.0) -> None:
        self.name = name
        self.off = off

    def estimate(self, conversation: Conversation) -> Estimate:
        said = re.search(r"0\.\d+", conversation.turns[-1].text)
        difficulty = float(said[0]) + self.off if said else 0.0
        return Estimate(difficulty, 1 - difficulty, 0.95, Kind.MATHS, 0.9, 700, difficulty, self.name)


def policy(**changes) -> Policy:
    tiers = {Tier.FAST: (TierTarget("small"),), Tier.DEEP: (TierTarget("big"),)}
    candidates = {"small": Candidate("small", context_window=8_000), "big": Candidate("big")}
    return Policy(**{"tiers": tiers, "candidates": candidates, "unsure": 0.0} | changes)


ENGINE = Engine(policy(), ByWord())


def logged(
    request: RouteRequest, engine: Engine = ENGINE, *, content: bool = False, conversation: str = "", **changes
) -> Logged:
    decision = engine.decide(request)
    line = Logged(
        v=FORMAT,
        id=decision.id,
        at=datetime(2026, 3, 1, tzinfo=UTC),
        endpoint="chat",
        tenant="acme",
        key="ci",
        stream=False,
        conversation=conversation,
        content=content,
        request=request if content else without_content(request),
        facts=decision.facts,
        decided=Decided(decision.targets[0], decision.reason, decision.dial, decision.threshold, decision.difficulty),
        served=Served("done", 200, decision.targets[0], 1.0),
    )
    return read_line(msgspec.json.encode(dataclasses.replace(line, **changes)))


def ask(text: str, **changes) -> RouteRequest:
    return RouteRequest("auto", Conversation.from_prompt(text), **changes)


TALK = Conversation((Turn("user", "0.9"), Turn("assistant", "…"), Turn("user", "why 0.1")))

AS_THEN = [
    ask("easy 0.1"),
    ask("hard 0.9"),
    ask("easy 0.1, think hard"),
    ask("hard 0.9. Quick answer please."),
    ask("easy 0.1", effort=Effort.HIGH),
    ask("hard 0.9", tier=Tier.FAST),
    ask("middling 0.4", dial="quality"),
    ask("hard 0.9", bounds=Bounds(tiers=frozenset({Tier.FAST}))),
    ask("hard 0.9", exhausted={Tier.DEEP: 60.0}),
    ask("long 0.1", needs=Needs(prompt_tokens=20_000)),
    RouteRequest("small", Conversation.from_prompt("hard 0.9")),
    RouteRequest("deep", Conversation.from_prompt("easy 0.1")),
    RouteRequest("auto", TALK, session=Session(Tier.DEEP, "big", 0.9)),
    RouteRequest(
        "auto",
        Conversation((*TALK.turns, Turn("tool", "42")), tools=1),
        session=Session(Tier.DEEP, "big", 0.9),
    ),
]


@pytest.mark.parametrize("content", [False, True], ids=["without words", "with words"])
@pytest.mark.parametrize("request_", AS_THEN, ids=lambda request: f"{request.model}: {request.conversation.turns[-1]}")
def test_the_same_policy_decides_as_it_did(request_, content):
    line = logged(request_, content=content)
    replayed = decide_again(line, ENGINE)
    assert not replayed.changed
    assert replayed.decision.reason is line.decided.reason
    assert not replayed.judged_anew


CHANGES = [
    ("a lower threshold", policy(thresholds={"balanced": 0.2}), "middling 0.4", Tier.DEEP, Reason.DIFFICULTY),
    ("another dial", policy(dial="cheap"), "quite hard 0.7", Tier.FAST, Reason.DIFFICULTY),
    ("a least gain", policy(min_gain={"balanced": 0.6}), "quite hard 0.5", Tier.FAST, Reason.DIFFICULTY),
]


@pytest.mark.parametrize(
    ("changed", "text", "tier", "reason"), [row[1:] for row in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_another_policy_decides_otherwise_from_the_logged_signals_alone(changed, text, tier, reason):
    replayed = decide_again(logged(ask(text)), Engine(changed, ByWord()))
    assert replayed.changed
    assert (replayed.target.tier, replayed.decision.reason) == (tier, reason)


def test_words_that_asked_for_thinking_are_honoured_without_the_words():
    line = logged(ask("easy 0.1, think hard"))
    assert line.request.conversation.turns == (Turn("user", ""),)
    assert decide_again(line, Engine(policy(dial="cheap"), ByWord())).decision.reason is Reason.INTENT_UP


def test_another_bundle_judges_anew_where_the_log_has_words():
    line = logged(ask("middling 0.4"), content=True)
    replayed = decide_again(line, Engine(policy(), ByWord("two", off=0.3)))
    assert replayed.judged_anew
    assert replayed.estimate.model == "two"
    assert replayed.target.tier is Tier.DEEP


def test_without_words_the_judgement_of_then_stands():
    line = logged(ask("middling 0.4"))
    replayed = decide_again(line, Engine(policy(), ByWord("two", off=0.3)))
    assert not replayed.judged_anew
    assert replayed.estimate.model == "one"
    assert not replayed.changed


def test_a_conversation_goes_on_from_where_the_replay_left_it():
    first = logged(ask("middling 0.45"), conversation="c")
    follow_up = RouteRequest("auto", TALK, session=ENGINE.decide(ask("middling 0.45")).session)
    second = logged(follow_up, conversation="c")
    assert second.decided.target.tier is Tier.FAST
    lower = Engine(policy(thresholds={"balanced": 0.4}), ByWord())
    assert [each.target.tier for each in replay([first, second], lower)] == [Tier.DEEP, Tier.DEEP]
    assert [each.target.tier for each in replay([second], lower)] == [Tier.FAST]


def test_conversations_of_two_tenants_are_two():
    first = logged(ask("middling 0.45"), conversation="c", tenant="other")
    follow_up = RouteRequest("auto", TALK, session=ENGINE.decide(ask("middling 0.45")).session)
    second = logged(follow_up, conversation="c")
    lower = Engine(policy(thresholds={"balanced": 0.4}), ByWord())
    assert [each.target.tier for each in replay([first, second], lower)] == [Tier.DEEP, Tier.FAST]


def test_a_conversation_that_was_forgotten_then_is_forgotten_now():
    first = logged(ask("hard 0.9"), conversation="c")
    second = logged(RouteRequest("auto", TALK), conversation="c")
    assert [each.target.tier for each in replay([first, second], ENGINE)] == [Tier.DEEP, Tier.FAST]


UNDECIDABLE = [
    ("unknown-model", logged(RouteRequest("mine", Conversation.from_prompt("0.1")), Engine(
        policy(aliases={"mine": "auto"}), ByWord()
    )), policy()),
    ("nobody-can", logged(ask("long 0.1", needs=Needs(prompt_tokens=200_000)), Engine(
        policy(candidates={"small": Candidate("small"), "big": Candidate("big", context_window=900_000)}), ByWord()
    )), policy()),
    ("limit", logged(ask("hard 0.9", exhausted={Tier.DEEP: 9.0})), policy(at_limit="refuse")),
    ("not-logged", logged(RouteRequest("small", Conversation.from_prompt("?"))), policy(
        tiers={Tier.FAST: (TierTarget("tiny"),), Tier.DEEP: (TierTarget("big"),)},
        candidates={"tiny": Candidate("tiny"), "big": Candidate("big")},
        aliases={"small": "auto"},
    )),
]  # fmt: skip


@pytest.mark.parametrize(("refusal", "line", "changed"), UNDECIDABLE, ids=[row[0] for row in UNDECIDABLE])
def test_a_request_that_cannot_be_decided_says_why(refusal, line, changed):
    replayed = decide_again(line, Engine(changed, ByWord()))
    assert (replayed.decision, replayed.target, replayed.refusal) == (None, None, refusal)
    assert replayed.changed


def test_a_backend_that_became_an_alias_of_auto_is_judged_from_its_words():
    line = logged(RouteRequest("small", Conversation.from_prompt("hard 0.9")), content=True)
    changed = policy(
        tiers={Tier.FAST: (TierTarget("tiny"),), Tier.DEEP: (TierTarget("big"),)},
        candidates={"tiny": Candidate("tiny"), "big": Candidate("big")},
        aliases={"small": "auto"},
    )
    assert decide_again(line, Engine(changed, ByWord())).target.tier is Tier.DEEP


def test_a_line_keeps_or_gets_the_judgement_of_a_model_or_has_none_of_it():
    wordless, worded = logged(ask("middling 0.4")), logged(ask("middling 0.4"), content=True)
    two = ByWord("two", off=0.3)
    assert judged_by(wordless, ByWord()) == wordless
    assert judged_by(wordless, two) is None
    assert judged_by(worded, two).facts.estimate.difficulty == pytest.approx(0.7)
    assert judged_by(wordless, ByWord(f"quick+{ByWord().name}")) == wordless
    assert judged_by(wordless, ByWord("quick+slow")) is None


def test_an_engine_at_a_threshold_differs_in_nothing_else():
    moved = at_threshold(ENGINE, 0.05, ["balanced"])
    assert moved.decide(ask("easy 0.1")).tier is Tier.DEEP
    assert moved.decide(ask("easy 0.1", dial="quality")).tier is Tier.FAST
    assert ENGINE.decide(ask("easy 0.1")).tier is Tier.FAST


MALFORMED = [
    (b"nonsense", "malformed"),
    (b"[]", "Expected `object`"),
    (b'{"v": 1}', "missing required field"),
    (msgspec.json.encode(dataclasses.replace(logged(ask("0.1")), v=99)), "format 99"),
    (msgspec.json.encode(logged(ask("0.1"))).replace(b'"tier":"fast"', b'"tier":"slow"'), "tier"),
]


@pytest.mark.parametrize(("line", "why"), MALFORMED)
def test_a_malformed_line_says_what_is_wrong(line, why):
    with pytest.raises(MalformedLine, match=why):
        read_line(line)
