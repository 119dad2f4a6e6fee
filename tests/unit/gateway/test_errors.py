"""Every failure has one status, one code and OpenAI's shape; every exception of the HTTP client has its place."""

import inspect
import json

import aiohttp
import pytest

from gateway import errors
from gateway.errors import ThalamusError, UpstreamError, UpstreamRefused
from gateway.upstream.http import ERROR_MAP, translate


def every(base: type) -> list[type]:
    return [base, *(deeper for inner in base.__subclasses__() for deeper in every(inner))]


def make(kind: type[ThalamusError]) -> ThalamusError:
    if kind is errors.InternalError:
        return kind()
    if issubclass(kind, UpstreamRefused):
        return kind("x", backend="b", status=400)
    if issubclass(kind, UpstreamError):
        return kind("x", backend="b")
    return kind("x")


@pytest.mark.parametrize("kind", every(ThalamusError), ids=lambda kind: kind.__name__)
def test_every_error_has_openais_shape(kind):
    error = make(kind)
    body = json.loads(error.body())
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert 400 <= int(error.status) < 600


@pytest.mark.parametrize("kind", every(ThalamusError), ids=lambda kind: kind.__name__)
def test_who_is_told_of_an_error_too_has_it_for_himself(kind):
    error = make(kind)
    error.headers["retry-after"] = "3"
    again = error.again()
    again.headers["x-thalamus-backend"] = "swift"
    assert type(again) is kind
    assert (again.status, again.body(), str(again)) == (error.status, error.body(), str(error))
    assert error.headers == {"retry-after": "3"}


@pytest.mark.parametrize("kind", every(ThalamusError), ids=lambda kind: kind.__name__)
def test_the_tree_is_drawn_in_the_docstring(kind):
    assert kind.__name__ in errors.__doc__


def test_codes_tell_errors_apart():
    # That a prompt fits nowhere has the one code that clients know, whether the router finds it or a backend says it.
    doubles = (ThalamusError, errors.InternalError, errors.UpstreamContextExceeded)
    codes = [kind.code for kind in every(ThalamusError) if kind not in doubles]
    assert errors.UpstreamContextExceeded.code == errors.PromptTooLong.code
    assert len(codes) == len(set(codes))


def test_what_clients_retry_is_what_may_work_on_a_second_try():
    """OpenAI's clients retry on 408, 409, 429 and 5xx; a request that is itself at fault must not be among them."""
    for kind in every(errors.RequestError):
        assert kind.status not in (408, 409, 429)
        assert kind.status < 500


AIOHTTP_ERRORS = sorted(
    (
        kind
        for module in (aiohttp.client_exceptions, aiohttp.http_exceptions)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and not kind.__name__.startswith("WS")  # no websockets are spoken
    ),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize(
    "kind", [*AIOHTTP_ERRORS, TimeoutError, ConnectionResetError, BrokenPipeError, OSError, ValueError]
)
def test_every_exception_of_the_http_client_is_mapped(kind):
    error = kind.__new__(kind)  # their constructors differ, and the map looks at the class alone
    assert isinstance(translate(error, "b"), UpstreamError)


def test_an_exception_of_ours_is_not_taken_for_the_backends():
    with pytest.raises(KeyError):
        translate(KeyError("defect"), "b")


def test_the_most_specific_base_decides():
    assert ERROR_MAP[aiohttp.ClientError] is errors.UpstreamFailed
    refused = aiohttp.ClientConnectorError.__new__(aiohttp.ClientConnectorError)
    assert isinstance(translate(refused, "b"), errors.UpstreamUnreachable)
