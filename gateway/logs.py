"""Structured logs: one line a request, never a prompt, never a secret."""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
import structlog

from gateway.accounting import Record
from gateway.settings import TelemetrySettings


def configure_logs(telemetry: TelemetrySettings) -> None:
    """Send structlog's lines to standard error: for a person on a terminal, else as JSON lines."""
    for_person = telemetry.log_format == "console" or (telemetry.log_format == "auto" and sys.stderr.isatty())
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    factory: Any
    if for_person:
        processors[-1:] = [structlog.dev.ConsoleRenderer(pad_event_to=0)]
        factory = structlog.PrintLoggerFactory(sys.stderr)
    else:
        processors.append(structlog.processors.JSONRenderer(serializer=_to_json))
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    level = logging.getLevelNamesMapping()[telemetry.log_level.upper()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )


def log_request(record: Record) -> None:
    """Write one request's line."""
    decision, target, usage = record.decision, record.target, record.usage
    line: dict[str, Any] = {
        "endpoint": record.endpoint,
        "outcome": record.outcome.value,
        "status": record.status,
        "tenant": record.tenant,
        "key": record.key,
        "ms": round(record.total_s * 1e3, 2),
        "upstream_ms": round(record.upstream_s * 1e3, 2),
    }
    if record.error:
        line["error"] = record.error
    if decision is not None:
        line |= {
            "decision": decision.id,
            "reason": decision.reason.value,
            "difficulty": decision.difficulty and round(decision.difficulty, 3),
        }
    if target is not None:
        line |= {"tier": target.tier, "backend": target.backend, "thinking": record.thinking}
    if len(record.attempts) > 1:
        line["attempts"] = [f"{attempt.backend}:{attempt.error or 'ok'}" for attempt in record.attempts]
    if record.first_token_s is not None:
        line["first_token_ms"] = round(record.first_token_s * 1e3, 2)
    if usage is not None:
        line |= {"tokens_in": usage.input, "tokens_out": usage.output, "cost": record.cost, "saved": record.saved}
    _log.info("request", **line)


def _to_json(value: Any, **_: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)


_log = structlog.get_logger("thalamus")
