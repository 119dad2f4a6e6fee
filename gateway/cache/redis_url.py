"""From a URL to a Redis client: a single server, one behind Sentinels, or a cluster; plain or TLS; with ACLs.

| URL | reaches |
|---|---|
| `redis://[user:password@]host[:6379][/db]`, `rediss://…`, `unix:///path` | one server |
| `redis+sentinel://[user:password@]a:26379,b:26379/service[/db]`, `rediss+sentinel://…` | the master of a service |
| `redis+cluster://[user:password@]a:6379,b:6379`, `rediss+cluster://…` | a cluster, found through these nodes |

`rediss` is TLS. Certificates are named in the query, as redis-py names them:
`?ssl_ca_certs=/path/ca.pem&ssl_certfile=/path/cert.pem&ssl_keyfile=/path/key.pem`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from redis.asyncio import ConnectionPool, Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

RedisClient = Redis | RedisCluster
Topology = Literal["single", "sentinel", "cluster"]

CONNECT_TIMEOUT_S = 1.0
"""For a new connection. Longer than any request waits: connecting goes on without it, for those that follow."""

_DEFAULT_PORT: dict[Topology, int] = {"single": 6379, "sentinel": 26379, "cluster": 6379}
_SCHEMES: dict[str, tuple[str, Topology]] = {
    "redis": ("redis", "single"),
    "rediss": ("rediss", "single"),
    "unix": ("unix", "single"),
    "redis+sentinel": ("redis", "sentinel"),
    "rediss+sentinel": ("rediss", "sentinel"),
    "redis+cluster": ("redis", "cluster"),
    "rediss+cluster": ("rediss", "cluster"),
}
_TLS_OPTIONS = frozenset(
    {"ssl_ca_certs", "ssl_ca_data", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}
)
_SENTINEL_LOGIN = {"sentinel_username": "username", "sentinel_password": "password"}
_OPTIONS = _TLS_OPTIONS | _SENTINEL_LOGIN.keys() | {"client_name"}


class InvalidRedisUrl(ValueError):
    """The URL cannot be understood. The message quotes nothing of it, since any part may be a secret."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A URL as understood.

    Attributes:
        nodes: host and port of the Sentinels or of the cluster's first nodes; empty for a single server.
        service: the name under which Sentinels know the master.
        options: redis-py's arguments for a connection; for a single server its address is among them.
        sentinel_options: the same for connections to Sentinels.
    """

    topology: Topology
    tls: bool
    nodes: tuple[tuple[str, int], ...] = ()
    service: str | None = None
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    sentinel_options: dict[str, Any] = field(default_factory=dict, repr=False)


def read_redis_url(url: str) -> RedisAddress:
    """Understand a URL of one of the forms above.

    Raises:
        InvalidRedisUrl: it has none of them, or carries an option that is not known.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _SCHEMES:
        raise InvalidRedisUrl(f"must begin with one of {', '.join(f'{name}://' for name in _SCHEMES)}")
    plain_scheme, topology = _SCHEMES[scheme]
    try:
        parts = urlsplit(f"{plain_scheme}://{rest}")
        _check_options(parts.query)
        if topology == "single":
            return _read_single(plain_scheme, parts.netloc, parts.path, parts.query)
        return _read_several(plain_scheme, topology, parts.netloc, parts.path, parts.query)
    except InvalidRedisUrl:
        raise
    except ValueError:
        # Its message may quote a password with a "/" or "#" in it, which then looks like a port.
        raise InvalidRedisUrl("has a host, port or option that cannot be read; is the password %-encoded?") from None


@asynccontextmanager
async def connected(
    address: RedisAddress, *, read_timeout_s: float, max_connections: int
) -> AsyncIterator[RedisClient]:
    """Give a client that never retries on its own, and close it. Nothing is opened until its first command."""
    options: dict[str, Any] = {
        **address.options,
        "socket_timeout": read_timeout_s,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
    }
    # Off: they cost a round trip on every new connection, and lengthen our deadlines when they arrive.
    maintenance = MaintNotificationsConfig(enabled=False)
    async with AsyncExitStack() as stack:
        client: RedisClient
        if address.topology == "cluster":
            client = RedisCluster(
                startup_nodes=[ClusterNode(host, port) for host, port in address.nodes],
                ssl=address.tls,
                max_connections=max_connections,
                maint_notifications_config=maintenance,
                **options,
            )
        elif address.topology == "sentinel":
            if address.tls:
                options["ssl"] = True
            shared = {name: value for name, value in options.items() if name.startswith(("socket_", "ssl", "retry"))}
            sentinel = Sentinel(  # type: ignore[no-untyped-call]  # its constructor carries no annotations
                address.nodes, sentinel_kwargs={**shared, **address.sentinel_options}
            )
            stack.push_async_callback(sentinel.aclose)
            options["maint_notifications_config"] = maintenance
            client = sentinel.master_for(address.service or "", max_connections=max_connections, **options)
        else:
            pool = ConnectionPool(max_connections=max_connections, maint_notifications_config=maintenance, **options)
            client = Redis.from_pool(pool)
        stack.push_async_callback(client.aclose)
        yield client


def _check_options(query: str) -> None:
    if parse_qs(query, keep_blank_values=True).keys() - _OPTIONS:
        raise InvalidRedisUrl(f"has an option that is not known; known are {', '.join(sorted(_OPTIONS))}")


def _read_single(scheme: str, netloc: str, path: str, query: str) -> RedisAddress:
    if "," in netloc.rpartition("@")[2]:
        raise InvalidRedisUrl("names several hosts: write redis+cluster:// or redis+sentinel://")
    if scheme != "unix":
        _check_database(path)
    options = dict(parse_url(f"{scheme}://{netloc}{path}?{query}"))
    return RedisAddress("single", tls=scheme == "rediss", options=options)


def _read_several(scheme: str, topology: Topology, netloc: str, path: str, query: str) -> RedisAddress:
    """Read a URL with several hosts by reading each as a URL of its own."""
    identity, at, hosts = netloc.rpartition("@")
    service, database = _read_path(topology, path)
    nodes: list[tuple[str, int]] = []
    options: dict[str, Any] = {}
    for host in hosts.split(","):
        options = dict(parse_url(f"{scheme}://{identity}{at}{host}{database}?{query}"))
        nodes.append((options.pop("host", "localhost"), options.pop("port", _DEFAULT_PORT[topology])))
    options.pop("connection_class", None)
    sentinel_options = {login: options.pop(name) for name, login in _SENTINEL_LOGIN.items() if name in options}
    return RedisAddress(topology, scheme == "rediss", tuple(nodes), service, options, sentinel_options)


def _read_path(topology: Topology, path: str) -> tuple[str | None, str]:
    """Split `/service/db` of a Sentinel URL; a cluster has neither."""
    if topology == "cluster":
        if path.strip("/"):
            raise InvalidRedisUrl("a cluster has only database 0: leave the path out")
        return None, ""
    service, _, database = path.removeprefix("/").partition("/")
    if not service:
        raise InvalidRedisUrl("must name the service after the Sentinels, such as /mymaster")
    _check_database(database)
    return service, f"/{database}"


def _check_database(path: str) -> None:
    database = path.strip("/")
    if database and not database.isdecimal():
        raise InvalidRedisUrl("has a database that is not a number; is the password %-encoded?")
