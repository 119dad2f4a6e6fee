"""The cache's and Redis' settings: safe by default, checked, and silent about secrets."""

import base64
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from gateway.cache.redis_url import InvalidRedisUrl, RedisAddress, read_redis_url
from gateway.cache.settings import CacheSettings, RedisSettings, decode_key


def test_by_default_nothing_is_kept_and_no_redis_used():
    assert CacheSettings().mode == "off"
    assert RedisSettings().url is None
    assert RedisSettings().deadline_ms == 25


@pytest.mark.parametrize("model", [CacheSettings, RedisSettings])
def test_every_setting_is_described_frozen_and_no_other_is_known(model: type[CacheSettings | RedisSettings]):
    assert all(field.description for field in model.model_fields.values())
    with pytest.raises(ValidationError, match="Extra inputs"):
        model(unknown=1)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(model(), next(iter(model.model_fields)), None)


@pytest.mark.parametrize("size", [16, 24, 32])
def test_an_encryption_key_is_base64_of_an_aes_key(size: int):
    written = SecretStr(base64.urlsafe_b64encode(b"\xff" * size).decode())
    settings = CacheSettings(encryption_key=written)
    assert settings.encryption_key is not None
    assert decode_key(settings.encryption_key) == b"\xff" * size
    assert written.get_secret_value() not in repr(settings)


@pytest.mark.parametrize("written", ["", "hunter2", "a" * 30, base64.b64encode(b"x" * 15).decode(), "ä" * 16])
def test_any_other_encryption_key_is_refused_without_showing_it(written: str):
    with pytest.raises(ValidationError, match=r"encryption_key[\s\S]*base64") as error:
        CacheSettings(encryption_key=written)
    assert not written or written not in str(error.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h/1", RedisAddress("single", tls=False)),
        ("rediss://u:p@h:1/0?ssl_ca_certs=/ca.pem", RedisAddress("single", tls=True)),
        ("unix:///run/redis.sock", RedisAddress("single", tls=False)),
        (
            "redis+sentinel://u:p@a:1,b,[::1]:2/main/3",
            RedisAddress("sentinel", tls=False, nodes=(("a", 1), ("b", 26379), ("::1", 2)), service="main"),
        ),
        ("rediss+sentinel://a/main", RedisAddress("sentinel", tls=True, nodes=(("a", 26379),), service="main")),
        ("redis+cluster://a,b:7000", RedisAddress("cluster", tls=False, nodes=(("a", 6379), ("b", 7000)))),
        ("rediss+cluster://a", RedisAddress("cluster", tls=True, nodes=(("a", 6379),))),
    ],
)
def test_a_url_is_understood(url: str, expected: RedisAddress):
    address = read_redis_url(url)
    got = (address.topology, address.tls, address.nodes, address.service)
    assert got == (expected.topology, expected.tls, expected.nodes, expected.service)
    assert RedisSettings(url=url).url is not None


@pytest.mark.parametrize("prefix", ["redis://", "redis+sentinel://", "redis+cluster://"])
def test_identity_and_options_reach_the_client_decoded(prefix: str):
    path = "/main/2" if "sentinel" in prefix else "" if "cluster" in prefix else "/2"
    address = read_redis_url(f"{prefix}user%40x:p%2Fw%23@h:1{path}?client_name=gw&sentinel_password=s")
    expected: dict[str, Any] = {"username": "user@x", "password": "p/w#", "client_name": "gw"}
    assert expected.items() <= address.options.items()
    assert address.options.get("db", 0) == (0 if "cluster" in prefix else 2)
    if "sentinel" in prefix:
        assert address.sentinel_options == {"password": "s"}
    assert "p/w#" not in repr(address)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://h", "must begin with one of redis://"),
        ("h:6379", "must begin with one of redis://"),
        ("redis://a,b", "several hosts"),
        ("redis://h/main", "not a number"),
        ("redis://h:port", "cannot be read"),
        ("redis://:pass/word@h", "not a number; is the password %-encoded"),
        ("redis://:pass?word@h", "option that is not known"),
        ("redis://:pass#word@h", "cannot be read"),
        ("redis://[::1/0", "cannot be read"),
        ("redis+sentinel://h", "must name the service"),
        ("redis+sentinel://h/main/x", "not a number"),
        ("redis+cluster://h/1", "only database 0"),
        ("redis://h?socket_timeout=5", "option that is not known"),
        ("rediss://h?ssl_ca_cert=x", "option that is not known; known are .*ssl_ca_certs"),
    ],
)
def test_a_url_that_is_not_understood_is_refused_without_showing_it(url: str, message: str):
    with pytest.raises(InvalidRedisUrl, match=message):
        read_redis_url(url)
    with pytest.raises(ValidationError) as error:
        RedisSettings(url=url)
    assert "pass" not in str(error.value).replace("password", "")
    assert "word@" not in str(error.value)


def test_a_key_prefix_must_not_move_the_hash_tag():
    with pytest.raises(ValidationError, match="key_prefix"):
        RedisSettings(key_prefix="app{1}:")
