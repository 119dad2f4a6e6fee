"""OpenAI-compatible backends over pooled HTTP/1.1. See docs/decisions/0002 for the choice of client."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from gateway.errors import (
    UpstreamError,
    UpstreamFailed,
    UpstreamMisconfigured,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.settings import BackendSettings
from gateway.upstream.base import NO_CONTEXT
from gateway.upstream.refusals import kind_of_refusal

MAX_ERROR_BYTES = 64 * 1024
"""As much of a refusal as is read."""

KEEPALIVE_S = 30.0
"""Idle connections are dropped after this; most servers keep them longer."""

_OUR_FAULT = {HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_PASSED_ON = {
    int(status): status
    for status in (
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    )
}
_ASKS_TO_WAIT = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")

ERROR_MAP: Mapping[type[BaseException], type[UpstreamError]] = {
    aiohttp.ClientConnectorError: UpstreamUnreachable,
    aiohttp.ConnectionTimeoutError: UpstreamUnreachable,
    aiohttp.ClientSSLError: UpstreamUnreachable,
    aiohttp.ServerFingerprintMismatch: UpstreamUnreachable,
    aiohttp.InvalidURL: UpstreamMisconfigured,
    aiohttp.ServerTimeoutError: UpstreamTimeout,
    TimeoutError: UpstreamTimeout,
    aiohttp.ClientError: UpstreamFailed,
    OSError: UpstreamFailed,
    # A body or header that does not parse as HTTP surfaces as one of these.
    aiohttp.http_exceptions.HttpProcessingError: UpstreamFailed,
    ValueError: UpstreamFailed,
}
"""Every exception that aiohttp raises for a call, and ours. The most specific base class decides."""

_WORDS: Mapping[type[UpstreamError], str] = {
    UpstreamUnreachable: "cannot be reached",
    UpstreamMisconfigured: "is misconfigured",
    UpstreamTimeout: "did not answer in time",
    UpstreamFailed: "broke off or sent what is not an answer",
}


_opened_anew: ContextVar[bool] = ContextVar("opened_anew", default=False)


class _Connector(aiohttp.TCPConnector):
    """A pool that says whether a call got a connection of its own or one that had been idle."""

    async def _create_connection(self, *arguments: Any, **options: Any) -> Any:
        _opened_anew.set(True)
        return await super()._create_connection(*arguments, **options)


@dataclass(frozen=True, slots=True)
class Connections:
    """What all HTTP backends share: a pool, and a way to a connection that is certainly new."""

    pooled: aiohttp.ClientSession
    fresh: aiohttp.ClientSession


@asynccontextmanager
async def open_connections() -> AsyncGenerator[Connections, None]:
    """Open the connections of HTTP backends, and close them at the end."""
    pooled = _Connector(limit=0, keepalive_timeout=KEEPALIVE_S, ttl_dns_cache=30)
    fresh = aiohttp.TCPConnector(limit=0, force_close=True, ttl_dns_cache=30)
    async with _session(pooled) as one, _session(fresh) as other:
        yield Connections(one, other)


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept"),
        trust_env=any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXY_VARIABLES),
    )


def translate(error: BaseException, backend: str) -> UpstreamError:
    """Map one of the client's exceptions to ours, without any detail that could carry a secret."""
    for base in type(error).__mro__:
        kind = ERROR_MAP.get(base)
        if kind is not None:
            return kind(f"Backend '{backend}' {_WORDS[kind]} ({type(error).__name__}).", backend=backend)
    raise error


