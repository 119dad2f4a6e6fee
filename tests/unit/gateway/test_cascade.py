"""What the check of a fast answer finds, in what it says, in how sure it is, and in its own word on it."""

import math
import time
from contextlib import AsyncExitStack

import msgspec
import pytest
from structlog.testing import capture_logs

from gateway.building import Builder
from gateway.calls.answer_check import Finding, check_answer, confidence, read_verdict, without_logprobs
from gateway.metrics import Metrics
from gateway.records.accounting import Accounts, Attempt, Record, Spending
from gateway.records.prices import Price, Usage
from gateway.settings import SettingsError, load_settings
from gateway.surfaces.responses.background import Background
from gateway.upstream.http import open_connections
from router.guard import FellBack, Overran
from router.types import AnswerCheck, Target, Tier

CHECK = AnswerCheck()
SURE, GUESSED = [-0.01] * 8, [-1.2] * 8


def answer(content=None, *, finish="stop", logprobs=None, **message):
    tokens = logprobs and {"content": [{"token": "x", "logprob": logprob} for logprob in logprobs]}
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return msgspec.json.encode({"id": "1", "choices": [{**choice, "logprobs": tokens}]})


CALL = [{"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
ANSWERS = {
    "a sure answer": (answer("Paris.", logprobs=SURE), Finding.OK),
    "one of unknown confidence": (answer("Paris."), Finding.OK),
    "a guess": (answer("Paris.", logprobs=GUESSED), Finding.LOW_CONFIDENCE),
    "cut off": (answer("Once upon", finish="length", logprobs=SURE), Finding.CUT_OFF),
    "nothing at all": (answer(None), Finding.EMPTY),
    "white space": (answer(" \n"), Finding.EMPTY),
    "a tool call": (answer(None, finish="tool_calls", tool_calls=CALL), Finding.OK),
    "an old function call": (answer(None, function_call={"name": "look"}), Finding.OK),
    "a refusal in its own field": (answer(None, refusal="No."), Finding.REFUSED),
    "the provider's moderation": (answer("", finish="content_filter"), Finding.OK),
    "no choices": (b'{"choices": []}', Finding.EMPTY),
    "no completion": (b'{"answer": 42}', Finding.UNREADABLE),
    "no JSON": (b"<html>", Finding.UNREADABLE),
    "log-probabilities in a shape of their own": (
        b'{"choices": [{"message": {"content": "Hi"}, "logprobs": {"content": "?"}}]}',
        Finding.OK,
    ),
}


@pytest.mark.parametrize(("body", "finding"), ANSWERS.values(), ids=ANSWERS)
def test_what_is_found_in_an_answer(body, finding):
    assert check_answer(body, CHECK) is finding


REFUSALS = [
    "I'm sorry, but I can't assist with that request.",
    "I cannot help with this.",
    "Unfortunately, I am unable to provide that information.",
    "抱歉，我无法回答这个问题。",
    "很抱歉，作为人工智能，我不能提供医疗建议。",
    "對不起，我無法提供這些資料。",
    "Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.",
    "Désolé, je ne peux pas répondre à cette question.",
    "Lo siento, no puedo ayudarte con eso.",
    "申し訳ありませんが、その質問にはお答えできません。",
    "К сожалению, я не могу ответить на этот вопрос.",
]
SHRUGS = [
    "I'm not sure. It might be 42.",
    "I am not entirely certain, but perhaps in 1912.",
    "Honestly, I don't know.",
    "It could be Bern. But I'm not sure.",
    "我不确定，可能是 42。",
    "我也不太清楚。",
    "可能是一九一二年，但我没有把握。",
    "我不知道答案。",
    "Ich bin mir nicht sicher, vielleicht Bern.",
    "Je ne sais pas.",
    "No estoy seguro, quizá Berna.",
    "答えはわかりません。",
    "Я не уверен, возможно, Берн.",
]
ANSWERED = [
    "The capital is Bern.",
    "She said: “I'm not sure.” Then she left.",
    'The sentence translates to "I don\'t know".',
    "The patient is not sure what she took.",
    "If you are not sure, ask your doctor.",
    "Use `git status`:\n```\n# I don't know\n```",
    "> I cannot help with this.\n\nThat reply is polite.",
    "Here is a riddle. What do you know that we don't know?",
    "I don't know of any better way than this: sort first.",
    "我们确定答案是 42。",
    "“我不知道”的英文是 don't know。",
    "如果你不确定，请咨询医生。",
    "Man kann nicht sicher sein, dass es regnet.",
    "On ne sait pas qui a construit le mur.",
    "Nadie sabe la respuesta.",
    "彼は「わかりません」と言った。",
    "Никто не знает ответа.",
    # In the middle of a long answer it is part of the telling.
    "The letter begins. " * 20 + "I don't know. " + "And then the letter goes on. " * 20,
]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        *((text, Finding.REFUSED) for text in REFUSALS),
        *((text, Finding.UNSURE) for text in SHRUGS),
        *((text, Finding.OK) for text in ANSWERED),
    ],
)
def test_refusals_and_shrugs_are_told_from_answers(text, finding):
    assert check_answer(answer(text, logprobs=SURE), CHECK) is finding


