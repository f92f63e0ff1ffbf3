"""Is the tiny base model a real one to all the code that meets it?"""

from __future__ import annotations

from pathlib import Path

from core.inference.tokenizer import TextTokenizer
from core.models import resolve_model
from core.testing.tiny import tiny_base_model as make


def test_it_is_a_verified_folder_like_any_other(tiny_base_model: Path) -> None:
    found = resolve_model(str(tiny_base_model))
    assert (found.pooling, found.max_length) == ("mean", 64)


def test_every_latin_text_can_be_read_and_no_chinese_one(tiny_base_model: Path) -> None:
    tokenizer = TextTokenizer(tiny_base_model / "tokenizer.json", 64)
    shares = [
        tokens.unknown_share
        for tokens in tokenizer.encode(["Zyzzyva 42 quux", "where is my order", "订单"])
    ]
    assert shares == [0, 0, 1]


def test_its_vocabulary_may_be_that_of_ones_own_sentences(tmp_path: Path) -> None:
    folder = make(tmp_path / "own", ["zyzzyva beetles"])
    [tokens] = TextTokenizer(folder / "tokenizer.json", 64).encode(["zyzzyva"])
    assert len(tokens.ids) == 3


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    digests = [
        resolve_model(str(make(tmp_path / name, seed=seed))).sha256
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_making_it_says_nothing(tmp_path: Path, capfd: object) -> None:
    make(tmp_path / "quiet")
    shown = capfd.readouterr()  # type: ignore[attr-defined]
    assert (shown.out, shown.err) == ("", "")
