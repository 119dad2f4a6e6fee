"""Structured logs: one line a request, never a prompt, never a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from gateway.records.accounting import Record
from gateway.settings import TelemetrySettings
from gateway.tracing.context import names_of


def configure_logs(telemetry: TelemetrySettings) -> None:
    """Send structlog's lines to standard error: for a person on a terminal, else as JSON lines."""
    for_person = _is_for_person(telemetry)
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


def request_logger(telemetry: TelemetrySettings) -> Callable[[Record], None]:
    """Give what writes one line per request: JSON goes out in one piece, a person's line through structlog."""
    if telemetry.log_level not in ("debug", "info"):
        return _write_nothing
    return _write_for_person if _is_for_person(telemetry) else _write_json


def _write_nothing(_record: Record) -> None:
    """Lines of requests are of level info."""


def _write_for_person(record: Record) -> None:
    _log.info("request", **_line(record))


def _write_json(record: Record) -> None:
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"timestamp": timestamp, "level": "info", "event": "request", **_line(record)}
    sys.stderr.buffer.write(_encoder.encode(line) + b"\n")
    sys.stderr.buffer.flush()


def _line(record: Record) -> dict[str, Any]:
    decision, target, usage = record.decision, record.target, record.usage
    line: dict[str, Any] = {
        "endpoint": record.endpoint,
        "outcome": record.outcome.value,
        "status": record.status,
        "tenant": record.tenant,
        "key": record.key,
        "ms": round(record.total_s * 1e3, 2),
        "gateway_ms": round(record.gateway_s * 1e3, 2),
    }
    if (context := record.trace.context()) is not None:
        line |= names_of(context)
    if record.error:
        line["error"] = record.error
    if decision is not None:
        line["decision"] = decision.id
        line["reason"] = decision.reason.value
        line["difficulty"] = decision.difficulty and round(decision.difficulty, 3)
    if target is not None:
        line["tier"] = target.tier
        line["backend"] = target.backend
        line["thinking"] = record.thinking
        line["cache"] = record.cache
    if len(record.attempts) > 1:
        line["attempts"] = [f"{attempt.backend}:{attempt.result}" for attempt in record.attempts]
    if record.first_token_s is not None:
        line["first_token_ms"] = round(record.first_token_s * 1e3, 2)
    if record.queued_s >= _TOLD_WAIT_S:
        line["queued_ms"] = round(record.queued_s * 1e3, 2)
    if record.is_partial:
        line["partial"] = True
    if record.is_empty:
        line["answer"] = "none"
    if usage is not None:
        line |= {"tokens_in": usage.input, "tokens_out": usage.output, "cost": record.cost, "saved": record.saved}
    return line


def _is_for_person(telemetry: TelemetrySettings) -> bool:
    return telemetry.log_format == "console" or (telemetry.log_format == "auto" and sys.stderr.isatty())


def _to_json(value: Any, **_: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)


_TOLD_WAIT_S = 0.001
_encoder = msgspec.json.Encoder(enc_hook=str)
_log = structlog.get_logger("thalamus")
