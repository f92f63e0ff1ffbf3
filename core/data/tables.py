"""How does a file become checked rows, each knowing its line?

CSV, TSV, JSONL, YAML and Parquet. Files are read as a stream in strict UTF-8 (a byte order mark is
accepted) and every complaint names the line. What a column means is told in `texts`, `shop` and
`stories`; here a row is only a mapping with the required columns in it.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from core.errors import DataError

EXTENSIONS = (".csv", ".tsv", ".jsonl", ".ndjson", ".yaml", ".yml", ".parquet")

_UTF8_MEND = "Save the file as UTF-8."
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
_JSON_MEND = "Write one flat JSON object a line."
# What is told of a row that is passed over.
Skip = Callable[[DataError], None]
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class Row(dict[str, Any]):
    """One row: column → value (text from CSV and TSV, whatever was stored from the others)."""

    __slots__ = ("line",)

    def __init__(self, values: Mapping[str, Any], line: int) -> None:
        super().__init__(values)
        self.line = line


def read_table(
    path: str | Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    allow_empty: bool = False,
) -> list[Row]:
    """All rows of a file. See `iterate_table`."""
    return list(iterate_table(path, required, optional, allow_empty=allow_empty))


def unless_skipped(error: DataError, skip: Skip | None) -> None:
    """Raise the error of a bad row, or tell it to `skip` and go on without the row."""
    if skip is None:
        raise error
    skip(error)


def iterate_table(
    path: str | Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    allow_empty: bool = False,
    skip: Skip | None = None,
    extension: str = "",
) -> Iterator[Row]:
    """The rows of a file, one at a time.

    Every row has the `required` columns. `optional` columns that the file or the row lacks are
    None; further columns are kept. Raises DataError, with path and line, for: no such file, a wrong
    extension, an encoding other than UTF-8, NUL bytes, a missing or double column, too few or too
    many values, an unbalanced quote, broken JSON or YAML, and no rows at all unless `allow_empty`.

    With `skip` it is told of a bad row of CSV, TSV or JSONL, and reading goes on behind it; what
    is wrong with the file as a whole is raised all the same. `extension` is the one to read the
    file by, where that is not its own.
    """
    path = Path(path)
    reader = _READERS.get(extension or path.suffix.lower())
    if reader is None:
        raise DataError(
            f"expected a file ending in one of {', '.join(EXTENSIONS)}",
            path,
            mend="Rename it, or export it as CSV in UTF-8.",
        )
    if not path.is_file():
        what = "this is a folder, not a file" if path.is_dir() else "there is no such file"
        raise DataError(what, path, mend="Check the path.")
    found = False
    for row in reader(path, required, skip):
        found = True
        yield _with_optional(row, optional)
    if not found and not allow_empty:
        raise DataError(
            "the file has no rows", path, mend=f"Add rows with {_columns(required)} in them."
        )


def _with_optional(row: Row, optional: Sequence[str]) -> Row:
    for column in optional:
        row.setdefault(column)
    return row


def _columns(names: Sequence[str]) -> str:
    return ("column " if len(names) == 1 else "columns ") + ", ".join(f"`{n}`" for n in names)


def _check_columns(
    found: Sequence[str], required: Sequence[str], path: Path, line: int, mend: str = ""
) -> None:
    missing = [column for column in required if column not in found]
    if missing:
        raise DataError(
            f"{_columns(missing)} missing; found {_columns(found[:20]) if found else 'none'}",
            path,
            line,
            mend=mend or "Add or rename the column; names are lower-case and exact.",
        )


# --- lines -------------------------------------------------------------------------------------


def _decoded_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file with their ends, as a stream."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                yield _decoded(raw, path, number)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path) from error


def _decoded(raw: bytes, path: Path, number: int) -> str:
    if number == 1:
        if raw.startswith(_WIDE_MARKS):
            raise DataError("expected UTF-8, found UTF-16", path, 1, mend=_UTF8_MEND)
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in raw:
        raise DataError("a NUL byte in the text", path, number, mend=_UTF8_MEND)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = raw[error.start]
        raise DataError(
            f"expected UTF-8, found byte 0x{bad:02x} at position {error.start + 1} of the line",
            path,
            number,
            mend=_UTF8_MEND,
        ) from error


# --- CSV and TSV -------------------------------------------------------------------------------


def _read_csv(path: Path, required: Sequence[str], skip: Skip | None) -> Iterator[Row]:
    return _read_delimited(path, required, skip, ",")


def _read_tsv(path: Path, required: Sequence[str], skip: Skip | None) -> Iterator[Row]:
    return _read_delimited(path, required, skip, "\t")


def _read_delimited(
    path: Path, required: Sequence[str], skip: Skip | None, delimiter: str
) -> Iterator[Row]:
    records = _csv_records(path, delimiter)
    line, header = next(records, (1, []))
    header = [name.strip() for name in header]
    if not header:
        raise DataError(
            "the file is empty", path, 1, mend=f"Its first line names the {_columns(required)}."
        )
    double = sorted({name for name in header if name and header.count(name) > 1})
    if double:
        raise DataError(f"{_columns(double)} stands twice", path, line, mend="Rename one.")
    _check_columns(header, required, path, line, _delimiter_mend(header, delimiter))
    for line, values in records:
        if len(values) != len(header):
            wrong = DataError(
                f"expected {len(header)} values as in the first line, found {len(values)}",
                path,
                line,
                mend="Put quotes around a value that holds the delimiter or a line break.",
            )
            unless_skipped(wrong, skip)
            continue
        yield Row(dict(zip(header, values, strict=True)), line)


def _csv_records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line where the record starts, values); empty lines are skipped."""
    reader = csv.reader(_decoded_lines(path), delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            _raise_csv_error(error, path, start)
        if values:
            yield start, values


def _raise_csv_error(error: csv.Error, path: Path, line: int) -> NoReturn:
    reason = str(error)
    mend = 'A quote inside a quoted value is written twice ("").'
    if "unexpected end of data" in reason:
        raise DataError("a quote that opens here is never closed", path, line, mend=mend) from error
    if "field limit" in reason:
        raise DataError(
            f"a value longer than {csv.field_size_limit():,} characters starts here, or a quote "
            "that opens here is never closed",
            path,
            line,
            mend=mend,
        ) from error
    if "new-line character" in reason:
        raise DataError(
            "a carriage return without a line feed",
            path,
            line,
            mend="Save the file with LF or CRLF line ends.",
        ) from error
    raise DataError(f"not valid CSV: {reason}", path, line, mend=mend) from error


def _delimiter_mend(header: Sequence[str], delimiter: str) -> str:
    other = next((d for d in (";", "\t", ",") if d != delimiter and d in header[0]), None)
    if len(header) > 1 or other is None:
        return ""
    names = {";": "semicolons", "\t": "tabs", ",": "commas"}
    return f"The columns seem to be parted by {names[other]}; export with {names[delimiter]}."


# --- JSON lines --------------------------------------------------------------------------------


def _read_jsonl(path: Path, required: Sequence[str], skip: Skip | None) -> Iterator[Row]:
    for line, text in enumerate(_decoded_lines(path), start=1):
        if not text.strip():
            continue
        try:
            yield _json_row(text, required, path, line)
        except DataError as error:
            unless_skipped(error, skip)


def _json_row(text: str, required: Sequence[str], path: Path, line: int) -> Row:
    value = _parse_json(text, path, line)
    if not isinstance(value, dict):
        raise DataError(
            f"expected a JSON object, found {_kind(value)}", path, line, mend=_JSON_MEND
        )
    _check_columns(list(value), required, path, line)
    return Row(value, line)


def _parse_json(text: str, path: Path, line: int) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise DataError(f"{constant} is no JSON number", path, line, mend="Use null.")

    try:
        value = json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise DataError(
            f"not valid JSON at column {error.colno}: {error.msg}",
            path,
            line,
            mend=_JSON_MEND,
        ) from error
    except (RecursionError, ValueError) as error:
        raise DataError(f"not usable JSON: {error}", path, line, mend=_JSON_MEND) from error
    if "\\u" in text:
        _refuse_unstorable(value, path, line)
    return value


def _refuse_unstorable(value: object, path: Path, line: int) -> None:
    """Escapes can smuggle in what UTF-8 and databases cannot hold: NUL and half surrogate pairs."""
    flat = json.dumps(value, ensure_ascii=False)
    try:
        flat.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            "half of a surrogate pair in a text", path, line, mend="Remove or complete it."
        ) from error
    if _ESCAPED_NUL.search(flat):
        raise DataError("a NUL character in a text", path, line, mend="Remove it.")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")


