"""What does reading a file promise, and which line does each complaint name?"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.readers import iterate_table, read_table
from core.errors import DataError


@pytest.fixture
def write(tmp_path: Path):
    def _write(content: str | bytes, name: str = "rows.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return _write


def test_rows_hold_columns_and_know_their_line(write) -> None:
    rows = read_table(write("text,intent\nhello,greet\n\nbye,leave\n"), ["text", "intent"])
    assert rows == [{"text": "hello", "intent": "greet"}, {"text": "bye", "intent": "leave"}]
    assert [row.line for row in rows] == [2, 4]


def test_a_row_is_named_by_the_line_where_it_starts(write) -> None:
    rows = read_table(write('text\n"two\nlines"\nnext\n'), ["text"])
    assert [(row["text"], row.line) for row in rows] == [("two\nlines", 2), ("next", 4)]


def test_byte_order_mark_and_crlf_are_accepted(write) -> None:
    rows = read_table(write(b"\xef\xbb\xbftext,intent\r\nhi,greet\r\n"), ["text", "intent"])
    assert rows == [{"text": "hi", "intent": "greet"}]


def test_extra_columns_are_kept_and_missing_optional_ones_are_none(write) -> None:
    (row,) = read_table(write("text,locale\nhi,en\n"), ["text"], ["intent"])
    assert row == {"text": "hi", "locale": "en", "intent": None}


def test_tabs_part_the_columns_of_a_tsv(write) -> None:
    assert read_table(write("text\tx\na,b\t1\n", "r.tsv"), ["text"]) == [{"text": "a,b", "x": "1"}]


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("text\nfine\ncaf\xe9\n".encode("latin-1"), 3, "found byte 0xe9 at position 4"),
        ("text\nhi\n".encode("utf-16"), 1, "expected UTF-8, found UTF-16"),
        (b"text\nhi\nn\0l\n", 3, "a NUL byte"),
        (b"", 1, "the file is empty"),
        (b"text,intent\nhi\n", 2, "expected 2 values as in the first line, found 1"),
        (b"text,intent\nhi,a,b\n", 2, "expected 2 values as in the first line, found 3"),
        (b"text,text\nhi,a\n", 1, "column `text` stands twice"),
        (b'text\nfine\n"open\nmore\nmore\n', 3, "a quote that opens here is never closed"),
        (b'text\n"a"b\n', 2, "not valid CSV"),
        (b"text\rhi\r", 1, "a carriage return without a line feed"),
        (b"utterance,intent\nhi,a\n", 1, "column `text` missing; found columns `utterance`"),
        (b"text;intent\nhi;a\n", 1, "parted by semicolons; export with commas"),
        (b'text\n"' + b"x" * 140_000 + b"\n", 2, "longer than 131,072 characters"),
    ],
)
def test_a_bad_csv_is_named_by_its_line(write, content: bytes, line: int, said: str) -> None:
    required = ["text", "intent"] if b";" in content else ["text"]
    with pytest.raises(DataError) as caught:
        read_table(write(content), required)
    assert caught.value.line == line
    assert said in str(caught.value)
    assert "rows.csv, line" in str(caught.value)


def test_a_header_without_rows_is_refused_unless_allowed(write) -> None:
    path = write("text\n")
    with pytest.raises(DataError, match="the file has no rows"):
        read_table(path, ["text"])
    assert read_table(path, ["text"], allow_empty=True) == []


def test_a_wrong_extension_names_the_right_ones(write) -> None:
    with pytest.raises(DataError, match=r"\.csv, \.tsv, \.jsonl"):
        read_table(write("x", "rows.xlsx"), ["text"])


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_table(tmp_path / "none.csv", ["text"])
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="this is a folder"):
        read_table(tmp_path / "folder.csv", ["text"])


def test_rows_come_as_a_stream_before_a_later_fault_is_met(write) -> None:
    rows = iterate_table(write(b"text\nfine\n\xff\n"), ["text"])
    assert next(rows) == {"text": "fine"}
    with pytest.raises(DataError, match="line 3"):
        next(rows)


def test_json_lines_keep_their_types(write) -> None:
    content = '{"text": "hi", "tags": ["a"]}\n\n{"text": "退货", "price": 1.5}\n'
    rows = read_table(write(content, "r.jsonl"), ["text"])
    assert rows == [{"text": "hi", "tags": ["a"]}, {"text": "退货", "price": 1.5}]
    assert [row.line for row in rows] == [1, 3]


def test_an_escaped_backslash_before_u0000_is_no_nul(write) -> None:
    assert read_table(write('{"text": "\\\\u0000"}', "r.jsonl"), ["text"])[0]["text"] == "\\u0000"


@pytest.mark.parametrize(
    ("second_line", "said"),
    [
        ("{broken", "not valid JSON at column 2"),
        ("[1, 2]", "expected a JSON object, found a list"),
        ('{"texte": "x"}', "column `text` missing; found column `texte`"),
        ('{"text": NaN}', "NaN is no JSON number"),
        ('{"text": "\\ud83d"}', "half of a surrogate pair"),
        ('{"text": "a\\u0000"}', "a NUL character"),
        ('{"text": ' + "[" * 100_000, "not usable JSON"),
        ("9" * 5000, "not usable JSON"),
    ],
)
def test_bad_json_is_named_by_its_line(write, second_line: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read_table(write(f'{{"text": "fine"}}\n{second_line}\n', "r.jsonl"), ["text"])
    assert caught.value.line == 2
    assert said in str(caught.value)


def test_a_yaml_list_gives_rows_with_lines(write) -> None:
    rows = read_table(write("# list\n- text: hi\n  n: 1\n- {text: bye}\n", "r.yaml"), ["text"])
    assert rows == [{"text": "hi", "n": 1}, {"text": "bye"}]
    assert [row.line for row in rows] == [2, 4]


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("text: hi\n", 1, "expected a YAML list"),
        ("- text: hi\n- just words\n", 2, "expected `column: value` pairs"),
        ("- text: hi\n- intent: x\n", 2, "column `text` missing"),
        ("- text: 'open\n", 2, "not valid YAML"),
        ("- text: !!python/object/apply:os.getcwd []\n", 1, "not valid YAML"),
        ("", None, "the file has no rows"),
    ],
)
def test_bad_yaml_is_named_by_its_line(write, content: str, line: int | None, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read_table(write(content, "r.yml"), ["text"])
    assert caught.value.line == line
    assert said in str(caught.value)


def test_parquet_rows_are_named_by_their_number(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "r.parquet"
    parquet.write_table(arrow.table({"text": ["hi", "bye"], "n": [1, 2]}), path)
    rows = read_table(path, ["text"])
    assert rows == [{"text": "hi", "n": 1}, {"text": "bye", "n": 2}]
    assert [row.line for row in rows] == [1, 2]
    with pytest.raises(DataError, match="column `intent` missing; found columns `text`, `n`"):
        read_table(path, ["intent"])


def test_a_broken_parquet_file_is_a_data_error(write) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_table(write(b"PAR1 nonsense", "r.parquet"), ["text"])


def test_parquet_without_pyarrow_says_what_to_install(
    write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'trefoil\[train\]'"):
        read_table(write(b"", "r.parquet"), ["text"])


cell = st.text(
    alphabet=st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=20
)


@given(rows=st.lists(st.tuples(cell, cell).filter(any), min_size=1, max_size=8))
def test_what_the_csv_module_writes_is_read_back(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("a", "b"), *rows])
    assert [(row["a"], row["b"]) for row in read_table(path, ["a", "b"])] == rows
