"""What can be configured, with its defaults; every field's description is its documentation."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    IPvAnyNetwork,
    SecretStr,
    model_validator,
)

from gateway.cache.settings import CacheSettings, RedisSettings
from gateway.records.decision_log import DecisionLogSettings
from gateway.settings.base import Frozen, Name, Probability, Seconds
from gateway.settings.resilience import (
    AdmissionSettings,
    AttemptsSettings,
    BalanceSettings,
    BreakerSettings,
    HealthSettings,
    ReplicaSettings,
)
from gateway.settings.shadow import ShadowSettings
from gateway.settings.telemetry import RedactionSettings, TracingSettings
from gateway.show import Show
from router.policy import DEFAULT_MIN_GAIN, DIAL_WORDS, read_dial
from router.routes import RouteError, compile_rule
from router.types import Effort, Tier

Transport = Literal["http", "litellm", "embedded"]
RESERVED_MODELS = ("auto", *(tier.value for tier in Tier))


def _check_name(name: str) -> str:
    if name in RESERVED_MODELS:
        raise ValueError(f"{name!r} is a name of the gateway's own ({', '.join(RESERVED_MODELS)}); choose another")
    return name


OwnName = Annotated[Name, AfterValidator(_check_name)]


def _check_dial(written: Any) -> Any:
    """Read a notch, or a share of deep calls: `0.2`, or `deep_share: 0.2`."""
    if isinstance(written, dict) and list(written) == ["deep_share"]:
        written = written["deep_share"]
    dial = read_dial(str(written))
    if dial is None:
        raise ValueError(f"{written!r} is no dial; there are: {DIAL_WORDS}")
    return dial


Dial = Annotated[str, BeforeValidator(_check_dial)]
Dollars = Annotated[float, Field(ge=0)]


class AbilitiesSettings(Frozen):
    """What a backend can do; a request that needs more is never sent there."""

    tools: bool = Field(True, description="function calling")
    vision: bool = Field(False, description="image parts")
    audio: bool = Field(False, description="audio parts")
    json_schema: bool = Field(True, description="structured outputs (response_format)", alias="json")
    logprobs: bool = Field(True, description="token log-probabilities")

    model_config = ConfigDict(validate_by_name=False, validate_by_alias=True, serialize_by_alias=True)


class PriceSettings(Frozen):
    """Dollars per million tokens. Unset prices are looked up in litellm's price map by model id."""

    input: Dollars | None = Field(None, description="dollars per million prompt tokens")
    output: Dollars | None = Field(None, description="dollars per million completion tokens")
    cached: Dollars | None = Field(None, description="dollars per million prompt tokens read from cache")


class TimeoutSettings(Frozen):
    """Deadlines of one call to a backend, in seconds."""

    connect: Seconds = Field(5.0, description="until the connection stands")
    first_token: Seconds = Field(
        600.0, description="until a stream's first text, reasoning or tool call, or a plain answer's first byte"
    )
    idle: Seconds = Field(
        300.0,
        description="between two pieces of an answer; comments and empty events of a stream do not count, "
        "nor do blank lines ahead of a plain answer",
    )
    total: Seconds = Field(3600.0, description="for the whole call")


def _expand_replicas(written: object) -> object:
    """Read a list of URLs, of `{url: …}`, or of both."""
    if not isinstance(written, list):
        return written
    return [{"url": item} if isinstance(item, str) else item for item in written]


Replicas = Annotated[tuple[ReplicaSettings, ...], BeforeValidator(_expand_replicas)]
SOLE_REPLICA = "only"
"""What the server of a backend with one `url` is called."""


