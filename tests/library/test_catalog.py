"""The rows of the catalog go together."""

from __future__ import annotations

import pytest

from interrogator import catalog
from interrogator.catalog import FAMILIES, MODELS, PRESETS, ROLES, KnownModel
from interrogator.modes import MODES, Mode


@pytest.mark.parametrize("row", PRESETS, ids=[row.name for row in PRESETS])
def test_a_preset_names_known_models_and_has_those_that_its_mode_needs(row: catalog.Preset) -> None:
    for role in ROLES:
        name = row.model(role)
        assert name is None or catalog.known_model(role, name), f"{row.name}: no {role} {name}"
    assert all(row.model(role) for role in ROLES if role in MODES[Mode.of(row.mode)].needs)


def test_a_model_has_one_row_a_role_and_its_family_loads_it() -> None:
    assert len({(row.role, row.name) for row in MODELS}) == len(MODELS)
    roles = {family.name: set(family.loads) for family in FAMILIES}
    assert all(row.role in roles[row.family] for row in MODELS)


def test_memory_is_of_the_weights_in_the_dtype_that_a_model_runs_in() -> None:
    stored_halved = KnownModel("x", "encoder", "open_clip", "X", "x", 1_000, "MIT", "", stored="fp16")
    assert stored_halved.memory_mb("fp16") == stored_halved.memory_mb("bf16") == 1_480
    assert stored_halved.memory_mb("fp32") == 2_560
    tiny = KnownModel("x", "encoder", "open_clip", "X", "x", 4, "MIT", "")
    assert tiny.memory_mb("fp32") == 8, "working memory is small where the model is"


def test_licences_that_ask_for_more_say_so() -> None:
    qwen = catalog.known_model("captioner", "Qwen/Qwen2.5-VL-3B-Instruct")
    gemma = catalog.known_model("captioner", "google/gemma-3-4b-it")
    assert qwen and qwen.terms == "Qwen Research, non-commercial"
    assert gemma and gemma.terms == "Gemma terms, gated"
