"""Is the chosen sequence the best valid one, and a span's confidence its true probability?

The fast sums are compared with all sequences written out.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.tagged import Span
from core.inference.bio import best_path, run_probabilities, tag_names, tags_of_words, word_runs

LABELS = ("a", "b")
TAGS = 5


def valid(tags: tuple[int, ...]) -> bool:
    return all(
        tag == 0 or tag % 2 == 1 or (i > 0 and tags[i - 1] in (tag, tag - 1))
        for i, tag in enumerate(tags)
    )


def all_valid(count: int) -> list[tuple[int, ...]]:
    return [tags for tags in itertools.product(range(TAGS), repeat=count) if valid(tags)]


def random_logits(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=3, size=(count, TAGS))


def test_tags_are_o_and_two_a_label() -> None:
    assert tag_names(LABELS) == ("O", "B-a", "I-a", "B-b", "I-b")


def test_a_span_tags_every_word_it_touches() -> None:
    words = np.array([[0, 3], [4, 8], [9, 12], [13, 15]])
    assert tags_of_words(words, [Span(5, 12, "b")], LABELS).tolist() == [0, 3, 4, 0]


def test_neighbouring_spans_stay_two() -> None:
    words = np.array([[0, 3], [4, 8]])
    tags = tags_of_words(words, [Span(0, 3, "a"), Span(4, 8, "a")], LABELS)
    assert tags.tolist() == [1, 1]
    assert word_runs(tags) == [(0, 1, 0), (1, 2, 0)]


def test_a_word_of_two_spans_belongs_to_the_first() -> None:
    tags = tags_of_words(np.array([[0, 8]]), [Span(4, 8, "b"), Span(0, 3, "a")], LABELS)
    assert tags.tolist() == [1]


def test_no_words_have_no_path() -> None:
    assert best_path(np.empty((0, TAGS))).tolist() == []


def test_an_inside_that_nothing_began_is_never_chosen() -> None:
    logits = np.array([[0.0, -9, 9, -9, -9], [0.0, -9, -9, -9, 9]])
    assert valid(tuple(best_path(logits).tolist()))


@given(st.integers(1, 5), st.integers(0, 10_000))
def test_the_path_is_the_best_of_all_valid_ones(count: int, seed: int) -> None:
    logits = random_logits(count, seed)
    path = tuple(best_path(logits).tolist())
    assert valid(path)
    rows = np.arange(count)
    best = max(logits[rows, list(tags)].sum() for tags in all_valid(count))
    assert logits[rows, list(path)].sum() == pytest.approx(best)


@given(st.integers(1, 5), st.integers(0, 10_000))
def test_the_confidence_is_the_share_of_sequences_that_hold_the_span(count: int, seed: int) -> None:
    logits = random_logits(count, seed)
    weights = {
        tags: float(np.exp(logits[np.arange(count), list(tags)].sum())) for tags in all_valid(count)
    }
    runs = sorted({run for tags in weights for run in word_runs(np.array(tags))})
    for run, probability in zip(runs, run_probabilities(logits, runs), strict=True):
        held = sum(w for tags, w in weights.items() if run in word_runs(np.array(tags)))
        assert probability == pytest.approx(held / sum(weights.values()), rel=1e-6)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12))
def test_tags_and_runs_tell_the_same(kinds: list[int]) -> None:
    """0: outside, 1: begins a new span of a, 2: of b; each word is three characters."""
    words = np.array([[4 * i, 4 * i + 3] for i in range(len(kinds))])
    spans = [Span(4 * i, 4 * i + 3, LABELS[k - 1]) for i, k in enumerate(kinds) if k]
    runs = word_runs(tags_of_words(words, spans, LABELS))
    found = [Span(int(words[s, 0]), int(words[e - 1, 1]), LABELS[k]) for s, e, k in runs]
    assert found == spans