class BackendSettings(Frozen):
    """One served model at one address."""

    transport: Transport = Field(
        "http",
        description="http: speaks OpenAI's API · litellm: reached through litellm (Anthropic, Bedrock, Vertex …) · "
        "embedded: the model in the box",
    )
    url: HttpUrl | None = Field(None, description="base URL, with /v1 where the server has it")
    replicas: Replicas = Field(
        (), description="several equal servers in place of `url`: a list of base URLs, or of {url, name, weight, …}"
    )
    model: str = Field(min_length=1, description="model id as the backend knows it")
    family: str | None = Field(None, description="model family (deepseek-v3, kimi-k2 …); guessed from the model id")
    host: str | None = Field(None, description="what serves it (vllm, sglang, deepseek …); guessed from the URL")
    responses: Literal["auto", "native", "translate"] = Field(
        "auto",
        description="requests to /v1/responses: native passes them on as they are, translate makes chat completions "
        "of them, auto does what the dialect says",
    )
    key: SecretStr | None = Field(None, description="bearer token sent to the backend")
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="further headers sent to the backend")
    context_window: int = Field(128_000, ge=1, description="tokens of prompt and answer together")
    abilities: AbilitiesSettings = Field(default_factory=AbilitiesSettings)
    price: PriceSettings = Field(default_factory=PriceSettings)
    max_concurrency: int | None = Field(None, ge=1, description="calls in flight at once, of each replica; more wait")
    balance: BalanceSettings = Field(default_factory=BalanceSettings)
    breaker: BreakerSettings = Field(default_factory=BreakerSettings)
    health: HealthSettings | None = Field(None, description="ask each replica by itself if it is well; unset: never")
    timeouts: TimeoutSettings = Field(default_factory=TimeoutSettings)

    @model_validator(mode="after")
    def _check_address(self) -> BackendSettings:
        if self.url is not None and self.replicas:
            raise ValueError("give url or replicas, not both: one server is a url, several are replicas")
        if self.transport == "http" and self.url is None and not self.replicas:
            raise ValueError("a backend with transport http needs a url, such as http://127.0.0.1:8000/v1")
        if self.transport != "http" and self.responses == "native":
            raise ValueError("responses: native needs transport http; the others are asked over chat completions")
        if self.transport == "embedded" and (self.url is not None or self.replicas):
            raise ValueError("the embedded model has no url: remove it, or set transport to http")
        return self

    @model_validator(mode="after")
    def _check_replica_names(self) -> BackendSettings:
        names = [replica.shown_name for replica in self.replicas]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"replicas: {twice!r} is there twice; give each server one entry and a name of its own")
        return self

    def addresses(self) -> tuple[ReplicaSettings, ...]:
        """Give the servers behind the backend: the replicas, or the one at `url`; none for the model in the box."""
        if self.replicas or self.url is None:
            return self.replicas
        return (ReplicaSettings(url=self.url, name=SOLE_REPLICA),)

    def at(self, replica: ReplicaSettings) -> BackendSettings:
        """Give the settings as they are for one server."""
        return self.model_copy(
            update={
                "url": replica.url,
                "replicas": (),
                "key": replica.key or self.key,
                "headers": {**self.headers, **replica.headers},
            }
        )


class TargetSettings(Frozen):
    """A backend with a fixed effort; written short as the backend's name alone."""

    backend: Name
    effort: Effort | None = Field(None, description="none … max; unset leaves it to the decision")


def _expand_targets(written: object) -> object:
    """Read `name`, `{backend: name, effort: …}` or a list of either, the first being preferred."""
    listed = written if isinstance(written, list) else [written]
    return [{"backend": target} if isinstance(target, str) else target for target in listed]


Targets = Annotated[tuple[TargetSettings, ...], BeforeValidator(_expand_targets), Field(min_length=1)]


class TiersSettings(Frozen):
    """Which backends serve each tier, in fallback order."""

    fast: Targets
    deep: Targets
    fast_mini: Targets | None = Field(None, alias="fast-mini")
    deep_mini: Targets | None = Field(None, alias="deep-mini")

    model_config = ConfigDict(validate_by_name=False, validate_by_alias=True, serialize_by_alias=True)

    def items(self) -> Iterator[tuple[Tier, tuple[TargetSettings, ...]]]:
        """Yield the tiers that are configured."""
        yield Tier.FAST, self.fast
        yield Tier.DEEP, self.deep
        if self.fast_mini:
            yield Tier.FAST_MINI, self.fast_mini
        if self.deep_mini:
            yield Tier.DEEP_MINI, self.deep_mini


def _check_rule(written: str) -> str:
    try:
        compile_rule(written)
    except RouteError as error:
        raise ValueError(str(error)) from None
    return written


