"""Does every error say in one line what happened and how to mend it?"""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from core import errors

TREE = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.TrefoilError)
]


def test_an_error_reads_as_message_and_mend() -> None:
    error = errors.NotFound("there is no model", mend="Run: trefoil train.")
    assert str(error) == "there is no model. Run: trefoil train."


def test_without_a_mend_the_message_stands_alone() -> None:
    assert str(errors.NotFound("there is no model")) == "there is no model"


@pytest.mark.parametrize("end", [".", "!", "?", "。"])
def test_a_message_that_ends_a_sentence_gets_no_second_full_stop(end: str) -> None:
    assert str(errors.NotFound(f"gone{end}", mend="Look.")) == f"gone{end} Look."


def test_an_error_is_one_line_whatever_it_quotes() -> None:
    assert str(errors.NotFound("two\nlines\r\n  here", mend="a\tb")) == "two lines here. a b"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"path": "T.csv", "line": 7}, "T.csv, line 7: no label"),
        ({"path": "T.csv"}, "T.csv: no label"),
        ({"line": 7}, "line 7: no label"),
        ({}, "no label"),
    ],
)
def test_a_data_error_names_its_place(place: dict[str, object], said: str) -> None:
    assert str(errors.DataError("no label", **place)) == said


def test_the_tree_at_the_top_of_the_file_names_every_error() -> None:
    drawn = errors.__doc__ or ""
    missing = [kind.__name__ for kind in TREE if kind.__name__ not in drawn]
    assert missing == ["_TryLater"]


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_errors_survive_the_way_to_another_process(kind: type[errors.TrefoilError]) -> None:
    error = kind("what happened", mend="Mend it.")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is kind
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)


def test_details_survive_too() -> None:
    error = errors.DataError("no label", "T.csv", 7)
    assert pickle.loads(pickle.dumps(error)).line == 7
    assert pickle.loads(pickle.dumps(errors.Overloaded("full", retry_after=2.5))).retry_after == 2.5


def test_every_error_says_in_its_docstring_what_it_is() -> None:
    assert all(kind.__doc__ for kind in TREE)
