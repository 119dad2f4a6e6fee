"""What an operator can say about failing, busy and numerous backends."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, HttpUrl, SecretStr

from gateway.settings.base import Frozen, Name, Probability, Seconds
from router.types import Tier


class ReplicaSettings(Frozen):
    """One of several servers of the same model; written short as its URL alone."""

    url: HttpUrl = Field(description="base URL, with /v1 where the server has it")
    name: Name | None = Field(None, description="what it is called in metrics and by `thalamus backends`; host:port")
    weight: Annotated[float, Field(gt=0, le=1000)] = Field(1.0, description="its share of the load against the others'")
    key: SecretStr | None = Field(None, description="bearer token, where it is not the backend's")
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="headers besides the backend's")
    max_concurrency: int | None = Field(None, ge=1, description="calls in flight at once; unset: the backend's")

    @property
    def shown_name(self) -> str:
        """The name given, else host and port."""
        return self.name or f"{self.url.host}:{self.url.port}"


class BalanceSettings(Frozen):
    """Which of a backend's replicas serves a request."""

    by: Literal["least-loaded", "latency", "weighted"] = Field(
        "least-loaded",
        description="least-loaded: fewest calls and tokens in flight · latency: the quickest to its first token, "
        "times its load · weighted: by weight alone",
    )
    affinity: Literal["session", "prefix", "off"] = Field(
        "session",
        description="whose requests stay with one replica, so that it finds their beginning in its KV cache: "
        "session: each conversation's · prefix: all that begin with the same tools and system prompt · off: nobody's",
    )
    overload: Annotated[float, Field(ge=1, le=100)] = Field(
        1.25, description="affinity yields where a replica has this many times its share of the calls in flight"
    )
    session_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")] | None = Field(
        None,
        description="header that names each call's conversation to the backend, by an opaque hash: for a scheduler "
        "behind its address that keeps sessions together; unset: none",
    )


class BreakerSettings(Frozen):
    """When a replica is left alone for a while: after failures, and after 429."""

    enabled: bool = Field(True, description="false: failures are counted and nobody is left alone for them")
    failures: int = Field(5, ge=1, description="failures in a row that open the breaker")
    share: Probability = Field(0.5, description="share of failures among the last calls that opens it")
    window: int = Field(20, ge=2, le=1000, description="calls that the share is taken of")
    open_s: Seconds = Field(5.0, description="until a request probes it; doubled each time the probe fails")
    most_open_s: Seconds = Field(60.0, description="and no longer than this")
    cooldown_s: Annotated[float, Field(ge=0)] = Field(
        1.0, description="left alone this long after a 429 without a Retry-After"
    )
    most_cooldown_s: Annotated[float, Field(ge=0)] = Field(
        60.0, description="longest Retry-After that is honoured; 0 does not leave it alone after a 429"
    )


class HealthSettings(Frozen):
    """Asking each replica if it is well, beside the traffic."""

    path: Annotated[str, Field(pattern=r"^/")] = Field(
        "/health", description="path on the replica's host that answers 2xx while it is well"
    )
    every_s: Seconds = Field(10.0, description="seconds between two questions")
    timeout_s: Seconds = Field(2.0, description="no answer after this is a bad one")
    failures: int = Field(2, ge=1, description="bad answers in a row that take it out; one good one takes it back")


class HedgeSettings(Frozen):
    """A second call where the first is unusually slow to begin; whichever is useful first is kept, the other is cut."""

    tiers: tuple[Tier, ...] = Field((Tier.FAST,), description="tiers whose calls are hedged")
    quantile: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="hedge what takes longer to begin than this share of the backend's recent answers"
    )
    share: Probability = Field(0.05, description="largest share of the requests that get a second call")
    least_s: Seconds = Field(0.02, description="never hedge sooner than this")


class AttemptsSettings(Frozen):
    """Calls to backends that one request may cost, until one of them gives a first useful byte."""

    most: int = Field(
        12,
        ge=1,
        le=100,
        description="calls, over all backends: at 30 % failing calls, one request in two million fails",
    )
    deadline_s: Seconds = Field(3600.0, description="for the whole request: waiting, calls and stream")
    backoff_s: Annotated[float, Field(ge=0, le=60)] = Field(
        0.05, description="longest pause, drawn at random, once everybody has been asked; doubled each time"
    )
    most_backoff_s: Annotated[float, Field(ge=0, le=60)] = Field(1.0, description="longest pause that it doubles to")
    patience_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        5.0, description="all pauses of one request together; a Retry-After is waited for if it fits into this"
    )
    retry_share: Annotated[float, Field(ge=0, le=10)] = Field(
        0.5, description="further calls to backends that were asked already, as a share of the requests"
    )
    retries_per_s: Annotated[float, Field(ge=0)] = Field(10.0, description="and so many a second in any case")
    hedge: HedgeSettings | None = Field(None, description="second calls against slow beginnings; unset: none")
    continue_streams: bool = Field(
        False,
        description="let another backend go on with an answer that broke off, from the text so far, where its family "
        "can; costs a look into every event",
    )


class TierAdmissionSettings(Frozen):
    """How much of one tier there is."""

    concurrency: int = Field(ge=1, description="requests in the tier at once, in this process; more wait")


class AdmissionSettings(Frozen):
    """Waiting in line, and turning away, where there is more to do than can be done at once."""

    tiers: dict[Tier, TierAdmissionSettings] = Field(
        default_factory=dict, description="bounds of tiers, besides those of their backends (max_concurrency)"
    )
    queue: int = Field(256, ge=0, description="requests that may wait for one backend, and for one tier")
    wait_s: Seconds = Field(60.0, description="longest wait; then 429")
    downgrade_after_s: Seconds = Field(
        5.0, description="expected wait from which a tier is busy, so that requests go elsewhere, visibly (reason=load)"
    )
    most_lag_s: Seconds = Field(
        0.5,
        description="lag of the event loop from which requests of low priority get 429; those of normal priority do at "
        "twice as much, those of high at four times",
    )
