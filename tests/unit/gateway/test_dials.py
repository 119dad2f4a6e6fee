"""A share of deep calls as the operator's dial: read from the bundle's curve, and refused where there is none."""

import shutil
from pathlib import Path

import pytest

from classifiers.bundle import BUNDLES
from classifiers.dial_curve import CURVE, share_curve
from gateway.app import create_app
from gateway.records.recent import dials_of
from gateway.settings import Settings, SettingsError
from router.engine import Engine
from tests.gateway.serving import settings_over


async def opened(**routing: object) -> Engine:
    app = create_app(Settings.model_validate(settings_over("http://127.0.0.1:9", routing=routing)))
    async with app.router.lifespan_context(app):
        engine: Engine = app.state.rooms.engine
        return engine


@pytest.fixture(scope="module")
def without_curve(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("bundles") / "own-v1"
    shutil.copytree(BUNDLES / "reflex-v1", folder, ignore=shutil.ignore_patterns(CURVE))
    return str(folder)


@pytest.mark.parametrize("bundle", ["reflex-v1", "cortex-v1", "reflex-v1+cortex-v1"])
def test_a_curve_rises_from_no_deep_call_to_nothing_but_deep_calls(bundle: str):
    curve = share_curve(bundle)
    shares, thresholds = zip(*curve, strict=True)
    assert (shares[0], shares[-1]) == (pytest.approx(0.0, abs=0.01), 1.0)
    assert list(shares) == sorted(set(shares))
    assert list(thresholds) == sorted(thresholds, reverse=True)


async def test_a_share_without_a_curve_is_refused_with_the_way_out(without_curve: str):
    with pytest.raises(SettingsError, match=r"dial 0\.2: reflex-v1 has no curve .*`thalamus calibrate LOG --dial 0\.2"):
        await opened(dial=0.2, bundle=without_curve)
    engine = await opened(dial=0.2, bundle=without_curve, thresholds={0.2: 0.7})
    assert engine.threshold_at(engine.policy.dial) == 0.7
    assert dials_of(engine) == ("cheap", "balanced", "quality", "max", "0.2")


async def test_a_missing_bundle_is_no_reason_not_to_serve():
    engine = await opened(dial=0.2, bundle="none-such")
    assert engine.threshold_at(engine.policy.dial) == engine.model.thresholds["balanced"]
