"""Bulk scoring: one line out for each line in, in order."""

import json

import pytest

from classifiers.scoring import score_lines


def test_each_line_gets_one_line_in_order_with_its_id():
    lines = [
        json.dumps({"id": at, "prompt": prompt})
        for at, prompt in enumerate(["hi", "证明：存在无穷多个模 4 余 3 的素数。", "hello"])
    ]
    scored = [json.loads(line) for line in score_lines(lines)]
    assert [each["id"] for each in scored] == [0, 1, 2]
    assert set(scored[0]) == {"id", "difficulty", "p_fast", "p_deep", "kind", "effort", "tier"}
    assert [each["tier"] for each in scored] == ["fast", "deep", "fast"]
    assert scored[0]["effort"] == "none"


@pytest.mark.parametrize("line", ["nonsense", "[]", "{}", '{"messages": [1]}', '{"messages": 3}'])
def test_a_line_that_cannot_be_read_is_answered_in_its_place(line: str):
    scored = [json.loads(each) for each in score_lines(['{"prompt": "hi"}', line, '{"prompt": "hi"}'])]
    assert "error" in scored[1]
    assert scored[0] == scored[2]


def test_messages_are_read_as_chats_are_sent():
    messages = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
    ]
    assert json.loads(next(score_lines([json.dumps({"messages": messages})])))["tier"] == "fast"


def test_workers_give_the_same_lines_as_one_process():
    lines = [json.dumps({"prompt": f"What is {at} times {at + 1}?"}) for at in range(1600)]
    assert list(score_lines(lines, workers=2)) == list(score_lines(lines))


def test_an_unknown_dial_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match="balanced"):
        next(score_lines(['{"prompt": "hi"}'], dial="turbo"))
