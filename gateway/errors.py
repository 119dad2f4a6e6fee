"""Every failure the gateway can answer with, and the one shape in which clients see it.

```
ThalamusError
├── RequestError                400  the caller's request cannot be served as it stands
│   ├── MalformedBody           400  not JSON, not UTF-8, nested too deeply
│   ├── InvalidField            400  a field is missing, of the wrong type or out of range
│   ├── UnknownModel            404  no tier, backend or alias has that name
│   ├── NotFound                404  no such path
│   ├── DecisionNotFound        404  no such decision of the caller's tenant is remembered
│   ├── ResponseNotFound        404  no such response is kept for the caller's tenant
│   ├── PreviousResponseNotFound 400 the response to go on from, or one before it, is not kept
│   ├── MethodNotAllowed        405
│   ├── BodyTooLarge            413
│   └── ThreadUnsupported       400  the request counts on a server that holds its conversation
├── BodyTimeout                 408  the body did not arrive in time: trying again may work
├── AuthenticationFailed        401
├── PermissionRefused           403
├── LimitReached                429  the key's limit for the tier is reached and nobody stands in
├── RateLimited                 429  too many requests or tokens for the time, or at once
├── BudgetExceeded              429  the budget is spent
├── NoTarget                    400  no configured backend can do what the request needs
│   └── PromptTooLong           400  all that is lacking is room
├── UpstreamError               502  a backend did not deliver
│   ├── UpstreamRefused          =   the backend refused the request itself: its 4xx is passed on
│   │   ├── UpstreamContextExceeded  it is too long for this backend; a larger one may take it
│   │   └── UpstreamContentRefused   this provider's content policy forbids it; another's may not
│   ├── UpstreamMisconfigured   502  the backend refused our key, address or model id
│   ├── UpstreamRateLimited     429
│   ├── UpstreamFailed          502  5xx, a reset, a broken answer
│   ├── UpstreamUnreachable     503  no connection
│   ├── UpstreamTimeout         504
│   ├── UpstreamUnavailable     503  not called: known to fail, to be drained or to want a rest
│   └── UpstreamBusy            429  not called: as many calls as it takes are in flight, and its queue is full
├── Overloaded                  429  the gateway has more to do than it can do in time
├── StateUnavailable            503  the store of responses does not answer
├── Draining                    503  shutting down: go elsewhere
├── Cancelled                   409  the caller, or another of its tenant, has stopped it
└── InternalError               500  a defect of the gateway
```

Each class states its HTTP status, its code, whether another backend may be tried, and the level at which it is
logged. OpenAI's clients retry by themselves on 408, 409, 429 and 5xx, and on nothing else.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import ClassVar, Self

import msgspec


class ThalamusError(Exception):
    """Base of all failures that a client may see. The message is safe to show: no prompt, no secret."""

    status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR
    type: ClassVar[str] = "api_error"
    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False
    log_level: ClassVar[str] = "warning"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers: dict[str, str] = {}

    def again(self) -> Self:
        """Give the same error for another who is told of it: with headers of its own, and not raised yet."""
        error = type(self).__new__(type(self), *self.args)
        error.__dict__.update(self.__dict__, headers=dict(self.headers))
        return error

    def body(self) -> bytes:
        """Return the response body in OpenAI's error shape, as JSON."""
        return msgspec.json.encode(self.as_dict())

    def as_dict(self) -> dict[str, object]:
        """Return OpenAI's error object, ready for JSON."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class RequestError(ThalamusError):
    """The caller's request cannot be served as it stands; sending it again will not help."""

    status = HTTPStatus.BAD_REQUEST
    type = "invalid_request_error"
    code = "invalid_request"
    log_level = "info"


class MalformedBody(RequestError):
    """The body is not a JSON object in UTF-8, or is nested too deeply to read."""

    code = "invalid_json"


class InvalidField(RequestError):
    """One field is missing, of the wrong type or out of range; `param` names it."""

    code = "invalid_value"


class UnknownModel(RequestError):
    """No tier, backend or alias carries the requested name."""

    status = HTTPStatus.NOT_FOUND
    code = "model_not_found"


class NotFound(RequestError):
    """No such path."""

    status = HTTPStatus.NOT_FOUND
    code = "unknown_url"


class DecisionNotFound(RequestError):
    """No such decision is remembered for the caller's tenant: it never was, or is too long ago."""

    status = HTTPStatus.NOT_FOUND
    code = "decision_not_found"


class ResponseNotFound(RequestError):
    """No such response is kept for the caller's tenant: it never was, was deleted, or its time is over."""

    status = HTTPStatus.NOT_FOUND
    code = "response_not_found"


class PreviousResponseNotFound(RequestError):
    """The response that a request goes on from, or one that came before it, is not kept."""

    code = "previous_response_not_found"


class MethodNotAllowed(RequestError):
    """The path exists, the method does not."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method_not_allowed"


class BodyTooLarge(RequestError):
    """The body exceeds `server.max_body_bytes`."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "request_too_large"


class ThreadUnsupported(RequestError):
    """The request counts on a server that holds the conversation; the SDKs go on without one when they read the code.

    To serve it as if it were whole would lose all that was said before.
    """

    code = "thread_unsupported_request"