class HttpUpstream:
    """One OpenAI-compatible backend."""

    def __init__(self, name: str, settings: BackendSettings, connections: Connections) -> None:
        if settings.url is None:
            raise ValueError(f"backend {name} has no url")
        self._name = name
        self._connections = connections
        self._timeouts = settings.timeouts
        self._base = str(settings.url).rstrip("/")
        self._urls: dict[str, URL] = {}
        self._headers = {"content-type": "application/json", "accept-encoding": "identity"}
        self._headers |= {key: value.get_secret_value() for key, value in settings.headers.items()}
        if settings.key is not None:
            self._headers["authorization"] = f"Bearer {settings.key.get_secret_value()}"
        self._timeout = aiohttp.ClientTimeout(
            total=None,  # kept, as are all other deadlines, by whoever makes the call
            sock_connect=settings.timeouts.connect,
        )

    async def start(self) -> None:
        """Nothing to make ready: connections open with the first call."""

    async def close(self) -> None:
        """Nothing to let go of: the pool is the caller's."""

    async def open(self, path: str, body: bytes, context: Mapping[str, str] = NO_CONTEXT) -> HttpAnswer:
        """Send the body and wait for a 200; raise an UpstreamError for all else."""
        headers = {**self._headers, **context} if context else self._headers
        try:
            response = await self._post(path, body, headers)
        except tuple(ERROR_MAP) as error:
            raise translate(error, self._name) from _untraced(error)
        if response.status == HTTPStatus.OK:
            return HttpAnswer(self._name, response)
        try:
            async with asyncio.timeout(self._timeouts.idle):
                refusal = await _read_up_to(MAX_ERROR_BYTES, response.content)
        except tuple(ERROR_MAP) as error:
            raise translate(error, self._name) from _untraced(error)
        finally:
            response.close()
        raise _refusal(self._name, response, refusal)

    async def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = URL(f"{self._base}/{path}")
        _opened_anew.set(False)
        try:
            return await self._send(self._connections.pooled, url, body, headers)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if _opened_anew.get():
                raise
        # The connection had been idle and the server had dropped it: nothing was answered, so that asking again is
        # safe. The rest of the pool may be as stale, after a restart of the server or a NAT's timeout.
        return await self._send(self._connections.fresh, url, body, headers)

    async def _send(
        self, session: aiohttp.ClientSession, url: URL, body: bytes, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        return await session.post(url, data=body, headers=headers, timeout=self._timeout, allow_redirects=False)


class HttpAnswer:
    """An answer being read from a connection."""

    def __init__(self, backend: str, response: aiohttp.ClientResponse) -> None:
        self._backend = backend
        self._response = response
        self.headers = response.headers

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Read the body piece by piece. No timer runs for it: deadlines are the caller's."""
        content = self._response.content
        try:
            while chunk := await content.readany():
                yield chunk
        except tuple(ERROR_MAP) as error:
            raise translate(error, self._backend) from _untraced(error)

    def abort(self, error: UpstreamError) -> None:
        """Make the reader raise this error."""
        self._response.content.set_exception(error)

    async def close(self) -> None:
        """Return the connection to the pool if the answer was read to its end, else cut it."""
        if self._response.content.is_eof():
            self._response.release()
        else:
            self._response.close()


def _untraced(error: BaseException) -> BaseException:
    """Give an error without its traceback, whose frames hold the response that holds it."""
    return error.with_traceback(None)


async def _read_up_to(limit: int, content: aiohttp.StreamReader) -> bytes:
    found = b""
    while len(found) < limit and (chunk := await content.read(limit - len(found))):
        found += chunk
    return found


def _refusal(backend: str, response: aiohttp.ClientResponse, body: bytes) -> UpstreamError:
    """Give the error that a status other than 200 means."""
    status = response.status
    error: UpstreamError
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        error = UpstreamRateLimited(f"Backend '{backend}' is rate-limiting.", backend=backend)
    elif status in _OUR_FAULT:
        error = UpstreamMisconfigured(
            f"Backend '{backend}' refused the gateway's key, address or model id ({status}).", backend=backend
        )
    elif status == HTTPStatus.REQUEST_TIMEOUT:
        error = UpstreamTimeout(f"Backend '{backend}' gave up waiting (408).", backend=backend)
    elif HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        error = kind_of_refusal(body)(
            f"Backend '{backend}' refused the request ({status}).",
            backend=backend,
            status=_PASSED_ON.get(status, HTTPStatus.BAD_REQUEST),
            answer=_openai_error(body),
        )
    else:
        error = UpstreamFailed(f"Backend '{backend}' failed ({status}).", backend=backend)
    if status in _ASKS_TO_WAIT and (retry_after := response.headers.get("retry-after")):
        error.headers["retry-after"] = retry_after
    return error


class _ErrorObject(msgspec.Struct):
    message: str


class _ErrorBody(msgspec.Struct):
    error: _ErrorObject


def _openai_error(body: bytes) -> bytes | None:
    """Give the body back if it is an error in OpenAI's shape."""
    try:
        msgspec.json.decode(body, type=_ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return body
