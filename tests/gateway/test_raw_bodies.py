"""Nothing that a client can send breaks the gateway: hostile bodies, damaged ones, random ones, half ones."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.standin import RunningStandin
from gateway.wire.chat import ChatRequest, CompletionRequest
from gateway.wire.embeddings import EmbeddingRequest
from gateway.wire.messages import CountTokensRequest, MessagesRequest
from gateway.wire.responses import ResponsesRequest
from tests.gateway.serving import RunningGateway, running_gateway, settings_over

MAX_BODY_BYTES = 1024 * 1024
DEPTH = 100_000
EXAMPLES = settings(
    max_examples=150, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)

CHAT = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}
VALID: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/route": CHAT,
    "/v1/completions": {"model": "auto", "prompt": "Hello"},
    "/v1/embeddings": {"model": "swift", "input": "Hello"},
    "/v1/messages": CHAT | {"max_tokens": 50},
    "/v1/messages/count_tokens": CHAT,
    "/v1/responses": {"model": "auto", "input": "Hello"},
}
SHAPES = {
    "/v1/chat/completions": ChatRequest,
    "/v1/route": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/v1/embeddings": EmbeddingRequest,
    "/v1/messages": MessagesRequest,
    "/v1/messages/count_tokens": CountTokensRequest,
    "/v1/responses": ResponsesRequest,
}
PATHS = list(VALID)
TAKES_MESSAGES = [path for path in PATHS if "messages" in VALID[path]]


@pytest.fixture(scope="module")
def gateway(session_standin: RunningStandin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that takes small bodies only. It is checked after the last test: it lives, and met no defect."""
    session_standin.reset()
    allowed = settings_over(session_standin.url, server={"max_body_bytes": MAX_BODY_BYTES})
    with running_gateway(allowed, tmp_path_factory.mktemp("raw")) as running:
        yield running
        with running.client() as client:
            assert client.post("/v1/chat/completions", json=CHAT).status_code == 200


