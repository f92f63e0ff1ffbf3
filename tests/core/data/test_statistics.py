"""What do statistics say of labelled rows, and which rows does deduplication drop?"""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.records import LabeledText
from core.data.statistics import data_statistics, deduplicate
from core.text import comparison_key


def row(line: int, text: str, intent: str) -> LabeledText:
    return LabeledText(text, {"intent": intent}, line)


ROWS = [
    row(2, "Where is my order?", "status"),
    row(3, "where is my order", "status"),
    row(4, "where is my order!", "refund"),
    row(5, "I would like to have my money back for this lamp", "refund"),
    row(6, "I would like to have my money back for the lamp", "refund"),
    row(7, "退货费多少", "fee"),
]
some_rows = st.lists(
    st.tuples(st.sampled_from(["hi", "Hi!", "bye", "where is it", ""]), st.sampled_from("ab"))
).map(lambda pairs: [row(i, text, label) for i, (text, label) in enumerate(pairs, start=2)])


def test_classes_are_counted_the_largest_first_and_small_ones_named() -> None:
    found = data_statistics(ROWS, "intent")
    assert (found.rows, found.classes) == (6, 3)
    assert list(found.counts.items()) == [("refund", 3), ("status", 2), ("fee", 1)]
    assert found.largest_share == 0.5
    assert found.small_classes == ("fee", "refund", "status")
    assert data_statistics([ROWS[0]] * 5, "intent").small_classes == ()


def test_lengths_are_quantiles_that_occur_and_a_chinese_character_is_a_word() -> None:
    found = data_statistics(ROWS, "intent")
    assert found.characters["0"] == 5
    assert found.characters["1"] == 48
    assert found.words == {
        **{"0": 4.0, "0.05": 4.0, "0.25": 4.0, "0.5": 4.0},
        **{"0.75": 11.0, "0.95": 11.0, "1": 11.0},
    }
    assert data_statistics([ROWS[-1]], "intent").words["0.5"] == 5


def test_repeats_near_repeats_and_conflicts_are_named_by_their_lines() -> None:
    found = data_statistics(ROWS, "intent")
    [same] = found.exact
    assert (same.text, same.lines) == ("Where is my order?", (2, 3, 4))
    [near] = found.near
    assert near.lines == (5, 6)
    assert 0.8 <= near.similarity < 1
    [conflict] = found.conflicts
    assert conflict.labels == ("refund", "status")
    assert conflict.lines == (2, 3, 4)


def test_the_threshold_says_what_is_near() -> None:
    assert data_statistics(ROWS, "intent", threshold=0.95).near == ()


def test_languages_are_told_by_script() -> None:
    assert data_statistics(ROWS, "intent").languages == {"en": 5, "zh": 1}


def test_figures_can_be_written_as_json() -> None:
    figures = data_statistics(ROWS, "intent").to_json()
    assert json.loads(json.dumps(figures))["exact"][0]["lines"] == [2, 3, 4]


def test_no_rows_have_no_quantiles() -> None:
    found = data_statistics([], "intent")
    assert (found.rows, found.largest_share, found.characters) == (0, 0.0, {})


# --- deduplication -------------------------------------------------------------------------------


def test_the_first_row_of_a_text_and_label_stays_and_conflicts_are_reported() -> None:
    result = deduplicate(ROWS, "intent")
    assert [kept.line for kept in result.rows] == [2, 4, 5, 6, 7]
    assert [dropped.line for dropped in result.dropped] == [3]
    assert [conflict.lines for conflict in result.conflicts] == [(2, 4)]


@settings(deadline=None)
@given(some_rows)
def test_every_row_stays_or_is_dropped_and_none_is_left_to_drop(rows: list[LabeledText]) -> None:
    result = deduplicate(rows, "intent")
    assert sorted(r.line for r in (*result.rows, *result.dropped)) == [r.line for r in rows]
    assert deduplicate(result.rows, "intent").dropped == ()
    keys = {(comparison_key(r.text), r.labels["intent"]) for r in rows}
    assert len(result.rows) == len(keys)


@pytest.mark.parametrize("head", ["topic"])
def test_a_head_that_rows_do_not_have_is_an_error(head: str) -> None:
    with pytest.raises(KeyError):
        data_statistics(ROWS, head)
