"""The settings as what the decision reads."""

from __future__ import annotations

from classifiers.dial_curve import share_curve
from gateway.settings import (
    AnswerCheckSettings,
    BackendSettings,
    CascadeSettings,
    Settings,
)
from gateway.upstream.dialects import Dialects
from gateway.upstream.recognise import recognise
from router.policy import Policy, TierTarget
from router.routes import Cascade, NamedRoute, compile_rule
from router.types import Abilities, AnswerCheck, Candidate


def read_policy(settings: Settings, dialects: Dialects) -> Policy:
    """Translate the settings, and what is known of the models' families, into what the decision reads."""
    return Policy(
        tiers={
            tier: tuple(TierTarget(target.backend, target.effort) for target in targets)
            for tier, targets in settings.tiers.items()
        },
        candidates={name: _candidate(name, backend, dialects) for name, backend in settings.backends.items()},
        aliases=settings.aliases,
        dial=settings.routing.dial,
        share_curve=share_curve(settings.routing.bundle),
        thresholds={str(notch): bound for notch, bound in settings.routing.thresholds.items()},
        min_gain=settings.routing.min_gain,
        routes=tuple(
            NamedRoute(
                name=name,
                rule=compile_rule(route.when),
                tier=route.tier,
                effort=route.effort,
                dial=route.dial,
                check=None if route.cascade is None else _answer_check(route.cascade),
            )
            for name, route in settings.routing.routes.items()
        ),
        cascade=None if settings.routing.cascade is None else _cascade(settings.routing.cascade),
        at_limit=settings.routing.at_limit,
    )


def _cascade(written: CascadeSettings) -> Cascade:
    return Cascade(_answer_check(written), None if written.when is None else compile_rule(written.when))


def _answer_check(written: AnswerCheckSettings) -> AnswerCheck:
    return AnswerCheck(written.min_confidence, written.self_check, written.allow_streams, written.probe_tokens)


def _candidate(name: str, backend: BackendSettings, dialects: Dialects) -> Candidate:
    abilities = backend.abilities
    return Candidate(
        name=name,
        abilities=Abilities(
            tools=abilities.tools,
            vision=abilities.vision,
            audio=abilities.audio,
            json=abilities.json_schema,
            logprobs=abilities.logprobs,
        ),
        context_window=backend.context_window,
        habit=recognise(backend, dialects)[0].habit,
    )
