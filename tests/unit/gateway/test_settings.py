"""A configuration is either right, or refused with the path, what is wrong, and what would be right."""

from pathlib import Path

import pytest
import yaml

from gateway.settings import SettingsError, SettingsSource, load_settings, written_form
from gateway.settings.describe import describe
from router.types import Effort, Tier

GOOD = {
    "backends": {
        "small": {"url": "http://127.0.0.1:9000/v1", "model": "small-1"},
        "big": {"url": "http://127.0.0.1:9001/v1", "model": "big-1", "key": "sk-very-secret"},
    },
    "tiers": {"fast": "small", "deep": [{"backend": "big", "effort": "high"}, "small"]},
}


def write(folder: Path, document: object) -> Path:
    path = folder / "thalamus.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
    return path


def changed(**changes: object) -> dict:
    """GOOD with values set at dotted paths, `__` standing for the dot."""
    document = yaml.safe_load(yaml.safe_dump(GOOD))
    for path, value in changes.items():
        *steps, last = path.split("__")
        place = document
        for step in steps:
            place = place.setdefault(step, {})
        place[last] = value
    return document


def test_a_tier_is_a_name_a_target_or_a_list_of_both(tmp_path):
    settings = load_settings(write(tmp_path, GOOD), {})
    tiers = dict(settings.tiers.items())
    assert [target.backend for target in tiers[Tier.FAST]] == ["small"]
    assert [(target.backend, target.effort) for target in tiers[Tier.DEEP]] == [("big", Effort.HIGH), ("small", None)]


BREAKAGES = [
    ("a misspelt section", changed(servr={}), "servr: unknown key; did you mean 'server'?"),
    (
        "a misspelt backend field",
        changed(backends__small__modle="x"),
        "backends.small.modle: unknown key; did you mean 'model'?",
    ),
    (
        "a misspelt ability",
        changed(backends__small__abilities={"visoin": True}),
        "backends.small.abilities.visoin: unknown key; did you mean 'vision'?",
    ),
    ("a misspelt tier", changed(tiers__fsat="small"), "tiers.fsat: unknown key; did you mean 'fast'?"),
    ("a key nowhere near any", changed(server={"zzz": 1}), "server.zzz: unknown key; known here: host, port"),
    ("no deep tier", {**GOOD, "tiers": {"fast": "small"}}, "tiers.deep: is required"),
    ("no backends", {"tiers": GOOD["tiers"]}, "backends: is required"),
    ("a tier without a backend of that name", changed(tiers__fast="smal"), "did you mean 'small'?"),
    ("an alias of nobody", changed(aliases={"gpt-4o": "atuo"}), "aliases.gpt-4o: no tier or backend is called 'atuo'"),
    ("an alias that hides a tier", changed(aliases={"fast": "auto"}), "aliases.fast: the name is taken"),
    ("a backend that hides a tier", changed(backends__auto={"url": "http://x/v1", "model": "m"}), "gateway's own"),
    ("an effort that is none", changed(tiers__fast={"backend": "small", "effort": "hihg"}), "tiers.fast.0.effort"),
    ("a url that is none", changed(backends__small__url="localhost:8000"), "backends.small.url"),
    ("an HTTP backend without a url", changed(backends__small={"model": "m"}), "needs a url"),
    (
        "the Responses API of what is no HTTP backend",
        changed(backends__small={"transport": "litellm", "model": "m", "responses": "native"}),
        "responses: native needs transport http",
    ),
    ("a way to show reasoning that is none", changed(reasoning={"show": "some"}), "reasoning.show"),
    (
        "a key that sees some of it",
        changed(keys=[{"name": "a", "key": "x", "reasoning": "some"}]),
        "keys.0.reasoning",
    ),
    ("a port out of range", changed(server={"port": 70000}), "server.port"),
    ("a price below zero", changed(backends__small__price={"input": -1}), "backends.small.price.input"),
    ("a limit of zero", changed(backends__small__max_concurrency=0), "backends.small.max_concurrency"),
    ("a dial that is none", changed(routing={"dial": "turbo"}), "routing.dial"),
    ("a threshold above one", changed(routing={"thresholds": {"cheap": 1.5}}), "routing.thresholds.cheap"),
    ("a key in neither form", changed(keys=[{"name": "a"}]), "keys.0: give exactly one of key and sha256"),
    ("an empty key", changed(keys=[{"name": "a", "key": ""}]), "keys.0: the key is empty"),
    ("a key in both forms", changed(keys=[{"name": "a", "key": "x", "sha256": "0" * 64}]), "exactly one"),
    (
        "two keys of one name",
        changed(keys=[{"name": "a", "key": "x"}, {"name": "a", "key": "y"}]),
        "keys.1.name: 'a' is used twice",
    ),
    (
        "a key for a model that is not there",
        changed(keys=[{"name": "a", "key": "x", "models": ["biig"]}]),
        "keys.0.models: no tier, backend or alias is called 'biig'; did you mean 'big'?",
    ),
    (
        "a judge that is not there",
        changed(shadow={"judge": "bgi"}),
        "shadow.judge: no backend is called 'bgi'; did you mean",
    ),
    ("open to all without keys", changed(server={"host": "0.0.0.0"}), "add `keys:` or listen on 127.0.0.1"),
    ("a variable that is not set", changed(backends__small__key="${NOT_SET_HERE}"), "NOT_SET_HERE is not set"),
    ("broken YAML", "backends: [", "not valid YAML"),
    ("a list", "- a\n- b\n", "expected a mapping"),
    ("an empty file", "", "expected a mapping with `backends` and `tiers`, found an empty file"),
]


