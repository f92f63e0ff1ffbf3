"""Do the edits leave the text's meaning alone, and are they drawn as promised?"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError, InvalidInput
from core.inference.tokenizer import TextTokenizer
from core.training.augment import (
    Augmenter,
    augment,
    read_synonyms,
    typed_wrongly,
    varying,
)

ALWAYS = Augmenter(typo=1.0, drop=1.0, swap=1.0, synonym=1.0)
NEVER = Augmenter(typo=0.0, drop=0.0, swap=0.0, synonym=0.0)
LONG = "please tell me where the parcel with my new winter jacket went"

PARTS = st.sampled_from(
    [
        *("where", "is", "Parcel", "don't", "not", "refund,", "12", "3.5%", "A-7", "two"),
        *("me@x.org", "[email]", "[card number]", "{name}", "退", "款", "不", "三", "到账"),
        *("?", "  ", "\n", "é"),
    ]
)
TEXTS = st.lists(PARTS, max_size=14).map(" ".join) | st.text(max_size=40)
SEEDS = st.integers(0, 2**32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def edited(augmenter: Augmenter, text: str, draws: int = 200) -> set[str]:
    """All that many draws make of a text."""
    generator = rng()
    return {augmenter(text, generator) for _ in range(draws)}


# --- what holds for any text ---------------------------------------------------------------------


@given(TEXTS, SEEDS)
def test_a_text_that_says_something_never_becomes_empty(text: str, seed: int) -> None:
    assert bool(ALWAYS(text, rng(seed)).strip()) == bool(text.strip())


@given(TEXTS, SEEDS)
def test_numbers_stay_what_they_are_and_in_their_order(text: str, seed: int) -> None:
    def numbers(of: str) -> list[str]:
        return [c for c in of if c.isnumeric()]

    assert numbers(ALWAYS(text, rng(seed))) == numbers(text)


@given(st.lists(PARTS, max_size=14).map(" ".join), SEEDS)
def test_placeholders_addresses_number_words_and_negations_stay(text: str, seed: int) -> None:
    kept = re.compile(r"\[[a-z ]+\]|\{name\}|me@x\.org|3\.5%|A-7|two|not|don't|不")
    assert kept.findall(ALWAYS(text, rng(seed))) == kept.findall(text)


@given(TEXTS, SEEDS)
def test_the_same_generator_gives_the_same_text(text: str, seed: int) -> None:
    assert augment(text, rng(seed)) == augment(text, rng(seed))


@given(TEXTS, SEEDS)
def test_without_a_rate_the_text_is_its_own(text: str, seed: int) -> None:
    assert NEVER(text, rng(seed)) == text


@given(TEXTS, SEEDS)
def test_swapping_alone_loses_nothing(text: str, seed: int) -> None:
    swapped = Augmenter(typo=0, drop=0, swap=1, synonym=0)(text, rng(seed))
    assert sorted(swapped) == sorted(text)


@given(st.text("abcdefgh", min_size=2, max_size=12), SEEDS)
def test_a_typing_error_keeps_the_first_letter_and_changes_two_others_at_most(
    word: str, seed: int
) -> None:
    wrong = typed_wrongly(word, rng(seed))
    assert wrong[0] == word[0]
    assert abs(len(wrong) - len(word)) <= 1
    if len(wrong) == len(word):
        assert sum(a != b for a, b in zip(word, wrong, strict=True)) <= 2


# --- each edit -----------------------------------------------------------------------------------


def test_typing_errors_are_a_key_beside_two_letters_swapped_one_dropped_or_one_doubled() -> None:
    seen = edited(Augmenter(typo=1, drop=0, swap=0, synonym=0), "my order is", 600)
    assert {"my oeder is", "my ordre is", "my orer is", "my ordder is"} <= seen
    assert all(text.startswith("my o") and text.endswith(" is") for text in seen), (
        "short words stay"
    )


def test_capital_letters_stay_capital() -> None:
    assert all(t.isupper() for t in edited(Augmenter(typo=1, drop=0, swap=0), "WHERE ARE YOU NOW"))


def test_a_quarter_of_the_words_is_dropped_at_most() -> None:
    words = LONG.split()
    for text in edited(Augmenter(typo=0, drop=1, swap=0, synonym=0), LONG):
        assert len(text.split()) == len(words) - len(words) // 4
        assert "  " not in text and text == text.strip(), "the space goes with the word"


def test_words_change_places_with_their_neighbours_only() -> None:
    seen = edited(Augmenter(typo=0, drop=0, swap=0.5, synonym=0), "alpha, beta gamma")
    assert seen == {"alpha, beta gamma", "alpha, gamma beta"}, "a comma keeps them apart"


def test_chinese_is_edited_by_character() -> None:
    dropped = edited(Augmenter(typo=0, drop=0.5, swap=0, synonym=0), "我要退款")
    assert dropped == {"我要退款", "要退款", "我退款", "我要款", "我要退"}
    swapped = edited(Augmenter(typo=0, drop=0, swap=0.5, synonym=0), "我要钱")
    assert swapped == {"我要钱", "要我钱", "我钱要"}, "one step at most"


@pytest.mark.parametrize("text", ["refund please", "refund 12", "[email] refund", "refund"])
def test_a_text_of_fewer_than_three_words_gets_one_typing_error_and_nothing_else(text: str) -> None:
    for other in edited(ALWAYS, text):
        pairs = zip(text.split(), other.split(), strict=True)
        assert sum(old != new for old, new in pairs) <= 1


def test_two_chinese_characters_are_left_alone() -> None:
    assert edited(ALWAYS, "退款") == {"退款"}


def test_a_rate_outside_its_range_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"rate of drop must be in \[0, 1\], was: 1.5"):
        Augmenter(drop=1.5)


# --- synonyms ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("where is my parcel", "where is my package"),
        ("Parcel lost in transit", "Package lost in transit"),
        ("MY PARCEL IS LOST", "MY PACKAGE IS LOST"),
        ("my parcels are lost", "my parcels are lost"),
        ("我要退款啊", "我要退钱啊"),
        ("我要退啊", "我要还啊"),
    ],
)
def test_a_synonym_takes_the_place_and_the_case_of_its_word(text: str, expected: str) -> None:
    synonyms = {"parcel": ("package",), "退款": ("退钱",), "退": ("还",)}
    edit = Augmenter(typo=0, drop=0, swap=0, synonym=1, synonyms=synonyms)
    assert edit(text, rng()) == expected, "of Chinese the longest word that is known"


def test_all_synonyms_of_a_word_are_drawn() -> None:
    edit = Augmenter(typo=0, drop=0, swap=0, synonym=1, synonyms={"big": ("large", "huge")})
    assert edited(edit, "a big box") == {"a large box", "a huge box"}


def test_synonyms_are_read_from_a_file_of_pairs(tmp_path: Path) -> None:
    path = tmp_path / "synonyms.csv"
    path.write_text("word,synonym\nParcel,package\nparcel,box\nparcel,box\n退款,退钱\n", "utf-8")
    assert read_synonyms(path) == {"parcel": ("package", "box"), "退款": ("退钱",)}


def test_a_pair_with_a_hole_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "synonyms.csv"
    path.write_text("word,synonym\nparcel,package\nbox,\n", "utf-8")
    with pytest.raises(DataError, match="synonym") as caught:
        read_synonyms(path)
    assert caught.value.line == 3


# --- in training ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer(tiny_base_model: Path) -> TextTokenizer:
    return TextTokenizer(tiny_base_model / "tokenizer.json", 64)


def test_a_row_varies_by_epoch_and_the_same_way_again(tokenizer: TextTokenizer) -> None:
    texts = [LONG, LONG]
    vary = varying(texts, tokenizer, 1.0, seed=3, augmenter=ALWAYS)
    again = varying(texts, tokenizer, 1.0, seed=3, augmenter=ALWAYS)
    seen = {}
    for epoch in range(4):
        for row in (1, 0):  # the order of asking does not matter
            tokens = vary(epoch, row)
            assert tokens is not None
            seen[epoch, row] = tuple(tokens)
    for (epoch, row), tokens in seen.items():
        np.testing.assert_array_equal(again(epoch, row), tokens)
    assert len(set(seen.values())) > 4, "epochs and rows differ"
    other = varying(texts, tokenizer, 1.0, seed=4, augmenter=ALWAYS)
    assert any(tuple(other(*key)) != tokens for key, tokens in seen.items())


def test_the_stated_share_of_rows_varies(tokenizer: TextTokenizer) -> None:
    texts = [LONG] * 400
    varied = varying(texts, tokenizer, 0.25, seed=0, augmenter=ALWAYS)
    assert sum(varied(0, row) is not None for row in range(400)) == pytest.approx(100, abs=30)
    none = varying(texts, tokenizer, 0.0, seed=0, augmenter=ALWAYS)
    assert all(none(0, row) is None for row in range(400))


def test_a_text_that_no_edit_touched_is_its_own(tokenizer: TextTokenizer) -> None:
    assert varying([LONG], tokenizer, 1.0, seed=0, augmenter=NEVER)(0, 0) is None
