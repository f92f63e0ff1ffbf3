"""Does tuning learn from the training rows alone, and keep the epoch that validation liked best?"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ModelError
from core.inference.export import load_torch_encoder
from core.inference.tokenizer import TextTokenizer
from core.models import resolve_model
from core.progress import Progress
from core.training.finetune import FineTuneConfig, FineTuned, _Run, fine_tune
from core.training.heads import Linear
from core.training.rows import Fold

Model = Any
TEXTS = [
    f"{opening} {question} {i}"
    for i in range(8)
    for opening in ("hello", "please")
    for question in ("where is my order", "i want my money back")
]
LABELS = np.arange(len(TEXTS)) % 2
FOLD = Fold(np.arange(24), np.arange(24, 32))
START = Linear(np.zeros((32, 2), dtype=np.float32), np.zeros(2, dtype=np.float32))


@pytest.fixture
def model(tiny_base_model: Path) -> Model:
    return load_torch_encoder(resolve_model(str(tiny_base_model)))


@pytest.fixture(scope="module")
def sequences(tiny_base_model: Path) -> list[np.ndarray]:
    tokenizer = TextTokenizer(tiny_base_model / "tokenizer.json", 64)
    return [tokens.ids for tokens in tokenizer.encode(TEXTS)]


@pytest.fixture
def tune(sequences: list[np.ndarray]) -> Callable[..., FineTuned]:
    def tune(model: Model, *, start: Linear = START, seed: int = 0, **config: Any) -> FineTuned:
        return fine_tune(
            model,
            "mean",
            sequences,
            {"intent": LABELS},
            {"intent": start},
            FOLD,
            FineTuneConfig(**({"epochs": 2, "batch_size": 8} | config)),
            seed=seed,
            threads=1,
        )

    return tune


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
def scored(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[float]], list[Any]]:
    """Say in advance what validation finds, before the first epoch and after each.

    The list given back fills with the weights as they were at each of these moments.
    """

    def scored(scores: Sequence[float]) -> list[Any]:
        seen: list[Any] = []
        coming = iter(scores)

        def score(self: _Run, rows: np.ndarray) -> float:
            assert rows is FOLD.held_out
            seen.append((weights(self.model), self.linear_heads()["intent"]))
            return next(coming)

        monkeypatch.setattr(_Run, "score", score)
        return seen

    return scored


# --- which epoch ---------------------------------------------------------------------------------


def test_the_weights_of_the_best_epoch_are_kept_and_tuning_stops_when_patience_ends(
    model: Model, tune: Callable[..., FineTuned], scored: Callable[..., list[Any]]
) -> None:
    seen = scored([0.5, 0.6, 0.9, 0.8, 0.9, 1.0])
    tuned = tune(model, epochs=5, patience=2)
    assert tuned.best_epoch == 2
    assert [entry["epoch"] for entry in tuned.history] == [0, 1, 2, 3, 4], "the fifth never ran"
    best_weights, best_head = seen[2]
    assert not differing(weights(model), best_weights)
    assert differing(weights(model), seen[4][0])
    np.testing.assert_array_equal(tuned.heads["intent"].weight, best_head.weight)
    np.testing.assert_array_equal(tuned.heads["intent"].bias, best_head.bias)


def test_where_no_epoch_is_better_the_model_stays_what_it_was(
    model: Model, tune: Callable[..., FineTuned], scored: Callable[..., list[Any]]
) -> None:
    before = weights(model)
    scored([0.9, 0.8, 0.9])
    tuned = tune(model, epochs=5, patience=2)
    assert tuned.best_epoch == 0
    assert not differing(weights(model), before)
    np.testing.assert_array_equal(tuned.heads["intent"].weight, START.weight)


def test_a_better_epoch_renews_the_patience(
    model: Model, tune: Callable[..., FineTuned], scored: Callable[..., list[Any]]
) -> None:
    scored([0.1, 0.1, 0.2, 0.2, 0.3, 0.3])
    assert tune(model, epochs=5, patience=2).best_epoch == 4


def test_a_limit_of_time_ends_tuning_between_epochs(
    model: Model, tune: Callable[..., FineTuned]
) -> None:
    assert len(tune(model, epochs=5, patience=9, max_minutes=0.0).history) == 2


# --- what is learnt ------------------------------------------------------------------------------


def test_a_task_that_can_be_learnt_is_learnt(model: Model, tune: Callable[..., FineTuned]) -> None:
    tuned = tune(model, epochs=10, learning_rate=2e-3, head_learning_rate=0.2, patience=10)
    assert tuned.history[0]["accuracy"] == 0.5
    assert tuned.history[tuned.best_epoch]["accuracy"] == 1.0
    losses = [entry["loss"] for entry in tuned.history[1:]]
    assert losses[-1] < losses[0]


def test_only_training_rows_reach_the_loss(
    model: Model, tune: Callable[..., FineTuned], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    loss = _Run._loss

    def spy(self: _Run, embeddings: Any, batch: np.ndarray) -> Any:
        seen.extend(batch.tolist())
        return loss(self, embeddings, batch)

    monkeypatch.setattr(_Run, "_loss", spy)
    tune(model, epochs=2, patience=9)
    assert sorted(seen) == sorted([*FOLD.train, *FOLD.train]), "each of them once an epoch"


def test_the_layers_change_and_the_token_embeddings_do_not(
    model: Model, tune: Callable[..., FineTuned], scored: Callable[..., list[Any]]
) -> None:
    before = weights(model)
    scored([0.0, 0.1, 0.2])
    tune(model)
    changed = differing(weights(model), before)
    assert any(name.startswith("encoder.layer.0") for name in changed)
    assert any(name.startswith("encoder.layer.1") for name in changed)
    assert not any(name.startswith("embeddings") for name in changed)
    assert all(p.grad is None for p in model.embeddings.parameters()), "nor is time lost on them"


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    tiny_base_model: Path, tune: Callable[..., FineTuned], scored: Callable[..., list[Any]]
) -> None:
    found = []
    for seed in (1, 1, 2):
        scored([0.0, 0.1, 0.2])
        fresh = load_torch_encoder(resolve_model(str(tiny_base_model)))
        tuned = tune(fresh, seed=seed)
        found.append((weights(fresh), tuned))
    assert not differing(found[0][0], found[1][0])
    np.testing.assert_array_equal(
        found[0][1].heads["intent"].weight, found[1][1].heads["intent"].weight
    )
    assert differing(found[0][0], found[2][0])


def test_the_tuned_model_is_left_ready_to_serve(
    model: Model, tune: Callable[..., FineTuned]
) -> None:
    tune(model)
    assert not model.training, "no dropout in what is exported"


def test_a_loss_that_is_no_number_ends_tuning_with_the_mend(
    model: Model, tune: Callable[..., FineTuned]
) -> None:
    endless = Linear(np.full((32, 2), np.inf, dtype=np.float32), START.bias)
    with pytest.raises(ModelError, match="no number any more") as refused:
        tune(model, start=endless)
    assert "fast preset" in str(refused.value)


# --- several heads -------------------------------------------------------------------------------


def several(model: Model, sequences: list[np.ndarray], labels: dict[str, np.ndarray]) -> FineTuned:
    start = dict.fromkeys(labels, START)
    config = FineTuneConfig(epochs=1, batch_size=8)
    return fine_tune(model, "mean", sequences, labels, start, FOLD, config, seed=0, threads=1)


def test_a_row_without_a_label_for_a_head_teaches_that_head_nothing(
    model: Model, sequences: list[np.ndarray], scored: Callable[..., list[Any]]
) -> None:
    scored([0.0, 1.0])
    some = np.where(np.arange(len(TEXTS)) % 4 < 2, LABELS, -1)
    none = np.full(len(TEXTS), -1)
    tuned = several(model, sequences, {"intent": LABELS, "topic": some, "mood": none})
    assert tuned.heads["intent"].weight.any()
    assert tuned.heads["topic"].weight.any()
    assert not tuned.heads["mood"].weight.any()


def test_a_head_is_scored_on_the_rows_that_have_its_label(
    model: Model, sequences: list[np.ndarray]
) -> None:
    half = np.where(np.arange(len(TEXTS)) < 28, LABELS, -1)
    tuned = several(model, sequences, {"intent": LABELS, "topic": half})
    assert tuned.history[0]["accuracy"] == 0.5


def test_without_any_label_to_judge_by_the_score_is_zero_and_not_no_number(
    model: Model, sequences: list[np.ndarray]
) -> None:
    blind = np.where(np.arange(len(TEXTS)) < 24, LABELS, -1)
    assert [h["accuracy"] for h in several(model, sequences, {"intent": blind}).history] == [0, 0]


# --- rates and batches ---------------------------------------------------------------------------


@pytest.fixture
def run(model: Model, sequences: list[np.ndarray]) -> Callable[..., _Run]:
    def make(**config: Any) -> _Run:
        return _Run(
            model,
            "mean",
            sequences,
            {"intent": LABELS},
            {"intent": START},
            FineTuneConfig(**config),
            np.random.default_rng(0),
        )

    return make


def test_the_learning_rate_warms_up_and_decays_to_nothing(run: Callable[..., _Run]) -> None:
    optimizer, schedule = run(head_learning_rate=1.0, warmup=0.2).optimizer(10)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0)


def test_a_layer_learns_slower_than_the_one_above(run: Callable[..., _Run]) -> None:
    groups = run(learning_rate=1.0, layer_decay=0.5)._parameter_groups()
    assert [group["lr"] for group in groups[1:]] == [1.0, 1.0, 0.5, 0.5]


def test_weight_decay_spares_heads_biases_and_norms(run: Callable[..., _Run]) -> None:
    for group in run(weight_decay=0.01)._parameter_groups():
        matrices = all(p.ndim > 1 for p in group["params"])
        assert (group["weight_decay"] > 0) == (matrices and group["lr"] != 1e-3)


def test_batches_hold_texts_of_like_length_and_each_row_once(
    model: Model, run: Callable[..., _Run]
) -> None:
    chosen = run(batch_size=4)
    chosen.sequences = [np.zeros(2 + 10 * (i % 4), dtype=np.int64) for i in range(32)]
    batches = chosen._training_batches(np.arange(32))
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(32))
    assert all(len({len(chosen.sequences[row]) for row in batch}) == 1 for batch in batches)
    again = chosen._training_batches(np.arange(32))
    assert [b.tolist() for b in batches] != [b.tolist() for b in again], "not in the same order"


def test_texts_are_cut_in_training(run: Callable[..., _Run]) -> None:
    assert max(map(len, run(max_tokens=4).sequences)) == 4


def test_label_smoothing_keeps_the_loss_of_a_sure_answer_up(run: Callable[..., _Run]) -> None:
    import torch

    embeddings = torch.zeros(1, 32)
    embeddings[0, 0] = 1.0
    losses = []
    for smoothing in (0.0, 0.5):
        chosen = run(label_smoothing=smoothing)
        with torch.no_grad():
            chosen.heads["intent"].weight[0, 0] = 50.0
        losses.append(float(chosen._loss(embeddings, np.array([0])).detach()))
    assert losses[0] == pytest.approx(0.0, abs=1e-3)
    assert losses[1] > 5


def test_each_epoch_is_told(
    model: Model, sequences: list[np.ndarray], scored: Callable[..., list[Any]]
) -> None:
    scored([0.5, 0.75])
    log = io.StringIO()
    labels, start = {"intent": LABELS}, {"intent": START}
    config = FineTuneConfig(epochs=1, batch_size=8)
    fine_tune(
        model, "mean", sequences, labels, start, FOLD, config,
        seed=0, threads=1, progress=Progress(log),
    )  # fmt: skip
    last = log.getvalue().splitlines()[-1]
    assert last.startswith("epoch 1: loss ")
    assert last.endswith("held-out accuracy 0.750")
