"""Does every adapter learn, alone, and is what it learnt what is served?"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from core.inference.encoder import EncoderConfig, TextEncoder
from core.inference.export import export_encoder, load_torch_encoder, pool, text_room
from core.inference.onnx_session import pad
from core.models import BaseModel, resolve_model
from core.training.adapters import orthogonality, with_adapter
from core.training.config import ADAPTERS, FineTuneConfig
from core.training.finetune import FineTuned

Tune = Callable[..., FineTuned]
MERGED = ("lora", "adalora", "ia3")
VIRTUAL = ("prefix", "prompt")
RANK = 3


@pytest.fixture(scope="module")
def base(tiny_base_model: Path) -> BaseModel:
    return resolve_model(str(tiny_base_model))


@pytest.fixture(scope="module")
def embed(questions: SimpleNamespace) -> Callable[[Any], np.ndarray]:
    """Unit embeddings of the questions in torch, short and long ones in one batch."""

    def embed(model: Any) -> np.ndarray:
        ids, mask = (torch.from_numpy(a) for a in pad(questions.sequences))
        with torch.no_grad():
            hidden = model.eval()(input_ids=ids, attention_mask=mask).last_hidden_state
        return np.asarray(pool(hidden[:, -ids.shape[1] :], mask, "mean"))

    return embed


@pytest.fixture(scope="module")
def tuned(
    base: BaseModel, tune: Tune, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], SimpleNamespace]:
    """The tiny model with an adapter tuned for two epochs, and its export; each kind once."""
    found: dict[str, SimpleNamespace] = {}

    def tuned(kind: str) -> SimpleNamespace:
        if kind not in found:
            with pytest.MonkeyPatch.context() as patch:
                scores = iter([0.0, 0.1, 0.2])
                patch.setattr("core.training.finetune._score", lambda *of: next(scores))
                result = tune(
                    load_torch_encoder(base), tune=kind, adapter_rank=RANK, learning_rate=0.05
                )
            folder = tmp_path_factory.mktemp(kind)
            export_encoder(result.model, base, folder)
            found[kind] = SimpleNamespace(result=result, folder=folder)
        return found[kind]

    return tuned


def graph_of(folder: Path) -> tuple[dict[str, Any], int]:
    """(names and shapes of the inputs, bytes of the file)."""
    path = folder / "model.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return {i.name: i.shape for i in session.get_inputs()}, path.stat().st_size


@pytest.mark.parametrize("kind", ADAPTERS)
def test_training_changes_what_the_encoder_says(
    kind: str, tuned: Any, base: BaseModel, embed: Any
) -> None:
    before = embed(load_torch_encoder(base))
    assert np.abs(embed(tuned(kind).result.model) - before).max() > 1e-2


@pytest.mark.parametrize("kind", ADAPTERS)
def test_only_the_adapter_learns(kind: str, base: BaseModel) -> None:
    before = {n: p.clone() for n, p in load_torch_encoder(base).named_parameters()}
    config = FineTuneConfig(tune=kind, adapter_rank=RANK)  # type: ignore[arg-type]
    model = with_adapter(load_torch_encoder(base), config)
    learning = {n for n, p in model.named_parameters() if p.requires_grad}
    assert learning
    assert all(any(word in n for word in ("lora_", "ia3_", "prompt_")) for n in learning)
    inside = {
        n.replace(".base_layer", "").split("model.")[-1]: p for n, p in model.named_parameters()
    }
    assert all(torch.equal(inside[n], before[n]) for n in before if not n.startswith("pooler"))


@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_weights_of_the_encoder_itself_stay_where_they_cannot_be_merged(
    kind: str, tuned: Any, base: BaseModel
) -> None:
    before = load_torch_encoder(base).state_dict()
    model = tuned(kind).result.model
    after = (model.get_base_model() if kind in VIRTUAL else model).state_dict()
    assert set(after) == set(before), "nothing of peft is left in it"
    moved = {
        n for n in before if not n.startswith("pooler") and not torch.equal(after[n], before[n])
    }
    assert bool(moved) == (kind in MERGED)
    assert all(n.endswith("weight") and ".layer." in n for n in moved)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_heads_learn_beside_it(kind: str, tuned: Any) -> None:
    assert tuned(kind).result.heads["intent"].weight.any()


@pytest.mark.parametrize("kind", ADAPTERS)
def test_what_is_exported_says_what_torch_says_at_any_size_of_batch(
    kind: str, tuned: Any, embed: Any, questions: SimpleNamespace
) -> None:
    served = TextEncoder.load(tuned(kind).folder, threads=1)
    expected = embed(tuned(kind).result.model)
    for rows in (range(1), range(5), range(len(questions.sequences))):
        ids, mask = pad([questions.sequences[row] for row in rows])
        found = served._session._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        np.testing.assert_allclose(found, expected[list(rows)], atol=1e-4)


@pytest.mark.parametrize("kind", MERGED)
def test_what_is_merged_is_served_by_the_same_graph(
    kind: str, tuned: Any, base: BaseModel, tmp_path: Path
) -> None:
    export_encoder(load_torch_encoder(base), base, tmp_path)
    assert graph_of(tuned(kind).folder) == graph_of(tmp_path)


@pytest.mark.parametrize("kind", VIRTUAL)
def test_virtual_tokens_are_part_of_the_graph_and_take_room_from_the_text(
    kind: str, tuned: Any, base: BaseModel, tmp_path: Path
) -> None:
    plain = load_torch_encoder(base)
    export_encoder(plain, base, tmp_path)
    folder = tuned(kind).folder
    assert graph_of(folder)[0] == graph_of(tmp_path)[0], "asked for nothing but the text"
    assert text_room(plain) - text_room(tuned(kind).result.model) == RANK
    assert EncoderConfig.load(folder).max_length == 64 - RANK
    longest = TextEncoder.load(folder, threads=1).encode(["rain " * 100]).embeddings
    assert np.isfinite(longest).all()


@pytest.mark.parametrize("kind", VIRTUAL)
def test_where_no_epoch_is_better_the_encoder_is_given_back_without_virtual_tokens(
    kind: str, base: BaseModel, tune: Tune, embed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.finetune._score", lambda *of: 0.5)
    tuned = tune(load_torch_encoder(base), tune=kind, adapter_rank=RANK)
    assert tuned.best_epoch == 0
    np.testing.assert_array_equal(embed(tuned.model), embed(load_torch_encoder(base)))


@pytest.mark.parametrize("kind", MERGED)
def test_where_no_epoch_is_better_nothing_is_merged(
    kind: str, base: BaseModel, tune: Tune, embed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.finetune._score", lambda *of: 0.5)
    tuned = tune(load_torch_encoder(base), tune=kind, adapter_rank=RANK)
    np.testing.assert_array_equal(embed(tuned.model), embed(load_torch_encoder(base)))


@pytest.mark.parametrize("kind", ["all", *ADAPTERS])
def test_an_adversary_may_be_beside_it(
    kind: str, base: BaseModel, tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.0, 0.1])
    monkeypatch.setattr("core.training.finetune._score", lambda *of: next(scores))
    settings = {"tune": kind, "adapter_rank": RANK, "adversarial": "pgd"}
    assert tune(load_torch_encoder(base), epochs=1, **settings).best_epoch == 1


# --- AdaLoRA -------------------------------------------------------------------------------------


def test_adalora_gives_up_a_third_of_its_ranks_by_the_end(
    base: BaseModel, tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks: list[int] = []

    def score(module: Any, *of: Any) -> float:
        diagonals = [p for n, p in module.encoder.named_parameters() if "lora_E" in n]
        ranks.append(sum(int((p != 0).sum()) for p in diagonals))
        return float(len(ranks))

    monkeypatch.setattr("core.training.finetune._score", score)
    tune(load_torch_encoder(base), tune="adalora", adapter_rank=4, epochs=6)
    matrices = 12  # six of each of two layers
    assert ranks[-1] == 4 * matrices, "of six each"
    assert ranks[1] > ranks[-1]


def test_adaloras_matrices_are_kept_near_orthogonal(base: BaseModel) -> None:
    config = FineTuneConfig(tune="adalora", adapter_rank=2)
    model = with_adapter(load_torch_encoder(base), config)
    before = orthogonality(model)
    assert before > 0
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                torch.nn.init.orthogonal_(p)
    assert float(orthogonality(model).detach()) == pytest.approx(0, abs=1e-5)


def test_the_penalty_is_that_of_peft(base: BaseModel) -> None:
    """peft adds it to the loss of a model that gives one."""
    model = with_adapter(load_torch_encoder(base), FineTuneConfig(tune="adalora", adapter_rank=2))

    class Said:
        loss = torch.zeros(())

    model.base_model.model.forward = lambda *args, **kwargs: Said
    torch.testing.assert_close(model.base_model(None).loss, orthogonality(model))


def test_nothing_is_warned_of_when_an_adapter_is_made(base: BaseModel) -> None:
    model = load_torch_encoder(base)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with_adapter(model, FineTuneConfig(tune="lora"))