class BodyTimeout(ThalamusError):
    """The body was not complete within `server.body_timeout_s`; the request itself may be fine."""

    status = HTTPStatus.REQUEST_TIMEOUT
    type = "invalid_request_error"
    code = "request_timeout"
    log_level = "info"


class AuthenticationFailed(ThalamusError):
    """No key, or none that is known."""

    status = HTTPStatus.UNAUTHORIZED
    type = "authentication_error"
    code = "invalid_api_key"
    log_level = "info"


class PermissionRefused(ThalamusError):
    """The key is known and may not do this."""

    status = HTTPStatus.FORBIDDEN
    type = "permission_error"
    code = "permission_denied"
    log_level = "info"


class LimitReached(ThalamusError):
    """The key's limit is reached, and the policy names nobody to stand in."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    type = "rate_limit_error"
    code = "limit_reached"
    log_level = "info"


class RateLimited(ThalamusError):
    """Too many requests or tokens for the time, too many at once, or one that alone asks for too much."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    log_level = "info"


class BudgetExceeded(ThalamusError):
    """The dollars that the key or its tenant may spend are spent, or set aside for what is under way."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    type = "insufficient_quota"
    code = "budget_exceeded"
    log_level = "info"


class NoTarget(RequestError):
    """No configured backend can do what the request needs (vision, tools, its length …)."""

    code = "no_capable_backend"


class PromptTooLong(NoTarget):
    """Every backend that may serve the request lacks the room for it, and nothing else."""

    code = "context_length_exceeded"


class UpstreamError(ThalamusError):
    """A backend did not deliver. `backend` is its configured name."""

    status = HTTPStatus.BAD_GATEWAY
    code = "upstream_error"
    retryable = True

    def __init__(self, message: str, *, backend: str) -> None:
        super().__init__(message)
        self.backend = backend

    @property
    def retry_after_s(self) -> float | None:
        """What the backend's Retry-After asks for, in seconds from now; None if it said nothing readable."""
        return read_retry_after(self.headers.get("retry-after"))


class UpstreamRefused(UpstreamError):
    """The backend found fault with the request itself; its status and its words are passed on."""

    type = "invalid_request_error"
    code = "upstream_refused"
    retryable = False
    log_level = "info"

    def __init__(self, message: str, *, backend: str, status: HTTPStatus, answer: bytes | None = None) -> None:
        super().__init__(message, backend=backend)
        self.status = status
        self.answer = answer

    def body(self) -> bytes:
        """Return the backend's own error body where it has OpenAI's shape, else ours."""
        return self.answer if self.answer is not None else super().body()


class UpstreamContextExceeded(UpstreamRefused):
    """The request is too long for this backend; one with a larger context window may take it."""

    code = "context_length_exceeded"
    retryable = True


class UpstreamContentRefused(UpstreamRefused):
    """The provider's content policy forbids the request or its answer; another provider's may not."""

    code = "content_policy_violation"
    retryable = True


class UpstreamMisconfigured(UpstreamError):
    """The backend refused our key, our address or our model id: the operator's to mend, not the caller's."""

    code = "upstream_misconfigured"
    log_level = "error"


class UpstreamRateLimited(UpstreamError):
    """The backend has had enough of us for now."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    type = "rate_limit_error"
    code = "upstream_rate_limited"


class UpstreamFailed(UpstreamError):
    """The backend answered 5xx, broke the connection or sent what is not an answer."""

    code = "upstream_failed"


class UpstreamUnreachable(UpstreamError):
    """No connection to the backend."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    """The backend took longer than its configured deadline."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    code = "upstream_timeout"


class UpstreamUnavailable(UpstreamError):
    """Nobody was called: the backend's replicas fail, are drained, or want to be left alone for a while."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "upstream_unavailable"


class UpstreamBusy(UpstreamError):
    """Nobody was called: the backend takes no more calls at once, and there is no place left to wait for one."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    type = "rate_limit_error"
    code = "upstream_busy"
    log_level = "info"


class Overloaded(ThalamusError):
    """The gateway itself has more to do than it can do in time; Retry-After says when to try again."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    type = "rate_limit_error"
    code = "overloaded"
    log_level = "info"


class StateUnavailable(ThalamusError):
    """The store of responses does not answer; a later try may find it back."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "state_unavailable"


class Draining(ThalamusError):
    """The gateway is shutting down; another replica, or a later try, will serve."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "draining"
    log_level = "info"


class Cancelled(ThalamusError):
    """Somebody of the caller's tenant has stopped what the caller still follows."""

    status = HTTPStatus.CONFLICT
    type = "invalid_request_error"
    code = "cancelled"
    log_level = "info"


class InternalError(ThalamusError):
    """A defect of the gateway; the log has the traceback, the client does not."""

    log_level = "error"

    def __init__(self) -> None:
        super().__init__("The gateway met an unexpected condition. The operator's log tells more.")


def read_retry_after(written: str | None) -> float | None:
    """Read a Retry-After header: seconds, or an HTTP date (RFC 9110, 10.2.3). None where it says neither."""
    if not written:
        return None
    try:
        return max(0.0, float(written))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(written).timestamp() - time.time())
    except ValueError:
        return None
