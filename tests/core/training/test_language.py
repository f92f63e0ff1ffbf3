"""Does a base model learn to guess hidden words, and can what it becomes be used as one?"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.data.records import LabeledText
from core.errors import Conflict, DataError, InvalidInput, ModelRefused
from core.inference.export import load_torch_encoder
from core.models import resolve_model
from core.testing.tiny import tiny_base_model as make_tiny_base_model
from core.training.classifier import train_classifier
from core.training.language import RECORD, LanguageConfig, MaskedLanguageModule, pretrain
from core.training.loop import RunOptions
from core.training.masking import IGNORED, MaskedRows, WordTokenizer, WordTokens, collate_masked

WORDS = ("where", "is", "my", "order", "and", "when", "will", "it", "arrive")
TEXTS = [
    f"{opening} {middle} {end}"
    for opening in ("where is", "when will", "i want")
    for middle in ("my order", "my money", "this phone", "the item")
    for end in ("back", "arrive", "and why", "for it", "123")
]
CONFIG = LanguageConfig(epochs=3, batch_size=8, learning_rate=1e-3, head_learning_rate=1e-2)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a token for hidden words, cls pooling and a limit of its own."""
    sentences = [*TEXTS, "why 退 款 [MASK]"]
    folder = make_tiny_base_model(tmp_path_factory.mktemp("language") / "base", sentences)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}', encoding="utf-8")
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 32}', encoding="utf-8")
    (folder / "README.md").write_text("not copied", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def tokenizer(base: Path) -> WordTokenizer:
    return WordTokenizer(base / "tokenizer.json", 32)


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("pretrained") / "model"
    result = pretrain(TEXTS, folder, base_model=str(base), config=CONFIG, threads=1)
    return SimpleNamespace(folder=folder, result=result)


# --- which words are hidden ----------------------------------------------------------------------


def test_the_pieces_of_a_word_are_hidden_together(tokenizer: WordTokenizer) -> None:
    texts = ["zebra xylo order kiwi", "where yacht is it mango plum"]
    rows = MaskedRows(tokenizer.encode(texts), tokenizer, 0.4, seed=0)
    for epoch in range(30):
        for row, text in enumerate(tokenizer.encode(texts)):
            _, labels = rows[epoch, row]
            hidden = set(text.words[labels != IGNORED])
            assert all((labels[text.words == word] != IGNORED).all() for word in hidden)
            assert -1 not in hidden, "special tokens are never guessed"


def test_chinese_characters_are_words_of_their_own(tokenizer: WordTokenizer) -> None:
    (text,) = tokenizer.encode(["退款退款"])
    assert text.words.tolist() == [-1, 0, 1, 2, 3, -1]


def test_a_word_of_many_tokens_counts_as_many(tokenizer: WordTokenizer) -> None:
    (text,) = tokenizer.encode(["order abcdefghij kiwi"])
    assert text.words.tolist() == [-1, 0, *range(1, 11), 11, 11, 11, 11, -1]


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=20), st.integers(0, 99))
def test_the_stated_share_of_the_words_is_hidden_and_one_at_least(
    words: list[str], epoch: int
) -> None:
    text = WordTokens(np.arange(len(words)) + 5, np.arange(len(words), dtype=np.int32))
    masks = SimpleNamespace(mask_id=4, size=90)
    _, labels = MaskedRows([text], masks, 0.15, seed=1)[epoch, 0]  # type: ignore[arg-type]
    hidden = labels != IGNORED
    assert hidden.sum() == max(1, round(0.15 * len(words)))
    np.testing.assert_array_equal(labels[hidden], text.ids[hidden])


def test_of_hidden_tokens_eight_in_ten_are_masked_and_one_becomes_another() -> None:
    count = 4000
    text = WordTokens(np.full(count, 7), np.arange(count, dtype=np.int32))
    masks = SimpleNamespace(mask_id=4, size=1000)
    ids, labels = MaskedRows([text], masks, 0.5, seed=0)[0, 0]  # type: ignore[arg-type]
    hidden = labels != IGNORED
    assert (ids[hidden] == 4).mean() == pytest.approx(0.8, abs=0.03)
    assert (ids[hidden] == 7).mean() == pytest.approx(0.1, abs=0.03)
    assert (ids[~hidden] == 7).all()


def test_other_words_are_hidden_in_another_epoch_and_the_same_in_the_same(
    tokenizer: WordTokenizer,
) -> None:
    rows = MaskedRows(tokenizer.encode(TEXTS), tokenizer, 0.3, seed=5)
    again = MaskedRows(tokenizer.encode(TEXTS), tokenizer, 0.3, seed=5)
    np.testing.assert_array_equal(rows[1, 7][1], again[1, 7][1])
    assert any((rows[0, row][1] != rows[1, row][1]).any() for row in range(len(TEXTS)))


def test_a_text_without_words_hides_nothing(tokenizer: WordTokenizer) -> None:
    rows = MaskedRows(tokenizer.encode([""]), tokenizer, 0.15, seed=0)
    assert (rows[0, 0][1] == IGNORED).all()