def test_text_made_to_be_slow_to_read_is_not():
    started = time.perf_counter()
    for hostile in ("a, " * 50_000, '"' * 50_000, "`" * 50_000, "« " * 50_000, "\n" * 50_000, "I am " * 30_000):
        assert check_answer(answer(hostile), CHECK) in (Finding.OK, Finding.EMPTY)
    assert time.perf_counter() - started < 1


def test_every_choice_is_checked():
    good, bad = (msgspec.json.decode(answer(text))["choices"][0] for text in ("Paris.", "I don't know."))
    assert check_answer(msgspec.json.encode({"choices": [good, bad]}), CHECK) is Finding.UNSURE


def test_confidence_is_the_geometric_mean_of_the_tokens_probabilities():
    logprobs = {"content": [{"logprob": math.log(0.5)}, {"logprob": math.log(0.125)}, {"logprob": None}]}
    assert confidence(msgspec.json.encode(logprobs)) == pytest.approx(0.25)
    assert confidence(b"null") is None
    assert confidence(b'{"content": []}') is None


def test_one_token_called_very_unlikely_does_not_decide_alone():
    logprobs = {"content": [{"logprob": 0.0}] * 99 + [{"logprob": -9999.0}]}
    assert confidence(msgspec.json.encode(logprobs)) > 0.8


def test_a_least_confidence_of_nought_does_not_look_at_it():
    assert check_answer(answer("Paris.", logprobs=GUESSED), AnswerCheck(min_confidence=0)) is Finding.OK


def test_taking_the_logprobs_out_leaves_all_other_bytes():
    body = b'{"id":"1","x":1.50,"choices":[{"index":0,"logprobs":{"content":[]},"message":{"content":"\\u00e9"}}]}'
    assert without_logprobs(body) == body.replace(b'{"content":[]}', b"null")
    bare = b'{"choices":[{"message":{"content":"Hi"}}]}'
    assert without_logprobs(bare) == bare
    assert without_logprobs(b"not JSON") == b"not JSON"


VERDICTS = {
    Finding.OK: ["yes", "Yes.", "**Yes**", "是", "是的。", "对", "正确"],
    Finding.SELF_DOUBT: ["no", "No.", " **no**", "否", "不", "不对。", "错", "Incorrect"],
    Finding.NO_VERDICT: ["", "Nobody can tell", "The answer", "…"],
}


@pytest.mark.parametrize(("finding", "text"), [(finding, text) for finding in VERDICTS for text in VERDICTS[finding]])
def test_a_models_word_on_its_own_answer(finding, text):
    assert read_verdict(text) is finding


def test_only_an_answer_with_nothing_against_it_passes():
    assert {finding for finding in Finding if finding.passes} == {Finding.OK, Finding.NO_VERDICT}


