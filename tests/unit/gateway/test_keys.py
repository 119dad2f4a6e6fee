"""Keys that are made while the gateway runs: kept as digests, changed one at a time, in a file or a real Redis."""

import asyncio
import contextlib
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.auth import LOCAL, Keyring
from gateway.cache.settings import RedisSettings
from gateway.errors import AuthenticationFailed, PermissionRefused, StateUnavailable
from gateway.keys import FileKeyStore, KeyRefused, KeyStoreUnavailable, ManagedKeys, issue, revoke, rotate
from gateway.keys.redis_store import open_redis_key_store
from gateway.settings import KeyBounds, KeySettings
from tests.unit.gateway.redis_server import running_redis


@pytest.fixture(scope="module")
def redis():
    with running_redis() as server:
        yield server


@contextlib.asynccontextmanager
async def stores(where, redis, path: Path, count: int = 1):
    """Give several stores at one place, as several processes have them."""
    if where == "file":
        yield [FileKeyStore(path) for _ in range(count)]
        return
    settings = RedisSettings.model_validate({"url": redis.url, "key_prefix": f"test:{path}:".replace("{", "")})
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_redis_key_store(settings)) for _ in range(count)]


both = pytest.mark.parametrize("where", ["file", "redis"])


def made(records, *written):
    """Issue keys and give the records, and the tokens by name."""
    tokens = {}
    for fields in written:
        records, _, tokens[fields["name"]] = issue(records, KeyBounds(**fields))
    return records, tokens


def adding(**fields):
    def change(records):
        records, _, token = issue(records, KeyBounds(**fields))
        return records, token

    return change


@both
def test_no_change_is_lost_when_many_are_made_at_once(where, redis, tmp_path):
    async def run():
        async with stores(where, redis, tmp_path / "keys.json", 4) as places:
            await asyncio.gather(*(places[n % 4].change(adding(name=f"k{n}")) for n in range(12)))
            records = await places[0].load()
            assert sorted(record.name for record in records) == sorted(f"k{n}" for n in range(12))

    asyncio.run(run())


@both
def test_a_running_process_takes_changes_over_and_writes_when_keys_were_used(where, redis, tmp_path):
    async def run():
        async with stores(where, redis, tmp_path / "keys.json", 2) as (mine, others):
            token = await others.change(adding(name="a", tenant="t"))
            managed = ManagedKeys(mine, refresh_s=0.02)
            async with managed.kept():
                keyring = Keyring([], (), managed)
                assert keyring.identify(f"Bearer {token}").tenant == "t"
                with pytest.raises(AuthenticationFailed):
                    keyring.identify(None)
                await others.change(lambda records: revoke(records, "a"))
                deadline = time.monotonic() + 3
                while managed.records[0].revoked is None:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.01)
                with pytest.raises(AuthenticationFailed):
                    keyring.identify(f"Bearer {token}")
            assert (await others.load())[0].last_used is not None

    asyncio.run(run())


def test_the_file_is_its_owners_alone_and_holds_no_token(tmp_path):
    path = tmp_path / "keys.json"
    token = asyncio.run(FileKeyStore(path).change(adding(name="a")))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token not in path.read_text()
    assert token[-12:] not in path.read_text()


def test_damaged_or_vanished_records_close_nobody_out_and_let_nobody_in(tmp_path):
    path = tmp_path / "keys.json"

    async def run():
        store = FileKeyStore(path)
        token = await store.change(adding(name="a"))
        managed = ManagedKeys(store, 1)
        await managed.refresh()
        keyring = Keyring([], (), managed)
        path.write_text('[{"id": "k"')
        await managed.refresh()
        assert keyring.identify(f"Bearer {token}").name == "a"
        path.unlink()
        await managed.refresh()
        assert keyring.identify(f"Bearer {token}").name == "a"
        with pytest.raises(AuthenticationFailed):
            keyring.identify("Bearer other")
        path.write_text("nonsense")
        with pytest.raises(KeyStoreUnavailable, match=r"keys\.json: not a list of keys"):
            await store.load()
        fresh = ManagedKeys(store, 1)
        await fresh.refresh()
        with pytest.raises(StateUnavailable):
            Keyring([], (), fresh).identify("Bearer anything")

    asyncio.run(run())


def test_without_a_file_everybody_on_loopback_is_one_caller(tmp_path):
    managed = ManagedKeys(FileKeyStore(tmp_path / "keys.json"), 1)
    asyncio.run(managed.refresh())
    assert Keyring([], (), managed).identify(None) is LOCAL


def keyring_of(records):
    managed = ManagedKeys(FileKeyStore(Path("unused")), 1)
    managed.records, managed.version, managed.are_known = records, 1, True
    return Keyring([], (), managed)


def test_after_a_rotation_both_tokens_work_for_the_overlap_and_then_the_new_one():
    records, tokens = made([], {"name": "a"})
    records, _, new = rotate(records, "a", timedelta(seconds=60))
    assert {keyring_of(records).identify(f"Bearer {one}").name for one in (tokens["a"], new)} == {"a"}
    records, _, newest = rotate(records, "a", timedelta(0))
    for old in (tokens["a"], new):
        with pytest.raises(AuthenticationFailed):
            keyring_of(records).identify(f"Bearer {old}")
    assert keyring_of(records).identify(f"Bearer {newest}").name == "a"


def test_an_old_tokens_end_is_never_put_off():
    records, _ = made([], {"name": "a"})
    records, _, _ = rotate(records, "a", timedelta(seconds=10))
    records, record, _ = rotate(records, "a", timedelta(days=9))
    assert record.secrets[0].until - datetime.now(UTC) < timedelta(seconds=11)
    assert len(record.secrets) == 3


def test_expired_keys_open_nothing():
    past = datetime.now(UTC) - timedelta(seconds=1)
    records, tokens = made([], {"name": "a", "expires": past})
    with pytest.raises(AuthenticationFailed, match="expired"):
        keyring_of(records).identify(f"Bearer {tokens['a']}")
    configured = KeySettings(name="b", key="secret", expires=past)
    with pytest.raises(AuthenticationFailed, match="expired"):
        Keyring([configured]).identify("Bearer secret")


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd00::7", True),
        ("11.1.2.3", False),
        (None, False),
        ("x", False),
    ],
)
def test_a_key_may_be_bound_to_networks(address, may):
    records, tokens = made([], {"name": "a", "networks": ["10.0.0.0/8", "fd00::/8"]})
    with contextlib.nullcontext() if may else pytest.raises(PermissionRefused):
        assert keyring_of(records).identify(f"Bearer {tokens['a']}", None, address).name == "a"


def test_what_cannot_be_changed_says_why():
    records, _ = made([], {"name": "a"})
    with pytest.raises(KeyRefused, match="there is a key 'a' already"):
        made(records, {"name": "a"})
    with pytest.raises(KeyRefused, match="there is no key 'b'"):
        revoke(records, "b")
    records, _ = revoke(records, "a")
    with pytest.raises(KeyRefused, match="is revoked"):
        rotate(records, "a", timedelta(0))
    records, tokens = made(records, {"name": "a"})
    assert keyring_of(records).identify(f"Bearer {tokens['a']}").name == "a", "the name is free again"


def test_what_is_shown_of_a_key_holds_no_digest():
    records, tokens = made([], {"name": "a", "tenant": "acme"})
    shown = str(records[0].shown())
    assert records[0].secrets[0].sha256 not in shown
    assert tokens["a"] not in shown
    assert tokens["a"][-4:] in shown