Rule = Annotated[str, AfterValidator(_check_rule)]


class AnswerCheckSettings(Frozen):
    """Fast first: what its answer must pass before the caller sees it, else the deep tier answers."""

    min_confidence: Probability = Field(
        0.8, description="least mean probability of a fast answer's tokens (geometric); 0 does not look at it"
    )
    self_check: bool = Field(False, description="ask the fast model, in a second short call, if its answer is right")
    allow_streams: bool = Field(False, description="hold streamed answers back until they are checked, as well")
    probe_tokens: Annotated[int, Field(ge=16)] | None = Field(
        None, description="longest fast answer that is waited for; unset leaves the length to the caller"
    )


class CascadeSettings(AnswerCheckSettings):
    """Fast first, for requests that difficulty would send to the fast tier; the deep tier if the answer fails."""

    when: Rule | None = Field(None, description="cascade where this holds, such as: difficulty > 0.2; unset: always")


class RouteSettings(Frozen):
    """A named route: when the rule holds, the tier is settled, the dial turned, or fast answers are checked."""

    when: Rule = Field(description='an expression such as: kind == "coding" and key =~ "ci-.*"')
    tier: Tier | None = Field(None, description="fast, deep, fast-mini or deep-mini")
    effort: Effort | None = Field(None, description="how hard the chosen target thinks")
    dial: Dial | None = Field(None, description="decide by this notch or share instead")
    cascade: AnswerCheckSettings | None = Field(None, description="check fast answers, and go deep if they fail")

    @model_validator(mode="after")
    def _check_does_something(self) -> RouteSettings:
        if self.tier is not None and self.dial is not None:
            raise ValueError("give one of tier and dial, not both")
        if self.tier is None and self.dial is None and self.cascade is None:
            raise ValueError("give tier, dial or cascade: the route does nothing")
        if self.cascade is not None and self.tier not in (None, Tier.FAST):
            raise ValueError("a cascade begins at the fast tier: set tier to fast, or leave it out")
        return self


class LimitSettings(Frozen):
    """So much in any stretch of time, of one tier or of all. At a tier's limit its mini serves, visibly; else 429."""

    tier: Tier | None = Field(None, description="the tier whose use is counted; unset: every request counts")
    per: Literal["key", "tenant"] = Field("key", description="who shares the limit: each key has its own, or a tenant")
    window_s: Annotated[float, Field(gt=0, le=32 * 86_400)] | None = Field(
        None, description="length of the sliding window in seconds: 60 is a minute, 604800 a week, 2592000 thirty days"
    )
    calls: Annotated[int, Field(ge=1)] | None = Field(None, description="requests per window")
    tokens: Annotated[int, Field(ge=1)] | None = Field(None, description="tokens in and out per window")
    dollars: Annotated[float, Field(gt=0)] | None = Field(None, description="dollars per window")
    concurrent: Annotated[int, Field(ge=1)] | None = Field(None, description="requests at once; has no window")

    @model_validator(mode="after")
    def _check_counts_something(self) -> LimitSettings:
        windowed = (self.calls, self.tokens, self.dollars)
        if self.concurrent is None and windowed == (None, None, None):
            raise ValueError("give at least one of calls, tokens, dollars and concurrent")
        if windowed != (None, None, None) and self.window_s is None:
            raise ValueError("calls, tokens and dollars need window_s, such as 60 for a minute")
        return self