def test_padding_is_not_guessed(tokenizer: WordTokenizer) -> None:
    rows = MaskedRows(tokenizer.encode(["where is my order", "it"]), tokenizer, 1.0, seed=0)
    batch = collate_masked([rows[0, 0], rows[0, 1]])
    assert batch["labels"].shape == batch["input_ids"].shape == (2, 6)
    assert (batch["labels"][1, 3:] == IGNORED).all()


def test_a_vocabulary_without_a_mask_is_refused(tiny_base_model: Path) -> None:
    with pytest.raises(ModelRefused, match=r"none of the tokens \[MASK\]"):
        WordTokenizer(tiny_base_model / "tokenizer.json", 32)


# --- what is learnt ------------------------------------------------------------------------------


def test_held_out_words_are_guessed_better_afterwards(trained: SimpleNamespace) -> None:
    result = trained.result
    assert (result.texts, result.held_out) == (60, 3)
    assert result.loss_after < result.loss_before - 0.5
    assert [entry["epoch"] for entry in result.history] == [0, 1, 2, 3]


def test_the_loss_is_that_of_the_tied_output_layer(base: Path) -> None:
    encoder = load_torch_encoder(resolve_model(str(base)))
    module = MaskedLanguageModule(encoder, 100).eval()
    names = {name for name, _ in module.named_parameters() if not name.startswith("encoder.")}
    assert names == {"dense.weight", "dense.bias", "norm.weight", "norm.bias", "bias"}
    ids = torch.tensor([[2, 5, 6, 3]])
    labels = torch.tensor([[IGNORED, 9, IGNORED, IGNORED]])
    said = module(ids, torch.ones_like(ids), labels)
    hidden = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0, 1]
    guess = torch.nn.functional.layer_norm(torch.nn.functional.gelu(hidden), (32,))
    logits = encoder.get_input_embeddings().weight @ guess
    assert said["loss"].item() == pytest.approx(-logits.log_softmax(0)[9].item(), rel=1e-4)
    assert int(said["count"]) == 1


def test_the_same_seed_gives_the_same_weights(
    base: Path, tmp_path: Path, trained: SimpleNamespace
) -> None:
    again = pretrain(TEXTS, tmp_path / "again", base_model=str(base), config=CONFIG, threads=1)
    assert again == trained.result
    weights = (tmp_path / "again" / "model.safetensors").read_bytes()
    assert weights == (trained.folder / "model.safetensors").read_bytes()


def test_a_run_that_goes_on_ends_as_one_that_was_never_stopped(
    base: Path, tmp_path: Path, trained: SimpleNamespace
) -> None:
    folder = tmp_path / "checkpoints"
    stopped = LanguageConfig(**{**vars(CONFIG), "max_minutes": 0.0})
    options: dict[str, Any] = {"base_model": str(base), "threads": 1}
    first = pretrain(
        TEXTS,
        tmp_path / "first",
        config=stopped,
        options=RunOptions(checkpoints=folder),
        **options,
    )
    assert len(first.history) == 2
    second = pretrain(
        TEXTS,
        tmp_path / "second",
        config=CONFIG,
        options=RunOptions(checkpoints=folder, resume=True),
        **options,
    )
    assert second == trained.result


# --- the folder ----------------------------------------------------------------------------------


def test_the_folder_is_a_base_model_with_the_pooling_and_the_limit_of_the_old_one(
    base: Path, trained: SimpleNamespace
) -> None:
    found, old = resolve_model(str(trained.folder)), resolve_model(str(base))
    assert (found.pooling, found.max_length) == (old.pooling, old.max_length) == ("cls", 32)
    assert found.sha256 != old.sha256
    assert not (trained.folder / "README.md").exists()
    before, after = (load_torch_encoder(m).state_dict() for m in (old, found))
    assert not torch.equal(
        before["embeddings.word_embeddings.weight"], after["embeddings.word_embeddings.weight"]
    )


def test_a_record_lies_beside_the_weights(base: Path, trained: SimpleNamespace) -> None:
    record = json.loads((trained.folder / RECORD).read_text(encoding="utf-8"))
    assert record["base_model"] == str(base)
    assert record["loss_after"] == trained.result.loss_after
    assert record["config"]["mask_share"] == 0.15


def test_a_classifier_can_be_trained_on_it(
    trained: SimpleNamespace, shop_rows: list[LabeledText], tmp_path: Path
) -> None:
    result = train_classifier(
        shop_rows, ("intent",), folder=tmp_path, base_model=str(trained.folder), threads=1
    )
    assert result.base.path == trained.folder


def test_a_folder_that_holds_something_is_left_alone(base: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(Conflict, match="is there already"):
        pretrain(TEXTS, tmp_path, base_model=str(base))
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_one_text_is_not_enough(base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 2 different texts, found 1"):
        pretrain(["same", "same"], tmp_path / "model", base_model=str(base))


@pytest.mark.parametrize("wrong", [{"mask_share": 0.0}, {"mask_share": 1.5}, {"epochs": 0}])
def test_a_setting_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="must be"):
        LanguageConfig(**wrong)