@pytest.fixture(scope="module")
def client(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with gateway.client(timeout=30) as client:
        yield client


def test_every_path_that_takes_a_body_is_tried_here(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    taking = {path for path, methods in paths.items() if "requestBody" in methods.get("post", {})}
    # The operator's own paths and feedback, which has no answer without a decision, are in test_raw_other_bodies.
    assert set(PATHS) == {path for path in taking if not path.startswith("/admin/")} - {"/v1/feedback"}


def check_answer(answer: httpx.Response) -> None:
    """Fail unless an answer is a success, or an error of the client's in the shape that its API has."""
    assert answer.status_code < 500, answer.text
    if answer.status_code == 200:
        assert answer.headers["content-type"].startswith(("application/json", "text/event-stream"))
        return
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    error = told["error"]
    # A wrong method never reaches an endpoint, so that its error has the one shape that all paths share.
    if answer.url.path.startswith("/v1/messages") and answer.status_code != 405:
        assert told["type"] == "error"
    else:
        assert set(told) == {"error"}
        assert set(error) == {"message", "type", "param", "code"}
        assert all(error[name] is None or isinstance(error[name], str) for name in error)
    assert error["message"]
    assert error["type"]


def valid(path: str, **changes: Any) -> bytes:
    return json.dumps(VALID[path] | changes).encode()


def with_raw(path: str, field: str, raw: bytes) -> bytes:
    """Give a valid body with one more field, or one in place of another, whose JSON is written by hand."""
    rest = {name: value for name, value in VALID[path].items() if name != field}
    return json.dumps(rest).encode()[:-1] + b', "' + field.encode() + b'": ' + raw + b"}"


MALFORMED = {
    "nothing": b"",
    "white space": b" \n\t ",
    "null": b"null",
    "a list": b"[]",
    "a string": b'"hello"',
    "a number": b"1",
    "cut in a key": b'{"mod',
    "cut in a string": b'{"model": "au',
    "cut before the end": b'{"model": "auto", "messages": []',
    "two values": b'{"model": "auto"} {"model": "auto"}',
    "invalid UTF-8": b'{"model": "\xff\xfe"}',
    "invalid UTF-8 where nobody looks": b'{"model": "auto", "messages": [], "x": "\xc3\x28"}',
    "UTF-16": '{"model": "auto"}'.encode("utf-16"),
    "a raw NUL": b'{"model": "au\x00to"}',
    "only NULs": bytes(100),
    "NaN": b'{"model": "auto", "temperature": NaN}',
    "Infinity": b'{"model": "auto", "temperature": -Infinity}',
    "compressed": gzip.compress(b'{"model": "auto"}'),
    "a form": b"model=auto&prompt=hello",
    "deep lists": b"[" * DEPTH,
    "deep closed lists": b"[" * DEPTH + b"]" * DEPTH,
    "deep objects": b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_body_is_a_bad_request(client: httpx.Client, path: str, body: bytes) -> None:
    answer = client.post(path, content=body)
    check_answer(answer)
    assert answer.status_code == 400


DEEP_LISTS = b"[" * DEPTH + b"]" * DEPTH
ODD_VALUES = {
    "a deep list": DEEP_LISTS,
    "a deep object": b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
    "a lone high surrogate": rb'"\ud800"',
    "a lone low surrogate": rb'"a\udc00b"',
    "surrogates the wrong way round": rb'"\udc00\ud800"',
    "an escaped NUL": rb'"\u0000"',
    "a huge integer": b"9" * 5000,
    "a huge negative integer": b"-" + b"9" * 400,
    "a number beyond floats": b"1e999",
    "a number close to zero": b"1e-999",
    "a long fraction": b"0." + b"1" * 5000,
    "2 to the 63rd": b"9223372036854775808",
    "a boolean": b"true",
    "null": b"null",
    "an empty string": b'""',
    "a long string": b'"' + b"x" * 300_000 + b'"',
    "an empty list": b"[]",
    "an empty object": b"{}",
    "nulls": b"[null, null]",
    "a huge integer inside": b'{"a": [' + b"9" * 40 + b"]}",
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("raw", ODD_VALUES.values(), ids=ODD_VALUES)
def test_an_odd_value_in_any_field_is_served_or_refused(client: httpx.Client, path: str, raw: bytes) -> None:
    for field in (*SHAPES[path].__struct_fields__, "unheard_of"):
        check_answer(client.post(path, content=with_raw(path, field, raw)))


@pytest.mark.parametrize(
    "message",
    [
        rb'{"role": "user", "content": "\ud800"}',
        rb'{"role": "user", "content": [{"type": "text", "text": "\ud83d"}]}',
        rb'{"role": "user", "content": "a", "name": "\udfff"}',
        rb'{"role": "user", "content": "\u0000 and \u0000"}',
        b'{"role": "user", "content": [' + DEEP_LISTS + b"]}",
        b'{"role": "user", "content": [{"type": "image_url", "image_url": {"url": ' + DEEP_LISTS + b"}}]}",
        b'{"role": "user", "content": [{"type": "input_audio", "input_audio": 7}]}',
        b'{"role": "assistant", "tool_calls": [{"id": null, "function": {"name": null, "arguments": {}}}]}',
        b'{"role": "user"}',
        b'{"role": "user", "content": []}',
        b'{"role": "tool", "content": "nobody asked"}',
        b'{"role": "user", "content": "a", "content": "b"}',
        b'{"role": "user", "role": "system", "content": "a"}',
        b"null",
        b"[]",
    ],
)
@pytest.mark.parametrize("path", TAKES_MESSAGES)
def test_an_odd_message_is_served_or_refused(client: httpx.Client, path: str, message: bytes) -> None:
    check_answer(client.post(path, content=with_raw(path, "messages", b"[" + message + b"]")))


@pytest.mark.parametrize("path", PATHS)
def test_of_a_key_that_comes_twice_the_last_counts_everywhere(
    client: httpx.Client, path: str, standin: RunningStandin
) -> None:
    """Two readers that disagree are a way around every rule."""
    answer = client.post(path, content=b'{"model": "nobody", ' + valid(path)[1:])
    assert answer.status_code == 200, answer.text
    answer = client.post(path, content=valid(path)[:-1] + b', "model": "nobody"}')
    check_answer(answer)
    assert answer.status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_a_body_over_the_limit_is_refused_however_it_comes(client: httpx.Client, path: str) -> None:
    large = valid(path, user="x" * 10_000_000)

    def chunks() -> Iterator[bytes]:
        yield from (large[start : start + 65_536] for start in range(0, len(large), 65_536))

    for content in (large, chunks()):
        answer = client.post(path, content=content)
        check_answer(answer)
        assert answer.status_code == 413


@pytest.mark.parametrize("path", PATHS)
def test_a_chunked_body_is_read_whole(client: httpx.Client, path: str) -> None:
    body = valid(path)
    answer = client.post(path, content=iter([body[:1], b"", body[1:7], body[7:]]))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("authorization", b"Bearer \xff\xfe"),
        ("authorization", b"Bearer"),
        ("authorization", b""),
        ("content-type", b"text/plain; charset=utf-7"),
        ("content-encoding", b"gzip"),
        ("x-thalamus-route", b"\xe6\xb7\xb1"),
        ("x-thalamus-dial", b"9" * 10_000),
        ("x-thalamus-route", b"deep, fast"),
        ("expect", b"100-continue"),
        ("accept", b"application/xml"),
        ("x-request-id", b"a" * 30_000),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_an_odd_header_is_served_or_refused(client: httpx.Client, path: str, header: str, value: bytes) -> None:
    check_answer(client.post(path, content=valid(path), headers=[(header.encode(), value)]))


@pytest.mark.parametrize("url", ["/v1", "/v1/chat", "/v1/models/%00", "/v1/models/%ff%fe", "/v1/models/" + "x" * 9000])
def test_an_unknown_path_is_not_found(client: httpx.Client, url: str) -> None:
    answer = client.get(url)
    check_answer(answer)
    assert answer.status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_method_is_not_allowed(client: httpx.Client, path: str, method: str) -> None:
    answer = client.request(method, path)
    check_answer(answer)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63, -(2**64), 10**400, 1e308, -0.0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None), max_size=20)
    | st.sampled_from(["auto", "user", "assistant", "tool", "text", "image_url", "function", "json_schema"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "function", "name", "arguments", "id", "\ud800", ""]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("path", PATHS)
@EXAMPLES
@given(data=st.data())
def test_random_values_in_known_fields_are_served_or_refused(client: httpx.Client, path: str, data: Any) -> None:
    fields = st.sampled_from(SHAPES[path].__struct_fields__)
    check_answer(client.post(path, content=valid(path, **data.draw(st.dictionaries(fields, JSON_VALUES, max_size=3)))))


@EXAMPLES
@given(
    messages=st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["system", "user", "assistant", "tool"])},
            optional=dict.fromkeys(("content", "tool_calls", "tool_call_id", "name", "refusal"), JSON_VALUES),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_random_messages_are_served_or_refused(client: httpx.Client, messages: list[Any]) -> None:
    for path in TAKES_MESSAGES:
        check_answer(client.post(path, content=valid(path, messages=messages)))


@pytest.mark.parametrize("path", PATHS)
@EXAMPLES
@given(data=st.data())
def test_damaged_bodies_are_served_or_refused(client: httpx.Client, path: str, data: Any) -> None:
    """A few bytes of a good body are overwritten, or it is cut."""
    body = bytearray(valid(path, stream=data.draw(st.booleans()), user="é"))
    for _ in range(data.draw(st.integers(0, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    check_answer(client.post(path, content=bytes(body[: data.draw(st.integers(0, len(body)))] or body)))


@pytest.mark.parametrize("path", PATHS)
@EXAMPLES
@given(body=st.binary(max_size=200))
def test_random_bytes_are_a_bad_request(client: httpx.Client, path: str, body: bytes) -> None:
    answer = client.post(path, content=body)
    check_answer(answer)
    assert answer.status_code == 400


def request_head(path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: test", "content-type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


HALF_REQUESTS = {
    "half a request line": b"POST /v1/chat/comp",
    "half the headers": b"POST /v1/chat/completions HTTP/1.1\r\nhost: te",
    "headers only": request_head("/v1/chat/completions", "content-length: 500"),
    "half a body": request_head("/v1/chat/completions", "content-length: 500") + b'{"model": "au',
    "half a chunk": request_head("/v1/chat/completions", "transfer-encoding: chunked") + b'20\r\n{"model',
    "chunks without an end": request_head("/v1/embeddings", "transfer-encoding: chunked") + b"2\r\n{}\r\n",
}


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("sent", HALF_REQUESTS.values(), ids=HALF_REQUESTS)
def test_a_client_that_leaves_in_mid_request_leaves_nothing_behind(
    gateway: RunningGateway, standin: RunningStandin, sent: bytes, reset: bool
) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall(sent)
        time.sleep(0.05)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with gateway.client() as client:
        assert client.get("/healthz").status_code == 200
        _wait_until_nothing_is_in_flight(client)
    assert standin.requests() == []


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"GET / HTTP/9.9\r\n\r\n",
        b"nonsense\r\n\r\n",
        request_head("/v1/route", "content-length: -5"),
        request_head("/v1/route", "content-length: 5, 6"),
        request_head("/v1/route", "content-length: 2", "transfer-encoding: chunked") + b"0\r\n\r\n",
        request_head("/v1/route", "transfer-encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n",
        request_head("/v1/route", "bad header: \x01"),
        request_head("/v1/route", *(f"x-{number}: y" for number in range(5000))),
    ],
    ids=["TLS", "an unknown version", "nonsense", "a negative length", "two lengths", "a length and chunks",
         "a bad chunk size", "a bad header", "5,000 headers"],
)  # fmt: skip
def test_what_is_not_http_is_refused_and_the_line_closed(gateway: RunningGateway, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert not said or said.split(b" ", 2)[1].startswith(b"4"), said
    with gateway.client() as client:
        assert client.get("/healthz").status_code == 200


def _wait_until_nothing_is_in_flight(client: httpx.Client) -> None:
    deadline = time.monotonic() + 2
    while _in_flight(client):
        assert time.monotonic() < deadline, "a request is still in flight"
        time.sleep(0.02)


def _in_flight(client: httpx.Client) -> float:
    lines = client.get("/metrics").text.splitlines()
    (line,) = [line for line in lines if line.startswith("thalamus_in_flight_requests ")]
    return float(line.rpartition(" ")[2])