class RoutingSettings(Frozen):
    """How the decision is made."""

    dial: Dial = Field(
        "balanced",
        description="how readily a request goes deep: cheap, balanced, quality, max, or a share of deep calls such as "
        "0.2 (also written deep_share: 0.2); a caller may choose by x-thalamus-dial",
    )
    bundle: str = Field(
        "reflex-v1",
        description="difficulty model: a shipped bundle's name or a folder's path; "
        "reflex-v1+cortex-v1: the second judges what the first is unsure of, off the event loop",
    )
    thresholds: dict[Dial, Probability] = Field(
        default_factory=dict,
        description="difficulty from which a notch or a share goes deep, in place of the bundle's own",
    )

    min_gain: dict[Dial, Probability] = Field(
        default_factory=lambda: dict(DEFAULT_MIN_GAIN),
        description="how much likelier a right answer must be from the deep tier for a notch or a share to go there",
    )
    routes: dict[Name, RouteSettings] = Field(
        default_factory=dict, description="named routes, asked in this order before difficulty is"
    )
    cascade: CascadeSettings | None = Field(None, description="check fast answers before they are shown; unset: never")
    budget_ms: Annotated[float, Field(gt=0)] = Field(
        5.0, description="an estimate that takes longer is counted in thalamus_decision_overruns"
    )
    second_budget_ms: Annotated[float, Field(gt=0)] = Field(
        25.0,
        description="how long a second bundle is waited for; after that the first one's estimate counts, and the delay "
        "shows in thalamus_decision_overruns",
    )
    at_limit: Literal["mini", "other", "refuse"] = Field(
        "mini", description="who serves at a limit: the tier's mini (else the other tier), the other tier, nobody (429)"
    )
    session_ttl_s: Seconds = Field(3600.0, description="how long a silent conversation is remembered")


class KeyBounds(Frozen):
    """Whose a key is, and what it may."""

    name: Name = Field(description="appears in logs; never the key itself")
    tenant: Name = Field("default", description="callers of one tenant share cache and budgets, others never")
    models: tuple[str, ...] | None = Field(None, description="model names this key may ask for; unset means all")
    tiers: tuple[Tier, ...] | None = Field(None, description="tiers that may serve it; unset means all")
    priority: Literal["high", "normal", "low"] = Field(
        "normal", description="who goes first in line; a request may lower its own by x-thalamus-priority"
    )
    dials: tuple[Dial, ...] | None = Field(None, description="notches and shares it may choose; unset means all")
    reasoning: Show | None = Field(
        None, description="how much of models' reasoning it may see: pass, count or hide; unset means reasoning.show"
    )
    limits: tuple[LimitSettings, ...] = Field(
        (), description="its own limits; one of the same unit, window and tier takes a general one's place"
    )
    expires: AwareDatetime | None = Field(None, description="when it ends, such as 2027-01-31T00:00:00Z; unset: never")
    networks: tuple[IPvAnyNetwork, ...] | None = Field(
        None, description="addresses that may use it, such as 10.0.0.0/8, as the gateway sees them; unset means all"
    )


class KeySettings(KeyBounds):
    """One caller's key. Give `key` itself (better from the environment) or its SHA-256 in hex."""

    key: SecretStr | None = Field(None, description="the bearer token")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="hex digest of the bearer token"
    )

    @model_validator(mode="after")
    def _check_one_form(self) -> KeySettings:
        if (self.key is None) == (self.sha256 is None):
            raise ValueError("give exactly one of key and sha256")
        if self.key is not None and not self.key.get_secret_value():
            raise ValueError("the key is empty: is its environment variable set?")
        return self


class KeyStoreSettings(Frozen):
    """Where the keys are that `thalamus keys` and /admin/keys make, besides those written under `keys`."""

    place: Literal["file", "redis"] = Field("file", description="file: `path` · redis: beside the cache, at redis.url")
    path: Path = Field(Path("thalamus-keys.json"), description="the file; it holds digests, never keys")
    refresh_s: Annotated[float, Field(gt=0, le=60)] = Field(
        1.0, description="how often each process looks for changes: a revoked key is refused after so many seconds"
    )

    @property
    def holds_any(self) -> bool:
        """Whether keys are asked for: they are in Redis, or the file exists."""
        return self.place == "redis" or self.path.exists()


