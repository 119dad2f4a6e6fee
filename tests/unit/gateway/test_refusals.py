"""Which refusals another backend may take back, in the words of many providers."""

import json

import pytest

from gateway.errors import UpstreamContentRefused, UpstreamContextExceeded, UpstreamRefused
from gateway.upstream.refusals import kind_of_refusal


def error(message: str, **more: object) -> bytes:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", **more}}).encode()


TOO_LONG = {
    "OpenAI": error("This model's maximum context length is 8192 tokens.", code="context_length_exceeded"),
    "vLLM": json.dumps({"object": "error", "code": 400, "type": "BadRequestError", "message":
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"}).encode(),
    "SGLang": error("The input (9000 tokens) is longer than the model's context length (8192 tokens)."),
    "Anthropic": json.dumps({"type": "error", "error": {"type": "invalid_request_error",
        "message": "prompt is too long: 210000 tokens > 200000 maximum"}}).encode(),
    "Gemini": error("The input token count (2000000) exceeds the maximum number of tokens allowed (1048576)."),
    "DashScope": error("Range of input length should be [1, 30720]"),
    "xAI": error("This model's maximum prompt length is 131072 but the request contains 140000 tokens."),
    "Zhipu": json.dumps({"error": {"code": "1261", "message": "Prompt 超长"}}).encode(),
    "Z.ai, relayed without its code": error("Prompt exceeds max length"),
    "llama.cpp": error("the request exceeds the available context size. try increasing the context size"),
}  # fmt: skip
FORBIDDEN = {
    "Azure": json.dumps({"error": {"code": "content_filter", "message": "The response was filtered",
        "innererror": {"code": "ResponsibleAIPolicyViolation"}}}).encode(),
    "OpenAI images": error("Your request was rejected", code="content_policy_violation"),
    "DeepSeek": error("Content Exists Risk"),
    "DashScope": error("Input data may contain inappropriate content.", code="data_inspection_failed"),
    "DashScope, newer": error(
        "<400> InternalError.Algo.DataInspectionFailed: Input text data may contain inappropriate content."
    ),
    "Moonshot": json.dumps({"error": {"type": "content_filter", "message": "high risk"}}).encode(),
    "Zhipu": json.dumps({"error": {"code": "1301", "message": "生成内容可能包含不安全或敏感内容"}}).encode(),
}  # fmt: skip
NEITHER = {
    "a wrong field": error("'temperature' must be at most 2.", param="temperature", code="invalid_value"),
    "a prompt that speaks of it": error("Unknown role 'content_filter' in messages[0]."),
    "words alone": b"upstream connect error",
    "nothing": b"",
    "a list": b"[1, 2]",
    "max_tokens": error("max_tokens is too large: 90000. This model supports at most 16384 completion tokens."),
    "not UTF-8": b"\xff\xfe",
    "deep": b'{"error":' * 5000,
}


@pytest.mark.parametrize("body", TOO_LONG.values(), ids=TOO_LONG)
def test_too_long_is_told(body):
    assert kind_of_refusal(body) is UpstreamContextExceeded


@pytest.mark.parametrize("body", FORBIDDEN.values(), ids=FORBIDDEN)
def test_forbidden_content_is_told(body):
    assert kind_of_refusal(body) is UpstreamContentRefused


@pytest.mark.parametrize("body", NEITHER.values(), ids=NEITHER)
def test_all_else_is_a_plain_refusal(body):
    assert kind_of_refusal(body) is UpstreamRefused
