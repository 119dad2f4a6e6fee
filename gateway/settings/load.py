"""From files and the environment to checked settings, or to one clear sentence."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from gateway.settings.model import RESERVED_MODELS, Settings

ENVIRONMENT_PREFIX = "THALAMUS_"
ENVIRONMENT_SECTIONS = (
    "SERVER",
    "BACKENDS",
    "TIERS",
    "ALIASES",
    "ROUTING",
    "ATTEMPTS",
    "ADMISSION",
    "LIMITS",
    "KEY_STORE",
    "LEDGER",
    "CACHE",
    "REDIS",
    "REASONING",
    "TELEMETRY",
    "DECISION_LOG",
    "TRACING",
    "REDACTION",
    "SHADOW",
)
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class SettingsError(Exception):
    """The configuration cannot be used. The message names each place, what is wrong and the fix."""


@dataclass(frozen=True, slots=True)
class SettingsSource:
    """Where settings come from, so that they can be read again: a file or none, and the command line."""

    path: Path | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Settings:
        """Read the settings. Raises SettingsError."""
        return load_settings(self.path, overrides=self.overrides)


def load_settings(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read, merge and check the configuration.

    Args:
        path: a YAML file; None uses the environment, or the model in the box.
        environment: in place of the process's own.
        overrides: what the command line says; wins over all else.

    Raises:
        SettingsError: with every problem that was found, one a line.
    """
    environment = os.environ if environment is None else environment
    source = str(path) if path else "environment"
    written = _read_yaml(path) if path else default_document(environment)
    document = _merge(_expand(written, environment, source), _overrides(environment))
    document = _merge(document, overrides or {})
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        raise SettingsError(_describe(error, source)) from None
    problems = list(_dangling_references(settings))
    if problems:
        raise SettingsError("\n".join(f"{source}: {problem}" for problem in problems))
    return settings


def default_document(environment: Mapping[str, str]) -> dict[str, Any]:
    """Give the configuration for those who wrote none: three variables, or the model in the box."""
    url = environment.get("THALAMUS_UPSTREAM_URL")
    if not url:
        return {
            "backends": {"smollm2": {"transport": "embedded", "model": "smollm2-135m", "context_window": 8192}},
            "tiers": {"fast": "smollm2", "deep": "smollm2"},
        }
    models = [name.strip() for name in environment.get("THALAMUS_UPSTREAM_MODEL", "").split(",") if name.strip()]
    if not models or len(models) > 2:
        raise SettingsError(
            "environment: THALAMUS_UPSTREAM_MODEL: give one model id (thinking off and on), or two: fast,deep"
        )
    key = environment.get("THALAMUS_UPSTREAM_KEY")
    backends = {name: {"url": url, "model": name, "key": key} for name in models}
    if len(models) == 1:
        tiers: dict[str, Any] = {
            "fast": {"backend": models[0], "effort": "none"},
            "deep": {"backend": models[0]},
        }
    else:
        tiers = {"fast": models[0], "deep": models[1]}
    return {"backends": backends, "tiers": tiers}


def written_form(settings: Settings) -> str:
    """Give the effective configuration as YAML, secrets masked."""
    document = settings.model_dump(mode="json", by_alias=True, exclude_none=True)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; `thalamus init` writes a first one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: expected a mapping with `backends` and `tiers`, found {_type_name(document)}")
    return document


def _type_name(value: object) -> str:
    return "an empty file" if value is None else f"a {type(value).__name__}"


