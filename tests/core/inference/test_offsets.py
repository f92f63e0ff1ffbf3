"""Do words have the offsets that the text as it came gives them?"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ModelCorrupt
from core.inference.offsets import WordTokenizer


@pytest.fixture(scope="module")
def tokenizer(tiny_base_model: Path) -> WordTokenizer:
    return WordTokenizer(tiny_base_model / "tokenizer.json", 64)


def words(tokenizer: WordTokenizer, text: str) -> list[str]:
    (found,) = tokenizer.encode([text])
    return [text[start:end] for start, end in found.offsets.tolist()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my zzyx order", ["my", "zzyx", "order"]),
        ("S&P, 500", ["S", "&", "P", ",", "500"]),
        ("  Café\u0301  ", ["Café\u0301"]),
        ("从北京 to 上海", ["从", "北", "京", "to", "上", "海"]),
        ("", []),
        (" \n", []),
    ],
)
def test_words_are_whole_and_chinese_characters_are_words(
    tokenizer: WordTokenizer, text: str, expected: list[str]
) -> None:
    assert words(tokenizer, text) == expected


def test_the_first_token_of_a_word_speaks_for_it(tokenizer: WordTokenizer) -> None:
    (found,) = tokenizer.encode(["my zzyx order"])
    # [CLS] my z ##z ##y ##x order [SEP]
    assert found.first.tolist() == [1, 2, 6]
    assert len(found.ids) == 8


def test_a_long_text_is_cut_after_a_whole_number_of_words_and_says_so(
    tokenizer: WordTokenizer,
) -> None:
    (found,) = tokenizer.encode(["order " * 100])
    assert len(found.ids) == 64
    assert found.read == 62 * 6 - 1
    (whole,) = tokenizer.encode(["order " * 5])
    assert whole.read == 30


def test_a_text_of_many_characters_a_token_is_cut_too(tokenizer: WordTokenizer) -> None:
    text = "order" + " " * 5000 + "order"
    (found,) = tokenizer.encode([text])
    assert found.read == 5


def test_a_broken_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelCorrupt, match="no readable tokenizer"):
        WordTokenizer(tmp_path / "tokenizer.json", 8)


@given(text=st.text(max_size=60))
def test_words_of_any_text_are_ordered_inside_it_and_without_spaces_at_the_ends(
    tokenizer: WordTokenizer, text: str
) -> None:
    (found,) = tokenizer.encode([text])
    end_before = 0
    for start, end in found.offsets.tolist():
        assert end_before <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        end_before = end
    assert found.first.tolist() == sorted(set(found.first.tolist()))
    assert len(found.first) == len(found.offsets)
