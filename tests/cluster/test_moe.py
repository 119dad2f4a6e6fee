"""The table of memory: by hand for one model, and every model that we propose fits."""

from __future__ import annotations

import pytest

from deploy import policies
from deploy.moe import manifests, size


def test_the_latent_of_mla_is_whole_on_each_rank_and_grouped_heads_are_divided():
    v3, glm = size.models()["deepseek-v31"], size.models()["glm-45"]
    assert size.kv_bytes_per_token(v3, 8) == 61 * (512 + 64) * 2
    assert size.kv_bytes_per_token(v3, 8) == size.kv_bytes_per_token(v3, 1)
    assert size.kv_bytes_per_token(glm, 8) == 2 * 92 * 1 * 128 * 2
    assert size.kv_bytes_per_token(glm, 16) == size.kv_bytes_per_token(glm, 8)


@pytest.mark.parametrize("name", size.models())
def test_what_is_proposed_fits_and_much_more_does_not(name):
    row = size.models()[name]
    assert size.size(row)["fits"], size.size(row)
    assert not size.size(row, concurrency=row["concurrency"] * 20)["fits"]


@pytest.mark.parametrize("name", size.models())
def test_the_weights_are_what_the_quantisation_says(name):
    row = size.models()[name]
    bits = row["weights_gb"] * 8 / row["total_b"]
    low, high = {"fp8": (7.5, 9), "int4": (4, 5), "mxfp4": (4, 5), "bf16": (15.5, 16.5)}[row["quantisation"].split()[0]]
    assert low < bits < high


def test_the_readme_shows_the_table_that_is_computed():
    table = size.table([size.size(row) for row in size.models().values()])
    assert table in size.MODELS.with_name("README.md").read_text(encoding="utf-8"), "python -m deploy.moe.size"


@pytest.mark.parametrize("engine", manifests.ENGINES)
@pytest.mark.parametrize("name", size.models())
def test_every_model_has_valid_manifests_with_documented_options(name, engine):
    found = manifests.manifests(name, engine)
    assert [fault for one in found for fault in policies.check_form(one)] == []
    wanted = "LeaderWorkerSet" if size.models()[name]["nodes"] > 1 else "Deployment"
    assert found[0]["kind"] == wanted


@pytest.mark.parametrize("engine", manifests.ENGINES)
def test_an_undocumented_option_value_is_refused(engine):
    row = size.models()["kimi-k2-thinking"]
    wrong = {**row, engine: {**row[engine], "tool": "kimi_k3000"}}
    with pytest.raises(manifests.UnknownFlagError):
        manifests.arguments(wrong, engine)