class ServerSettings(Frozen):
    """Where the gateway listens and what it accepts."""

    host: str = Field("127.0.0.1", description="address to listen on; beyond loopback only with keys")
    port: int = Field(8080, ge=0, le=65535, description="0 takes a free port")
    workers: int = Field(
        1, ge=1, le=256, description="processes on the one port; they share state through Redis, if there is one"
    )
    max_body_bytes: int = Field(32 * 1024 * 1024, ge=1024, description="larger requests get 413")
    max_messages: int = Field(4096, ge=1, description="messages or input items of one request; more get 400")
    max_nesting: int = Field(128, ge=8, le=512, description="objects and lists inside each other; deeper gets 400")
    body_timeout_s: Seconds = Field(60.0, description="a request's body must be complete after this")
    notice_s: float = Field(
        5.0,
        ge=0,
        description="after SIGTERM, for how long new requests are still served: load balancers notice late that "
        "/readyz says no; a SIGINT (Ctrl-C) does not wait",
    )
    drain_s: Seconds = Field(600.0, description="after that, how long open answers may go on; then they are cut")
    keep_alive_s: Seconds | None = Field(
        10.0, description="a stream that is silent for so long gets a comment, before its first event as well"
    )
    resumable_streams: bool = Field(
        False,
        description="let callers ask, by x-thalamus-resumable: on, for streams that go on without them and can be "
        "followed again from any event, for an hour",
    )
    admin_key: SecretStr | None = Field(
        None, description="bearer token for /admin; without one, /admin answers callers on this machine only"
    )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class VaultSettings(Frozen):
    """Models' reasoning, kept for clients that drop it from the history, and put back where the model wants it."""

    enabled: bool = Field(True, description="keep reasoning and put it back; what must not be sent is always taken out")
    ttl_s: Seconds = Field(86_400.0, description="seconds for which the reasoning of a message is kept")
    max_value_bytes: int = Field(2**20, ge=1024, description="bytes of the longest reasoning kept, uncompressed")
    tenant_quota_bytes: int | None = Field(
        16 * 2**20, ge=1024, description="bytes that one tenant may fill; its own oldest make room; null: no quota"
    )


class ReasoningSettings(Frozen):
    """How much of models' reasoning callers see, and under which names."""

    show: Show = Field(
        Show.PASS,
        description="the most that callers see: pass (all of it), count (its length) or hide; "
        "a caller may ask for less by x-thalamus-reasoning",
    )
    both_names: bool = Field(False, description="give chat clients `reasoning` beside `reasoning_content`")


class LedgerSettings(Frozen):
    """Where it is booked what was used and spent, by day, tenant, key, tier and model."""

    place: Literal["auto", "sqlite", "redis", "off"] = Field(
        "auto", description="sqlite: `path` · redis: beside the cache, at redis.url · auto: redis where there is one"
    )
    path: Path = Field(Path("thalamus-usage.db"), description="the SQLite file; workers of one machine may share it")
    keep_days: int = Field(400, ge=1, le=4000, description="days after which what was booked is forgotten")


class TelemetrySettings(Frozen):
    """Logs and what may be in them."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal, else json")


class Settings(Frozen):
    """The whole configuration."""

    server: ServerSettings = Field(default_factory=ServerSettings)
    backends: dict[OwnName, BackendSettings] = Field(min_length=1)
    tiers: TiersSettings
    aliases: dict[Name, Name] = Field(
        default_factory=dict, description="further model names and what they stand for, such as gpt-4o: auto"
    )
    routing: RoutingSettings = Field(default_factory=RoutingSettings)
    attempts: AttemptsSettings = Field(default_factory=AttemptsSettings)
    admission: AdmissionSettings = Field(default_factory=AdmissionSettings)
    limits: tuple[LimitSettings, ...] = ()
    keys: tuple[KeySettings, ...] = ()
    key_store: KeyStoreSettings = Field(default_factory=KeyStoreSettings)
    cache: CacheSettings = Field(default_factory=CacheSettings)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    reasoning: ReasoningSettings = Field(default_factory=ReasoningSettings)
    vault: VaultSettings = Field(default_factory=VaultSettings)
    ledger: LedgerSettings = Field(default_factory=LedgerSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    tracing: TracingSettings = Field(default_factory=TracingSettings)
    redaction: RedactionSettings = Field(default_factory=RedactionSettings)
    decision_log: DecisionLogSettings = Field(default_factory=DecisionLogSettings)
    shadow: ShadowSettings = Field(default_factory=ShadowSettings)
    dialects: dict[str, Any] = Field(
        default_factory=dict, description="dialect rows of your own, in the form of docs/dialects.md"
    )
