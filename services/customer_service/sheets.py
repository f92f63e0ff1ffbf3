"""How is a CSV written that a spreadsheet program opens and does not run?

UTF-8 with a byte order mark, lines that end in CRLF, and an apostrophe before each cell that would
be read as a formula. What is read back is what was written.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from core.errors import InvalidInput
from core.files import written_whole

_BOM: Final = "\ufeff"
# A spreadsheet program runs what begins so; the wide forms are read like the plain ones by some.
_RUNS = re.compile(r"'*[=+\-@\t\r＝＋－＠]")
_RUNS_GUARDED = re.compile(r"'+[=+\-@\t\r＝＋－＠]")


def guarded(cell: str) -> str:
    """The cell as no spreadsheet program runs it; `unguarded` gives it back."""
    return f"'{cell}" if _RUNS.match(cell) else cell


def unguarded(cell: str) -> str:
    """What was written; a cell that a person typed without a guard stays as it is."""
    return cell[1:] if _RUNS_GUARDED.match(cell) else cell


def write_sheet(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV for spreadsheet programs. InvalidInput where the name doesn't end in .csv."""
    if path.suffix.lower() != ".csv":
        raise InvalidInput(f"expected a name that ends in .csv, was: {path.name}")
    with written_whole(path) as file:
        file.write(_BOM)
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(columns)
        writer.writerows([guarded(cell) for cell in row] for row in rows)