@pytest.mark.parametrize(("document", "message"), [case[1:] for case in BREAKAGES], ids=[case[0] for case in BREAKAGES])
def test_a_broken_configuration_is_refused_with_the_path_and_the_fix(tmp_path, document, message):
    path = write(tmp_path, document)
    with pytest.raises(SettingsError) as refusal:
        load_settings(path, {})
    assert message in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_all_problems_are_told_at_once(tmp_path):
    document = changed(servr={}, backends__small__modle="x", tiers__fast={"backend": "small", "effort": "no"})
    with pytest.raises(SettingsError) as refusal:
        load_settings(write(tmp_path, document), {})
    assert len(str(refusal.value).splitlines()) == 3


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: no such file"):
        load_settings(tmp_path / "nowhere.yaml", {})


def test_secrets_never_print(tmp_path):
    document = changed(keys=[{"name": "a", "key": "caller-secret"}], backends__big__headers={"x-org": "header-secret"})
    settings = load_settings(write(tmp_path, document), {})
    shown = written_form(settings) + repr(settings) + settings.model_dump_json()
    for secret in ("sk-very-secret", "caller-secret", "header-secret"):
        assert secret not in shown


def test_a_refusal_does_not_show_the_value_it_refuses(tmp_path):
    with pytest.raises(SettingsError) as refusal:
        load_settings(write(tmp_path, changed(backends__big__key=["sk-very-secret"])), {})
    assert "sk-very-secret" not in str(refusal.value)


def test_variables_stand_inside_values_with_defaults(tmp_path):
    path = write(tmp_path, changed(backends__small__url="http://${HOST}:${PORT:-9000}/v1"))
    settings = load_settings(path, {"HOST": "inference"})
    assert str(settings.backends["small"].url) == "http://inference:9000/v1"


def test_the_environment_overrides_the_file_and_the_command_line_both(tmp_path):
    path = write(tmp_path, changed(server={"port": 1111}))
    environment = {"THALAMUS_SERVER__PORT": "2222", "THALAMUS_ROUTING__DIAL": "quality"}
    settings = load_settings(path, environment)
    assert (settings.server.port, settings.routing.dial) == (2222, "quality")
    assert load_settings(path, environment, {"server": {"port": 3333}}).server.port == 3333


def test_three_variables_are_a_configuration():
    environment = {
        "THALAMUS_UPSTREAM_URL": "https://api.example.com/v1",
        "THALAMUS_UPSTREAM_KEY": "sk-x",
        "THALAMUS_UPSTREAM_MODEL": "deepseek-chat",
    }
    settings = load_settings(None, environment)
    assert settings.tiers.fast[0].effort is Effort.NONE
    assert settings.tiers.deep[0].effort is None
    two = load_settings(None, {**environment, "THALAMUS_UPSTREAM_MODEL": "small, large"})
    assert (two.tiers.fast[0].backend, two.tiers.deep[0].backend) == ("small", "large")
    with pytest.raises(SettingsError, match="THALAMUS_UPSTREAM_MODEL"):
        load_settings(None, {**environment, "THALAMUS_UPSTREAM_MODEL": ""})


def test_without_any_configuration_the_model_in_the_box_serves_both_tiers():
    settings = SettingsSource().load()
    assert {backend.transport for backend in settings.backends.values()} == {"embedded"}
    assert settings.server.loopback


@pytest.mark.parametrize(
    ("written", "dial"),
    [("quality", "quality"), (0.2, "0.2"), ("0.20", "0.2"), ({"deep_share": 0.25}, "0.25"), (1, "1"), (0, "0")],
)
def test_a_dial_is_a_notch_or_a_share(tmp_path, written, dial):
    settings = load_settings(write(tmp_path, changed(routing={"dial": written, "thresholds": {0.2: 0.5}})), {})
    assert (settings.routing.dial, settings.routing.thresholds) == (dial, {"0.2": 0.5})


@pytest.mark.parametrize("written", ["loud", 1.5, -0.1, "nan", True, {"deep_share": 0.2, "more": 1}])
def test_what_is_neither_is_refused(tmp_path, written):
    with pytest.raises(SettingsError, match=r"routing\.dial: .*is no dial; there are: cheap"):
        load_settings(write(tmp_path, changed(routing={"dial": written})), {})


def test_the_shown_configuration_loads_again(tmp_path):
    settings = load_settings(write(tmp_path, changed(backends__big__key="${K}")), {"K": "secret"})
    again = load_settings(write(tmp_path, written_form(settings)), {})
    assert written_form(again) == written_form(settings)


def test_the_page_of_settings_is_up_to_date():
    """Regenerate with: python -m gateway.settings.describe > docs/settings.md"""
    page = Path(__file__).parents[3] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == describe()
