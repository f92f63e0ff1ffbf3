"""A sheet is opened and not run, and read back as it was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.readers import read_table
from core.errors import InvalidInput
from services.customer_service.sheets import guarded, unguarded, write_sheet

CELLS = ["=1+1", "+49 30", "-5 degrees", "@sum", "'=quoted", "''=twice", "it's", "'tis", "＝1"]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@a", "\tx", "\rx", "＝1"])
def test_a_cell_that_would_run_gets_an_apostrophe(cell: str) -> None:
    assert guarded(cell) == f"'{cell}"


@given(st.text(alphabet="'=+-@\t\ra ", max_size=6) | st.text())
def test_a_guard_can_be_taken_off_again(cell: str) -> None:
    assert unguarded(guarded(cell)) == cell
    assert not guarded(cell).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_cell_that_a_person_typed_stays_as_it_is() -> None:
    assert unguarded("=typed by hand") == "=typed by hand"


def test_a_sheet_opens_in_spreadsheet_programs_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    write_sheet(path, ("a", "b"), [(cell, '退货 "x", y') for cell in CELLS])
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfa,b\r\n")
    rows = read_table(path, ["a", "b"])
    assert [unguarded(row["a"]) for row in rows] == CELLS
    assert rows[0]["b"] == '退货 "x", y'


def test_another_name_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"ends in \.csv"):
        write_sheet(tmp_path / "sheet.xlsx", ("a",), [])
    assert list(tmp_path.iterdir()) == []