PRICES = {"swift": Price(1.0, 2.0, 1.0), "sage": Price(10.0, 20.0, 10.0)}
FAST_COST, DEEP_COST = (100 * 1 + 50 * 2) / 1e6, (100 * 10 + 500 * 20) / 1e6


def escalated() -> Record:
    return Record(
        "chat",
        target=Target("sage", None, Tier.DEEP),
        attempts=[Attempt("swift", None, "low-confidence"), Attempt("sage", None)],
        usage=Usage(100, 500),
        besides=[Spending("swift", Usage(100, 50))],
    )


def test_an_escalated_request_costs_both_calls_each_at_its_own_price():
    record = escalated()
    Accounts(PRICES, "sage", ()).close(record)
    assert record.own_cost == pytest.approx(DEEP_COST)
    assert record.cost == pytest.approx(FAST_COST + DEEP_COST)


def test_what_was_spent_before_is_counted_although_nobody_answered_in_the_end():
    record = escalated()
    record.usage = None
    Accounts(PRICES, "sage", ()).close(record)
    assert record.cost == pytest.approx(FAST_COST)


def test_an_unknown_price_leaves_the_known_cost_and_claims_no_saving():
    record = escalated()
    Accounts({"sage": PRICES["sage"]}, "sage", ()).close(record)
    assert record.cost == pytest.approx(DEEP_COST)
    assert record.saved is None


def test_metrics_count_each_call_at_its_own_backend_and_the_check():
    metrics = Metrics()
    Accounts(PRICES, "sage", (metrics.record_request,)).close(escalated())
    text = metrics.render().decode()
    assert 'thalamus_tokens_total{backend="swift",sort="output"} 50.0' in text
    assert 'thalamus_tokens_total{backend="sage",sort="output"} 500.0' in text
    assert f'thalamus_cost_dollars_total{{backend="swift"}} {FAST_COST}' in text
    assert 'thalamus_cascade_checks_total{backend="swift",finding="low-confidence"} 1.0' in text
    assert 'thalamus_attempts_total{backend="swift",error="",replica=""} 1.0' in text


WRONG = [
    ("min_confidence: 2", "min_confidence: Input should be less than or equal to 1"),
    ("when: dificulty > 0.2", "'dificulty' is not known"),
    ("probe_tokens: 1", "probe_tokens: Input should be greater than or equal to 16"),
    ("min_confidenc: 0.5", "did you mean 'min_confidence'?"),
]
BASE = "backends: {a: {url: 'http://127.0.0.1:1/v1', model: a}}\ntiers: {fast: a, deep: a}\nrouting:\n"


@pytest.mark.parametrize(("written", "message"), WRONG)
def test_a_wrong_cascade_is_refused_with_the_right_word(tmp_path, written, message):
    path = tmp_path / "thalamus.yaml"
    path.write_text(f"{BASE}  cascade: {{{written}}}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"routing\.cascade") as refused:
        load_settings(path, environment={})
    assert message in str(refused.value)


def test_a_route_to_the_deep_tier_cannot_cascade(tmp_path):
    path = tmp_path / "thalamus.yaml"
    path.write_text(f"{BASE}  routes: {{r: {{when: tools > 0, tier: deep, cascade: {{}}}}}}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="begins at the fast tier"):
        load_settings(path, environment={})


async def test_a_failing_difficulty_model_is_counted_each_time_and_logged_once():
    async with open_connections() as connections, AsyncExitStack() as closing:
        builder = Builder(connections, Background(), closing)
    with capture_logs() as logged:
        for _ in range(3):
            builder._report_guard(FellBack("reflex-v1", "ValueError", "onnx.py:7"))
        builder._report_guard(Overran("reflex-v1", 0.02))
    assert [line["event"] for line in logged] == ["difficulty model failed"]
    text = builder._metrics.render().decode()
    assert 'thalamus_decision_fallbacks_total{model="reflex-v1"} 3.0' in text
    assert 'thalamus_decision_overruns_total{model="reflex-v1"} 1.0' in text
