"""What an operator's client can send breaks the gateway as little as what callers send; nor does feedback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings import KeyBounds
from gateway.standin import RunningStandin
from gateway.wire.feedback import FeedbackRequest
from tests.gateway.serving import running_gateway, settings_over
from tests.gateway.test_raw_bodies import EXAMPLES, JSON_VALUES, MALFORMED, ODD_VALUES, check_answer

ADMIN_KEY = "sk-admin-0123456789"
CREATE, ROTATE, FEEDBACK = "/admin/keys", "/admin/keys/steady/rotate", "/v1/feedback"
FIELDS = {
    CREATE: tuple(KeyBounds.model_fields),
    ROTATE: ("overlap_s",),
    FEEDBACK: FeedbackRequest.__struct_fields__,
}
PATHS = tuple(FIELDS)


@pytest.fixture(scope="module")
def client(session_standin: RunningStandin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client with the operator's key. The gateway lives after the last test, and keeps to its first key."""
    session_standin.reset()
    folder = tmp_path_factory.mktemp("raw-admin")
    settings = settings_over(
        session_standin.url, server={"admin_key": ADMIN_KEY}, key_store={"path": str(folder / "keys.json")}
    )
    keys = {"admin": ADMIN_KEY}

    def sign(request: httpx.Request) -> httpx.Request:
        request.headers["authorization"] = f"Bearer {keys['admin' if '/admin/' in request.url.path else 'steady']}"
        return request

    with running_gateway(settings, folder) as running, running.client(timeout=30, auth=sign) as client:
        made = client.post(CREATE, json={"name": "steady"})
        assert made.status_code == 201
        keys["steady"] = made.json()["key"]
        yield client
        assert "steady" in {key["name"] for key in client.get(CREATE).json()["keys"]}


def check(answer: httpx.Response) -> None:
    if answer.status_code != 201:
        check_answer(answer)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_body_is_refused(client: httpx.Client, path: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    check(answer)
    # A key is rotated without a body too.
    assert answer.status_code == 400 or (path == ROTATE and body in (b"", b"null"))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("raw", ODD_VALUES.values(), ids=ODD_VALUES)
def test_an_odd_value_in_any_field_is_served_or_refused(client: httpx.Client, path: str, raw: bytes) -> None:
    for field in (*FIELDS[path], "unheard_of"):
        body = b'{"%b": %b}' % (field.encode(), raw)
        check(client.post(path, content=body, headers={"content-type": "application/json"}))


@pytest.mark.parametrize("path", PATHS)
@EXAMPLES
@given(data=st.data())
def test_random_values_in_known_fields_are_served_or_refused(client: httpx.Client, path: str, data: Any) -> None:
    body = data.draw(st.dictionaries(st.sampled_from(FIELDS[path]), JSON_VALUES, max_size=3))
    check(client.post(path, content=json.dumps(body), headers={"content-type": "application/json"}))


@pytest.mark.parametrize("which", ["%00", "%ff%fe", "x" * 9000, "..%2f..%2fetc", "%E6%B7%B1"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_an_unheard_of_key_is_not_found(client: httpx.Client, which: str, method: str) -> None:
    answer = client.request(method, f"/admin/keys/{which}" + ("/rotate" if method == "POST" else ""))
    check(answer)
    assert answer.status_code == 404
