"""Where traces go and which of them, and what is taken out of texts before they are written down."""

from __future__ import annotations

import os

from pydantic import Field, HttpUrl, SecretStr, field_validator

from gateway.redaction import BUILT_IN, PatternRefused, Rule, check_pattern
from gateway.settings.base import Frozen, Name, Probability, Seconds

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class TracingSettings(Frozen):
    """Traces, sent by OTLP over HTTP. What is unset here is read from OpenTelemetry's own environment variables."""

    enabled: bool | None = Field(
        None,
        description="needs the extra `otel`; unset: on where OTEL_EXPORTER_OTLP_ENDPOINT or "
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set",
    )
    endpoint: HttpUrl | None = Field(
        None, description="the collector's address without /v1/traces; unset: the environment's, else localhost:4318"
    )
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="sent to the collector, such as its key")
    service_name: str | None = Field(None, description="unset: OTEL_SERVICE_NAME, else thalamus")
    ratio: Probability = Field(
        0.1, description="share of ordinary traces that is kept, by trace id; a caller's own choice goes before it"
    )
    keep_errors: bool = Field(True, description="keep every trace of a request that failed or had to be retried")
    slow_s: Seconds = Field(
        10.0, description="keep every trace whose first token (or whole answer, where none streams) took this long"
    )
    trust_parent: bool = Field(
        True,
        description="go on with the caller's trace and obey its sampled flag; false: begin an own one that links to it",
    )
    propagate: bool = Field(True, description="send traceparent and tracestate to HTTP backends")
    content: bool = Field(
        False, description="SENDS PROMPTS TO THE COLLECTOR: what was asked, as an event, after `redaction`"
    )
    max_spans: int = Field(128, ge=8, le=4096, description="of one trace; what is beyond is dropped and counted")
    max_queue_spans: int = Field(8192, ge=64, description="waiting to be sent; what is beyond is dropped and counted")
    export_every_s: Seconds = Field(1.0, description="spans are collected for so long, then sent together")
    flush_s: Seconds = Field(3.0, description="how long the end of the process may wait for the last spans")

    def is_on(self) -> bool:
        """Whether there shall be traces, by these settings and the environment."""
        if self.enabled is not None:
            return self.enabled
        if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return False
        return os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "none" and any(map(os.environ.get, _ENDPOINTS))


class RedactionSettings(Frozen):
    """What is taken out of prompts wherever content is logged: `decision_log.content`, `tracing.content`."""

    rules: tuple[Rule, ...] = Field(BUILT_IN, description="built-in rules that apply")
    patterns: dict[Name, str] = Field(
        default_factory=dict,
        description="rules of your own: a name and a regular expression of bounded length ({0,40} instead of *), so "
        "that no text can hold it up",
    )
    max_chars: int = Field(100_000, ge=0, description="of one message; the rest is left out, and how much is told")

    @field_validator("patterns")
    @classmethod
    def _check_patterns(cls, patterns: dict[str, str]) -> dict[str, str]:
        for name, pattern in patterns.items():
            try:
                check_pattern(pattern)
            except PatternRefused as refused:
                raise ValueError(f"{name}: {refused}") from None
        return patterns