def _expand(value: Any, environment: Mapping[str, str], where: str) -> Any:
    """Replace ``${VAR}`` and ``${VAR:-default}`` inside strings, at any depth."""
    if isinstance(value, dict):
        return {key: _expand(item, environment, f"{where}: {key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, environment, where) for item in value]
    if not isinstance(value, str):
        return value

    def substitute(match: re.Match[str]) -> str:
        name, default = match.groups()
        found = environment.get(name, default)
        if found is None:
            raise SettingsError(
                f"{where}: environment variable {name} is not set; set it or write ${{{name}:-default}}"
            )
        return found

    return _VARIABLE.sub(substitute, value)


def _overrides(environment: Mapping[str, str]) -> dict[str, Any]:
    """Read ``THALAMUS_SERVER__PORT=9000`` as ``server.port: 9000``; values are YAML."""
    document: dict[str, Any] = {}
    for name, value in sorted(environment.items()):
        path = name.removeprefix(ENVIRONMENT_PREFIX).split("__")
        if not name.startswith(ENVIRONMENT_PREFIX) or len(path) < 2 or path[0] not in ENVIRONMENT_SECTIONS:
            continue
        place = document
        for step in path[:-1]:
            place = place.setdefault(step.lower(), {})
        try:
            place[path[-1].lower()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise SettingsError(f"{name}: not a valid YAML value") from None
    return document


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _describe(error: ValidationError, source: str) -> str:
    """Say every problem as `file: path: what is wrong, what would be right`."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        path = ".".join(str(step) for step in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = _unknown_key(problem["loc"])
        elif problem["type"] == "missing":
            message = "is required"
        lines.append(f"{source}: {path}: {message}")
    return "\n".join(lines)


def _unknown_key(location: tuple[int | str, ...]) -> str:
    known = _known_keys(location[:-1])
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
    return f"unknown key; {hint}"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """Walk the settings' types down to a place and list its keys."""
    place: Any = Settings
    for step in location:
        if isinstance(place, type) and issubclass(place, BaseModel):
            fields = {field.alias or name: field.annotation for name, field in place.model_fields.items()}
            place = fields.get(str(step))
        else:
            place = next((kind for kind in reversed(_inner_types(place)) if kind is not type(None)), None)
    models = [place, *_inner_types(place)]
    model = next((kind for kind in models if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _inner_types(kind: Any) -> list[Any]:
    found: list[Any] = []
    for inner in get_args(kind):
        found += [inner, *_inner_types(inner)]
    return found


def _dangling_references(settings: Settings) -> Iterator[str]:
    yield from _dangling_tiers(settings)
    yield from _dangling_aliases(settings)
    yield from _dangling_keys(settings)
    judge = settings.shadow.judge
    if judge is not None and judge not in settings.backends:
        yield f"shadow.judge: no backend is called {judge!r}; {_closest(judge, list(settings.backends))}"
    if settings.key_store.place == "redis" and settings.redis.url is None:
        yield "key_store.place: keys cannot be in Redis without redis.url; set it, or keep them in a file"
    if settings.ledger.place == "redis" and settings.redis.url is None:
        yield "ledger.place: usage cannot be in Redis without redis.url; set it, or use sqlite"
    if not settings.server.loopback and not settings.keys and not settings.key_store.holds_any:
        yield (
            f"server.host: {settings.server.host} can be reached from other machines and no keys are set; "
            "make one with `thalamus keys create NAME`, add `keys:` or listen on 127.0.0.1"
        )


def _dangling_tiers(settings: Settings) -> Iterator[str]:
    configured = dict(settings.tiers.items())
    for tier, targets in configured.items():
        for target in targets:
            if target.backend not in settings.backends:
                closest = _closest(target.backend, list(settings.backends))
                yield f"tiers.{tier}: no backend is called {target.backend!r}; {closest}"
    for tier in settings.admission.tiers:
        if tier not in configured:
            yield f"admission.tiers.{tier.value}: the tier is not configured; add tiers.{tier.value}"
    limits = {f"limits.{number}": limit for number, limit in enumerate(settings.limits)}
    for number, key in enumerate(settings.keys):
        limits |= {f"keys.{number}.limits.{place}": limit for place, limit in enumerate(key.limits)}
    for where, limit in limits.items():
        if limit.tier is not None and limit.tier not in configured:
            yield f"{where}.tier: the tier {limit.tier.value!r} is not configured; add tiers.{limit.tier.value}"
    for name, route in settings.routing.routes.items():
        if route.tier is not None and route.tier not in configured:
            yield f"routing.routes.{name}.tier: the tier {route.tier.value!r} is not configured"


def _dangling_aliases(settings: Settings) -> Iterator[str]:
    models = [*RESERVED_MODELS, *settings.backends]
    for alias, model in settings.aliases.items():
        if alias in models:
            yield f"aliases.{alias}: the name is taken; choose another"
        if model not in models:
            yield f"aliases.{alias}: no tier or backend is called {model!r}; {_closest(model, models)}"


def _dangling_keys(settings: Settings) -> Iterator[str]:
    asked = [*RESERVED_MODELS, *settings.backends, *settings.aliases]
    names: set[str] = set()
    for number, key in enumerate(settings.keys):
        if key.name in names:
            yield f"keys.{number}.name: {key.name!r} is used twice; names tell keys apart in logs"
        names.add(key.name)
        for model in key.models or ():
            if model not in asked:
                yield f"keys.{number}.models: no tier, backend or alias is called {model!r}; {_closest(model, asked)}"


def _closest(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names)}"
