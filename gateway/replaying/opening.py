"""Puts a replay together: the engine and the prices of a configuration, the logs, and what is made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from classifiers.bundle import BundleError
from classifiers.cascade import open_model
from classifiers.types import DifficultyModel
from gateway.policy import read_policy
from gateway.records.prices import Price, find_price
from gateway.replaying.calibrate import Decide, logged_sample, prompt_sample
from gateway.replaying.curve import MOST_REQUESTS, Sample, draw_curve
from gateway.replaying.reading import ReplayError, Unreadable, holds_decisions, read_decisions, read_prompts
from gateway.replaying.report import Report, summarise
from gateway.settings import Settings
from gateway.upstream.dialects import DialectError, load_dialects
from router.engine import Engine
from router.replay import replay


def open_engine(settings: Settings, bundle: str | None = None) -> Engine:
    """Build the engine of a configuration, with another bundle if one is given.

    Raises:
        ReplayError: the bundle cannot be used, without which the gateway would go on and a comparison must not; or the
            configuration's own dialects are wrong.
    """
    try:
        policy = read_policy(settings, load_dialects(settings.dialects))
        return Engine(policy, open_model(bundle or settings.routing.bundle))
    except (BundleError, DialectError) as error:
        raise ReplayError(str(error)) from None


def read_prices(settings: Settings) -> dict[str, Price]:
    """Find the backends' prices as the gateway would; those without a known one are left out.

    Raises:
        ReplayError: the configuration's own dialects are wrong.
    """
    try:
        dialects = load_dialects(settings.dialects)
    except DialectError as error:
        raise ReplayError(str(error)) from None
    prices: dict[str, Price] = {}
    for name, backend in settings.backends.items():
        host = backend.host or (dialects.guess_host(str(backend.url)) if backend.url else None)
        dialect = dialects.find(backend.family or dialects.guess_family(backend.model), host)
        price = find_price(backend, dialect.host)
        if price is not None:
            prices[name] = price
    return prices


def replay_logs(paths: Sequence[Path], engine: Engine, prices: Mapping[str, Price], unreadable: Unreadable) -> Report:
    """Decide every request of the logs again and sum up.

    Raises:
        ReplayError: a log cannot be read, or there is nothing in it.
    """
    sample = Sample(MOST_REQUESTS)
    lines = sample.watch(read_decisions(paths, unreadable))
    report = summarise(replay(lines, engine), bundle=engine.model.name, prices=prices)
    curve = draw_curve(sample.kept, engine, prices) if sample.kept else None
    return dataclasses.replace(report, curve=curve, unreadable=unreadable.count)


def read_sample(
    paths: Sequence[Path], model: DifficultyModel, unreadable: Unreadable
) -> tuple[Decide, tuple[str, ...]]:
    """Read what a threshold is searched on, logs or prompts, and say what is left out.

    Raises:
        ReplayError: it cannot be read, or nothing in it can be judged.
    """
    if holds_decisions(paths):
        decide, notes = logged_sample(read_decisions(paths, unreadable), model)
        return decide, tuple(notes)
    return prompt_sample(read_prompts(paths, unreadable), model), ()
