"""Does any string become tokens, and is it known how much of it the encoder can read?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ModelCorrupt
from core.inference.tokenizer import TextTokenizer


@pytest.fixture(scope="session")
def tokenizer(tiny_base_model: Path) -> TextTokenizer:
    return TextTokenizer(tiny_base_model / "tokenizer.json", 64)


@pytest.fixture(scope="session")
def ids(tiny_base_model: Path) -> dict[str, int]:
    content = json.loads((tiny_base_model / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary: dict[str, int] = content["model"]["vocab"]
    return vocabulary


def test_known_words_are_read_whole(tokenizer: TextTokenizer, ids: dict[str, int]) -> None:
    [tokens] = tokenizer.encode(["where is my order"])
    words = ["[CLS]", "where", "is", "my", "order", "[SEP]"]
    assert tokens.ids.tolist() == [ids[word] for word in words]
    assert tokens.unknown_share == 0


def test_results_are_in_the_order_of_the_texts_and_not_padded(tokenizer: TextTokenizer) -> None:
    texts = ["where is my order", "money", "i want my money back"]
    lengths = [len(tokens.ids) for tokens in tokenizer.encode(texts)]
    assert lengths == [6, 3, 7]


def test_no_texts_give_no_tokens(tokenizer: TextTokenizer) -> None:
    assert tokenizer.encode([]) == []


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\x00", "\x00\x00"])
def test_a_text_without_anything_to_read_counts_as_unreadable(
    tokenizer: TextTokenizer, text: str
) -> None:
    [tokens] = tokenizer.encode([text])
    assert len(tokens.ids) == 2, "the two special tokens"
    assert tokens.unknown_share == 1.0


def test_a_nul_byte_inside_a_text_does_no_harm(tokenizer: TextTokenizer) -> None:
    [with_nul, without] = tokenizer.encode(["where\x00 is", "where is"])
    assert with_nul.ids.tolist() == without.ids.tolist()


def test_a_megabyte_is_cut_to_the_limit(tokenizer: TextTokenizer) -> None:
    [tokens, endless_word] = tokenizer.encode(["order " * 170_000, "x" * 1_000_000])
    assert len(tokens.ids) == 64
    assert tokens.unknown_share == 0
    assert len(endless_word.ids) <= 64


def test_only_a_bounded_part_of_a_text_ever_reaches_the_tokenizer(
    tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    class Spy:
        def encode_batch(self, texts: list[str]) -> list[object]:
            seen.extend(texts)
            return []

    monkeypatch.setattr(tokenizer, "_tokenizer", Spy())
    tokenizer.encode(["order " * 170_000])
    assert len(seen[0]) == 64 * 16


def test_a_lone_surrogate_is_read_as_an_unknown_character(tokenizer: TextTokenizer) -> None:
    [tokens] = tokenizer.encode(["my order \ud83d"])
    assert tokens.unknown_share == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("where is my order", 0.0),
        ("where is my order 🎧", 0.2),
        ("🎧🎧", 1.0),
        ("我的订单在哪里", 1.0),
        ("order 订单", 2 / 3),
        ("أين طلبي", 1.0),
    ],
)
def test_the_share_of_unknown_tokens_says_how_much_can_be_read(
    tokenizer: TextTokenizer, text: str, share: float
) -> None:
    [tokens] = tokenizer.encode([text])
    assert tokens.unknown_share == pytest.approx(share)


def test_an_unknown_token_counts_also_where_the_tokenizer_lists_it_as_special(
    tiny_base_model: Path, tmp_path: Path, ids: dict[str, int]
) -> None:
    content = json.loads((tiny_base_model / "tokenizer.json").read_text(encoding="utf-8"))
    content["added_tokens"] = [
        {
            **{"id": ids[name], "content": name, "special": True, "normalized": False},
            **{"single_word": False, "lstrip": False, "rstrip": False},
        }
        for name in ("[UNK]", "[CLS]", "[SEP]")
    ]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    [tokens] = TextTokenizer(path, 64).encode(["order 订"])
    assert tokens.unknown_share == pytest.approx(0.5)


@pytest.mark.parametrize("content", ["", "{}", "[1]", "{half"])
def test_a_broken_tokenizer_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ModelCorrupt, match=r"tokenizer\.json is no readable tokenizer"):
        TextTokenizer(path, 64)


@given(st.lists(st.text(st.characters()), max_size=5))  # surrogates too
def test_any_strings_are_taken(tokenizer: TextTokenizer, texts: list[str]) -> None:
    for tokens in tokenizer.encode(texts):
        assert 2 <= len(tokens.ids) <= 64
        assert 0 <= tokens.unknown_share <= 1
