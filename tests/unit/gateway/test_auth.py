"""Keys open the gateway, and only to whom and what they name."""

import hashlib

import pytest

from gateway.auth import LOCAL, Keyring
from gateway.errors import AuthenticationFailed, PermissionRefused
from gateway.settings import KeySettings

KEYS = [
    KeySettings(name="a", tenant="one", key="secret-a"),
    KeySettings(name="b", tenant="two", sha256=hashlib.sha256(b"secret-b").hexdigest(), models=("fast",)),
]


def test_without_keys_everybody_on_loopback_is_one_caller():
    assert Keyring([]).identify(None) is LOCAL
    assert Keyring([]).identify("Bearer anything") is LOCAL


@pytest.mark.parametrize(
    ("header", "name"), [("Bearer secret-a", "a"), ("bearer secret-b", "b"), ("Bearer  secret-a ", "a")]
)
def test_a_key_in_either_form_names_its_caller(header, name):
    assert Keyring(KEYS).identify(header).name == name


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic secret-a", "secret-a", "Bearer secret-c", "Bearer \udcff"]
)
def test_anything_else_is_refused(header):
    with pytest.raises(AuthenticationFailed) as refusal:
        Keyring(KEYS).identify(header)
    assert "secret" not in refusal.value.message


def test_a_key_may_ask_only_for_its_models():
    caller = Keyring(KEYS).identify("Bearer secret-b")
    caller.check_may_ask_for("fast")
    with pytest.raises(PermissionRefused, match="may use: fast"):
        caller.check_may_ask_for("deep")


def test_no_key_is_kept_in_clear():
    assert "secret-a" not in repr(vars(Keyring(KEYS)))