# --- YAML --------------------------------------------------------------------------------------


def _read_yaml(path: Path, required: Sequence[str], skip: Skip | None) -> Iterator[Row]:
    import yaml

    loader = yaml.SafeLoader("".join(_decoded_lines(path)))
    try:
        root = loader.get_single_node()
        if root is None:
            return
        if not isinstance(root, yaml.SequenceNode):
            raise DataError(
                "expected a YAML list of rows",
                path,
                root.start_mark.line + 1,
                mend="Begin each row with `- `.",
            )
        for node in root.value:
            line = node.start_mark.line + 1
            if not isinstance(node, yaml.MappingNode):
                raise DataError("expected `column: value` pairs", path, line)
            values = {str(k): v for k, v in loader.construct_mapping(node, deep=True).items()}
            _check_columns(list(values), required, path, line)
            yield Row(values, line)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or error
        raise DataError(
            f"not valid YAML: {reason}", path, None if mark is None else mark.line + 1
        ) from error
    except RecursionError as error:
        raise DataError("not usable YAML: nested too deep", path) from error
    finally:
        loader.dispose()


# --- Parquet -----------------------------------------------------------------------------------


def _read_parquet(path: Path, required: Sequence[str], skip: Skip | None) -> Iterator[Row]:
    """Rows of a Parquet file; their `line` is the row number, from 1."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            "reading Parquet needs pyarrow, which is not installed",
            path,
            mend="Run `pip install 'trefoil[train]'`, or export the file as CSV.",
        ) from error
    number = 0
    try:
        file = parquet.ParquetFile(path)
        _check_columns(file.schema_arrow.names, required, path, 1)
        for batch in file.iter_batches():
            for values in batch.to_pylist():
                number += 1
                yield Row(values, number)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"not a readable Parquet file: {error}", path, number + 1) from error


_READERS: Mapping[str, Callable[[Path, Sequence[str], Skip | None], Iterator[Row]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".parquet": _read_parquet,
}
