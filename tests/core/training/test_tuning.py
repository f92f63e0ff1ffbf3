"""Which parameters learn, and how fast each?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidInput
from core.inference.export import load_torch_encoder
from core.models import resolve_model
from core.training.config import FineTuneConfig
from core.training.tuning import (
    SHARED_SETTINGS,
    free_layers,
    parameter_groups,
    refuse_unused,
    with_learning_parts,
)


@pytest.fixture
def encoder(tiny_base_model: Path) -> Any:
    return load_torch_encoder(resolve_model(str(tiny_base_model)))


def learning(encoder: Any) -> set[str]:
    return {
        name.split(".")[2] if "layer." in name else name
        for name, parameter in encoder.named_parameters()
        if parameter.requires_grad
    }


@pytest.mark.parametrize(
    ("tune", "expected"), [("head", set()), ("top", {"1"}), ("all", {"0", "1"})]
)
def test_only_the_named_layers_learn(encoder: Any, tune: Any, expected: set[str]) -> None:
    layers = free_layers(encoder, FineTuneConfig(tune=tune, top_layers=1))
    assert learning(encoder) == expected
    assert len(layers) == len(expected)


def test_lower_layers_learn_more_slowly_and_biases_do_not_decay(encoder: Any) -> None:
    config = FineTuneConfig(learning_rate=1e-3, layer_decay=0.5, weight_decay=0.1)
    layers = free_layers(encoder, config)
    groups = parameter_groups(encoder, layers, config)
    assert [group["lr"] for group in groups] == [1e-3, 1e-3, 5e-4, 5e-4]
    assert [group["weight_decay"] for group in groups] == [0.1, 0, 0.1, 0]
    assert all(p.ndim > 1 for p in groups[0]["params"])
    assert all(p.ndim == 1 for p in groups[1]["params"])
    count = sum(len(group["params"]) for group in groups)
    assert count == sum(p.requires_grad for p in encoder.parameters())


def test_an_adapter_learns_beside_a_frozen_encoder(encoder: Any) -> None:
    wrapped, layers = with_learning_parts(encoder, FineTuneConfig(tune="lora", adapter_rank=2))
    assert layers == []
    assert all("lora" in n for n, p in wrapped.named_parameters() if p.requires_grad)


def test_a_way_of_tuning_that_a_task_lacks_is_refused(encoder: Any) -> None:
    with pytest.raises(InvalidInput, match="head, top or all for this task, was: lora"):
        free_layers(encoder, FineTuneConfig(tune="lora"))
    with pytest.raises(InvalidInput, match="lora or ia3 for this task, was: prompt"):
        with_learning_parts(encoder, FineTuneConfig(tune="prompt"))


def test_only_changed_settings_that_nobody_reads_are_refused() -> None:
    defaults = FineTuneConfig(label_smoothing=0.0)
    refuse_unused(replace(defaults, epochs=9), defaults, SHARED_SETTINGS)
    with pytest.raises(
        InvalidInput, match=r"label_smoothing does nothing for this task, was: 0\.1"
    ):
        refuse_unused(replace(defaults, label_smoothing=0.1), defaults, SHARED_SETTINGS)
