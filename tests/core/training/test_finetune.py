"""Does tuning learn from the training rows alone, and keep the epoch that validation liked best?"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from core.errors import InvalidInput, ModelError
from core.inference.export import load_torch_encoder
from core.models import resolve_model
from core.progress import Progress
from core.training import finetune, tuning
from core.training.adapters import encoder_layers
from core.training.config import FineTuneConfig
from core.training.finetune import FineTuned
from core.training.linear import Linear
from core.training.objective import ClassifierModule
from core.training.rows import Fold

Model = Any
Tune = Callable[..., FineTuned]
Scored = Callable[[Sequence[float]], list[Any]]
Questions = SimpleNamespace


def weights(model: Model) -> dict[str, np.ndarray]:
    """All but the pooler, which transformers draws at random and nothing here uses."""
    return {
        name: value.numpy().copy()
        for name, value in model.state_dict().items()
        if not name.startswith("pooler")
    }


def differing(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> set[str]:
    return {name for name in left if not np.array_equal(left[name], right[name])}


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch, questions: Questions) -> Scored:
    """Say in advance what validation finds, before the first epoch and after each.

    The list given back fills with the weights as they were at each of these moments.
    """

    def scored(scores: Sequence[float]) -> list[Any]:
        seen: list[Any] = []
        coming = iter(scores)

        def score(module: Any, rows: Any, labels: Any, held_out: np.ndarray) -> float:
            assert held_out is questions.fold.held_out
            head = next(iter(module.heads.values())).weight.detach().numpy().T.copy()
            seen.append((weights(module.encoder), head))
            return next(coming)

        monkeypatch.setattr(finetune, "_score", score)
        return seen

    return scored


# --- which epoch ---------------------------------------------------------------------------------


def test_the_weights_of_the_best_epoch_are_kept_and_tuning_stops_when_patience_ends(
    encoder: Model, tune: Tune, scored: Scored
) -> None:
    seen = scored([0.5, 0.6, 0.9, 0.8, 0.9, 1.0])
    tuned = tune(encoder, epochs=5, patience=2)
    assert tuned.best_epoch == 2
    assert [entry["epoch"] for entry in tuned.history] == [0, 1, 2, 3, 4], "the fifth never ran"
    best_weights, best_head = seen[2]
    assert not differing(weights(tuned.model), best_weights)
    assert differing(weights(tuned.model), seen[4][0])
    np.testing.assert_array_equal(tuned.heads["intent"].weight, best_head)


def test_where_no_epoch_is_better_the_model_stays_what_it_was(
    encoder: Model, tune: Tune, scored: Scored, questions: Questions
) -> None:
    before = weights(encoder)
    scored([0.9, 0.8, 0.9])
    tuned = tune(encoder, epochs=5, patience=2)
    assert tuned.best_epoch == 0
    assert not differing(weights(tuned.model), before)
    np.testing.assert_array_equal(tuned.heads["intent"].weight, questions.start.weight)


def test_a_better_epoch_renews_the_patience(encoder: Model, tune: Tune, scored: Scored) -> None:
    scored([0.1, 0.1, 0.2, 0.2, 0.3, 0.3])
    assert tune(encoder, epochs=5, patience=2).best_epoch == 4


@pytest.mark.parametrize(
    ("scores", "keep", "best_epoch"),
    [
        # Of eight held-out rows .35, 1 / √8, may be chance.
        ([0.5, 0.9, 0.6], "steady", 2),
        ([0.5, 0.9, 0.5], "steady", 1),
        ([0.9, 0.7, 0.5], "steady", 1),
        ([0.9, 0.5, 0.4], "steady", 0),
        ([0.5, 0.9, 0.8], "best", 1),
        ([0.9, 0.5, 0.0], "last", 2),
    ],
)
def test_the_last_epoch_stays_unless_an_earlier_one_is_better_by_more_than_chance(
    encoder: Model,
    tune: Tune,
    scored: Scored,
    scores: list[float],
    keep: str,
    best_epoch: int,
) -> None:
    seen = scored(scores)
    tuned = tune(encoder, epochs=2, keep=keep, patience=9)
    assert tuned.best_epoch == best_epoch
    assert not differing(weights(tuned.model), seen[best_epoch][0])


def test_a_limit_of_time_ends_tuning_between_epochs(encoder: Model, tune: Tune) -> None:
    assert len(tune(encoder, epochs=5, patience=9, max_minutes=0.0).history) == 2


def test_no_epochs_leave_the_model_as_it_was(encoder: Model, tune: Tune) -> None:
    before = weights(encoder)
    tuned = tune(encoder, epochs=0)
    assert [entry["epoch"] for entry in tuned.history] == [0]
    assert not differing(weights(tuned.model), before)


def test_without_rows_to_judge_by_the_last_epoch_stays(encoder: Model, tune: Tune) -> None:
    everything = Fold(np.arange(32), np.arange(0))
    assert tune(encoder, epochs=3, patience=1, fold=everything).best_epoch == 3


# --- the mean of several epochs ------------------------------------------------------------------


def test_the_mean_of_the_last_epochs_is_kept_where_it_judges_no_worse(
    encoder: Model, tune: Tune, scored: Scored
) -> None:
    seen = scored([0.5, 0.6, 0.7, 0.8, 0.8])
    tuned = tune(encoder, epochs=3, average=2)
    assert [entry["epoch"] for entry in tuned.history] == [0, 1, 2, 3, -1]
    found = weights(tuned.model)
    for name, value in found.items():
        np.testing.assert_allclose(value, (seen[2][0][name] + seen[3][0][name]) / 2, atol=1e-7)
    assert differing(found, seen[3][0])


def test_a_mean_that_judges_worse_is_not_kept(encoder: Model, tune: Tune, scored: Scored) -> None:
    seen = scored([0.5, 0.6, 0.7, 0.8, 0.7])
    tuned = tune(encoder, epochs=3, average=2)
    assert tuned.best_epoch == 3
    assert not differing(weights(tuned.model), seen[3][0])


@pytest.mark.parametrize(("mean", "best_epoch"), [(0.9, 0), (0.95, 2)])
def test_where_no_epoch_was_better_the_mean_must_be(
    encoder: Model, tune: Tune, scored: Scored, mean: float, best_epoch: int
) -> None:
    before = weights(encoder)
    scored([0.9, 0.8, 0.9, mean])
    tuned = tune(encoder, epochs=2, average=2)
    assert tuned.best_epoch == best_epoch
    assert bool(differing(weights(tuned.model), before)) == (best_epoch > 0)


# --- what is learnt ------------------------------------------------------------------------------


def test_a_task_that_can_be_learnt_is_learnt(encoder: Model, tune: Tune) -> None:
    tuned = tune(encoder, epochs=10, learning_rate=2e-3, head_learning_rate=0.2, patience=10)
    assert tuned.history[0]["accuracy"] == 0.5
    assert tuned.history[tuned.best_epoch]["accuracy"] == 1.0
    losses = [entry["loss"] for entry in tuned.history[1:]]
    assert losses[-1] < losses[0]


def test_only_training_rows_reach_the_loss(
    encoder: Model, tune: Tune, questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    forward = ClassifierModule.forward

    def spy(self: Any, input_ids: Any, attention_mask: Any, rows: Any) -> Any:
        seen.extend(rows.tolist())
        return forward(self, input_ids, attention_mask, rows)

    monkeypatch.setattr(ClassifierModule, "forward", spy)
    tune(encoder, epochs=2, patience=9)
    train = questions.fold.train
    assert sorted(seen) == sorted([*train, *train]), "each of them once an epoch"


def test_the_layers_change_and_the_token_embeddings_do_not(
    encoder: Model, tune: Tune, scored: Scored
) -> None:
    before = weights(encoder)
    scored([0.0, 0.1, 0.2])
    tuned = tune(encoder)
    changed = differing(weights(tuned.model), before)
    assert any(name.startswith("encoder.layer.0") for name in changed)
    assert any(name.startswith("encoder.layer.1") for name in changed)
    assert not any(name.startswith("embeddings") for name in changed)
    assert all(p.grad is None for p in encoder.embeddings.parameters()), "nor is time lost on them"


@pytest.mark.parametrize(
    ("tuning", "expected"),
    [({"tune": "head"}, set()), ({"tune": "top", "top_layers": 1}, {"encoder.layer.1"})],
)
def test_less_than_all_may_learn(
    encoder: Model, tune: Tune, scored: Scored, tuning: dict[str, Any], expected: set[str]
) -> None:
    before = weights(encoder)
    scored([0.0, 0.1, 0.2])
    tuned = tune(encoder, **tuning)
    assert {".".join(n.split(".")[:3]) for n in differing(weights(tuned.model), before)} == expected
    assert tuned.heads["intent"].weight.any(), "the head always learns"


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    tiny_base_model: Path, tune: Tune, scored: Scored
) -> None:
    found = []
    for seed in (1, 1, 2):
        scored([0.0, 0.1, 0.2])
        tuned = tune(load_torch_encoder(resolve_model(str(tiny_base_model))), seed=seed)
        found.append((weights(tuned.model), tuned.heads["intent"].weight))
    assert not differing(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert differing(found[0][0], found[2][0])


def test_the_tuned_model_is_left_ready_to_serve(encoder: Model, tune: Tune) -> None:
    assert not tune(encoder).model.training, "no dropout in what is exported"


def test_a_loss_that_is_no_number_ends_tuning_with_the_mend(
    encoder: Model, tune: Tune, questions: Questions
) -> None:
    endless = Linear(np.full((32, 2), np.inf, dtype=np.float32), questions.start.bias)
    with pytest.raises(ModelError, match="no number any more") as refused:
        tune(encoder, start=endless)
    assert "fast preset" in str(refused.value)


def test_a_setting_of_dropout_holds_in_all_layers(encoder: Model, tune: Tune) -> None:
    tuned = tune(encoder, epochs=0, dropout=0.25)
    found = [m.p for m in tuned.model.modules() if "Dropout" in type(m).__name__]
    assert found
    assert set(found) == {0.25}


def test_gradients_of_several_batches_may_make_one_step(
    tiny_base_model: Path, tune: Tune, scored: Scored
) -> None:
    found = []
    for batch_size, accumulated in ((24, 1), (8, 3)):
        scored([0.0, 0.1])
        model = load_torch_encoder(resolve_model(str(tiny_base_model)))
        settings = {"batch_size": batch_size, "gradient_accumulation": accumulated}
        found.append(weights(tune(model, epochs=1, dropout=0.0, warmup=0.0, **settings).model))
    for name, value in found[0].items():
        np.testing.assert_allclose(found[1][name], value, atol=1e-5)


# --- the adversary -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fgm", "pgd"])
def test_an_adversary_changes_what_is_learnt_and_leaves_no_hook(
    tiny_base_model: Path, tune: Tune, scored: Scored, kind: str
) -> None:
    found = []
    for adversarial in ("none", kind):
        scored([0.0, 0.1])
        model = load_torch_encoder(resolve_model(str(tiny_base_model)))
        tuned = tune(model, epochs=1, dropout=0.0, adversarial=adversarial)
        found.append(weights(tuned.model))
        assert not tuned.model.embeddings._forward_hooks
    assert differing(found[0], found[1])


# --- other architectures -------------------------------------------------------------------------

SIZES = {
    "vocab_size": 200,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
}
DISTIL = {"vocab_size": 200, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}


def other(architecture: str) -> Model:
    torch.manual_seed(0)
    if architecture == "roberta":
        return transformers.RobertaModel(transformers.RobertaConfig(**SIZES)).eval()
    return transformers.DistilBertModel(transformers.DistilBertConfig(**DISTIL)).eval()


@pytest.mark.parametrize("architecture", ["roberta", "distilbert"])
@pytest.mark.parametrize(
    "tuning",
    [
        {"tune": "all"},
        {"tune": "top", "top_layers": 1},
        {"tune": "lora", "adapter_rank": 2},
        {"tune": "ia3"},
        {"tune": "prompt", "adapter_rank": 2},
        {"tune": "all", "adversarial": "fgm"},
    ],
    ids=lambda tuning: "-".join(map(str, tuning.values())),
)
def test_encoders_of_other_architectures_are_tuned(
    architecture: str, tuning: dict[str, Any], tune: Tune, scored: Scored
) -> None:
    scored([0.0, 1.0])
    before = weights(other(architecture))
    tuned = tune(other(architecture), epochs=1, warmup=0.0, learning_rate=1e-2, **tuning)
    after = weights(tuned.model)
    if tuning["tune"] == "prompt":
        assert any("prompt" in name for name in after)
        return
    layers = {n.split(".layer.")[1][0] for n in differing(before, after)}
    assert layers == ({"1"} if tuning["tune"] == "top" else {"0", "1"})


def test_prefix_tuning_is_refused_where_attention_takes_no_keys_from_outside(tune: Tune) -> None:
    with pytest.raises(InvalidInput, match="DistilBertModel does not") as refused:
        tune(other("distilbert"), tune="prefix")
    assert "tune=prompt" in str(refused.value)


def test_a_model_without_layers_is_refused() -> None:
    with pytest.raises(ModelError, match="no list of layers"):
        encoder_layers(torch.nn.Linear(2, 2))


# --- several heads -------------------------------------------------------------------------------


def test_a_row_without_a_label_for_a_head_teaches_that_head_nothing(
    encoder: Model, tune: Tune, questions: Questions, scored: Scored
) -> None:
    scored([0.0, 1.0])
    labels = questions.labels
    some = np.where(np.arange(len(labels)) % 4 < 2, labels, -1)
    none = np.full(len(labels), -1)
    tuned = tune(encoder, epochs=1, labels={"intent": labels, "topic": some, "mood": none})
    assert tuned.heads["intent"].weight.any()
    assert tuned.heads["topic"].weight.any()
    assert not tuned.heads["mood"].weight.any()


def test_a_head_is_scored_on_the_rows_that_have_its_label(
    encoder: Model, tune: Tune, questions: Questions
) -> None:
    half = np.where(np.arange(32) < 28, questions.labels, -1)
    tuned = tune(encoder, epochs=0, labels={"intent": questions.labels, "topic": half})
    assert tuned.history[0]["accuracy"] == 0.5


def test_without_any_label_to_judge_by_the_score_is_zero_and_not_no_number(
    encoder: Model, tune: Tune, questions: Questions
) -> None:
    blind = np.where(np.arange(32) < 24, questions.labels, -1)
    tuned = tune(encoder, epochs=1, labels={"intent": blind})
    assert [h["accuracy"] for h in tuned.history] == [0, 0]


# --- rates and batches ---------------------------------------------------------------------------


def groups(encoder: Model, **config: Any) -> list[dict[str, Any]]:
    settings = FineTuneConfig(**config)
    start = {"intent": Linear(np.zeros((32, 2), np.float32), np.zeros(2, np.float32))}
    encoder, layers = finetune._prepare(encoder, settings)
    module = ClassifierModule(encoder, "mean", start, {"intent": np.zeros(1, int)}, settings)
    return tuning.parameter_groups(module, layers, settings)


def test_the_learning_rate_warms_up_and_decays(
    encoder: Model, tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    step = torch.optim.AdamW.step

    def spy(self: Any, *args: Any, **kwargs: Any) -> Any:
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    tune(encoder, epochs=10, batch_size=24, patience=99, head_learning_rate=1.0, warmup=0.2)
    assert rates[:3] == pytest.approx([0.0, 0.5, 1.0])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(1 / 8)


def test_a_layer_learns_slower_than_the_one_above(encoder: Model) -> None:
    found = groups(encoder, learning_rate=1.0, layer_decay=0.5)
    assert [group["lr"] for group in found[1:]] == [1.0, 1.0, 0.5, 0.5]


def test_weight_decay_spares_heads_biases_and_norms(encoder: Model) -> None:
    for group in groups(encoder, weight_decay=0.01):
        matrices = all(p.ndim > 1 for p in group["params"])
        assert (group["weight_decay"] > 0) == (matrices and group["lr"] != 1e-3)


def test_texts_are_cut_in_training_and_not_where_they_are_served(
    encoder: Model, tune: Tune, questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    widths: set[int] = set()
    forward = ClassifierModule.forward

    def spy(self: Any, input_ids: Any, attention_mask: Any, rows: Any) -> Any:
        widths.add(input_ids.shape[1])
        return forward(self, input_ids, attention_mask, rows)

    monkeypatch.setattr(ClassifierModule, "forward", spy)
    tune(encoder, epochs=1, max_tokens=4)
    assert widths == {4}
    assert max(map(len, questions.sequences)) > 4


def test_other_tokens_for_a_row_are_trained_on_and_cut(
    encoder: Model, tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[tuple[int, int]] = set()
    seen: set[int] = set()
    forward = ClassifierModule.forward

    def spy(self: Any, input_ids: Any, attention_mask: Any, rows: Any) -> Any:
        seen.update(input_ids.flatten().tolist())
        return forward(self, input_ids, attention_mask, rows)

    def vary(epoch: int, row: int) -> np.ndarray:
        asked.add((epoch, row))
        return np.full(99, 7)

    monkeypatch.setattr(ClassifierModule, "forward", spy)
    tune(encoder, epochs=2, vary=vary)
    assert asked == {(epoch, row) for epoch in range(2) for row in range(24)}, "no held-out row"
    assert seen == {7}


def test_each_epoch_is_told(encoder: Model, tune: Tune, scored: Scored) -> None:
    scored([0.5, 0.75])
    log = io.StringIO()
    tune(encoder, epochs=1, progress=Progress(log))
    last = log.getvalue().splitlines()[-1]
    assert last.startswith("epoch 1: loss 0.6")
    assert last.endswith("held-out accuracy 0.750")


def test_without_rows_to_judge_by_the_mean_that_was_asked_for_stays(
    encoder: Model, tune: Tune
) -> None:
    everything = Fold(np.arange(32), np.arange(0))
    before = weights(encoder)
    last = tune(copy.deepcopy(encoder), epochs=2, keep="last", fold=everything)
    mean = tune(encoder, epochs=2, keep="last", fold=everything, average=2)
    assert differing(weights(mean.model), weights(last.model))
    assert differing(weights(mean.model), before)
