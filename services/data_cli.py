"""`trefoil data`: what is in a company's file, how is it divided, and how is it freed of personal
data?

Every file is read whole before one is written, and every column is kept, in order.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from services.commands import existing_file, new_file, write_json

if TYPE_CHECKING:
    from collections import Counter

    from core.data.readers import Row
    from core.data.records import LabeledText
    from core.data.splits import LeakageReport
    from core.data.statistics import DataStatistics

_SHOWN: Final = 5
_WIDTH: Final = 60
_TABLE: Final = "CSV, TSV, JSONL, YAML or Parquet"


@click.group()
def data() -> None:
    """A company's own files: check, split, redact."""


# --- check ---------------------------------------------------------------------------------------


@data.command(
    "check",
    help="Classes, lengths, repeats, conflicting labels, personal data; with --against, what of a "
    "test file stands in the training file. Texts are judged as training reads them: redacted. "
    "Example: trefoil data check --data train.csv --against test.csv",
)
@existing_file("--data", "path", help=f"{_TABLE} with text and the label.")
@click.option("--label", default="intent", show_default=True, help="Column of the label.")
@existing_file("--against", required=False, help=f"{_TABLE} with text: the test file.")
@new_file("--json", "json_path", required=False, help="Where the figures go.")
def check(path: Path, label: str, against: Path | None, json_path: Path | None) -> None:
    from core.data.readers import read_texts
    from core.data.splits import leakage
    from core.data.statistics import data_statistics
    from core.privacy import redact_rows

    rows, personal = redact_rows(_labeled(path, label))
    statistics = data_statistics(rows, label)
    lines = [*_figures(statistics), _personal_line(personal, path)]
    figures: dict[str, Any] = {**statistics.to_json(), "personal_data": dict(personal)}
    if against is not None:
        test = redact_rows(read_texts(against))[0]
        report = leakage([row.text for row in rows], [row.text for row in test])
        lines += _leaks(report, rows, test, against)
        figures["leakage"] = _leakage_json(report, rows, test)
    for line in lines:
        click.echo(line)
    if json_path is not None:
        write_json(json_path, figures)


def _figures(statistics: DataStatistics) -> Iterable[str]:
    counts, long, words = statistics.counts, statistics.characters, statistics.words
    largest, count = next(iter(counts.items()))
    yield f"{statistics.rows} rows, {statistics.classes} classes"
    yield f"largest class: {largest}, {count} rows ({statistics.largest_share:.1%})"
    small = [f"{name} ({counts[name]})" for name in statistics.small_classes]
    yield f"classes under 5 rows: {_some(small)}"
    yield (
        f"length: {long['0.5']:.0f} characters, {words['0.5']:.0f} words (median); "
        f"95 % up to {long['0.95']:.0f} characters, {words['0.95']:.0f} words"
    )
    scripts = (f"{name} {number}" for name, number in statistics.languages.items())
    yield f"languages: {', '.join(scripts)}"
    yield f"texts that stand more than once: {len(statistics.exact)}"
    yield from _first(f"{_lines(each.lines)}: {_short(each.text)}" for each in statistics.exact)
    yield f"pairs that are nearly the same: {len(statistics.near)}"
    yield from _first(
        f"{_lines(each.lines)} ({each.similarity:.2f}): {' | '.join(map(_short, each.texts))}"
        for each in statistics.near
    )
    yield f"texts with conflicting labels: {len(statistics.conflicts)}"
    yield from _first(
        f"{_lines(each.lines)}: {_short(each.text)}: {' or '.join(each.labels)}"
        for each in statistics.conflicts
    )


def _leaks(
    report: LeakageReport,
    rows: Sequence[LabeledText],
    test: Sequence[LabeledText],
    against: Path,
) -> Iterable[str]:
    yield (
        f"rows of {against} that stand in training: {len(report.leaked)} of {report.test_rows} "
        f"({report.share:.1%})"
    )
    pairs = [(i, j, 1.0) for i, j in report.exact]
    pairs += [(pair.left, pair.right, pair.similarity) for pair in report.near]
    yield from _first(
        f"line {test[j].line} is like line {rows[i].line} of training ({similarity:.2f}): "
        f"{_short(test[j].text)}"
        for i, j, similarity in pairs
    )


def _leakage_json(
    report: LeakageReport, rows: Sequence[LabeledText], test: Sequence[LabeledText]
) -> dict[str, Any]:
    """Lines instead of positions: what an editor shows."""
    return {
        "test_rows": report.test_rows,
        "share": report.share,
        "lines": sorted(test[j].line for j in report.leaked),
        "exact": [[rows[i].line, test[j].line] for i, j in report.exact],
        "near": [[rows[p.left].line, test[p.right].line, p.similarity] for p in report.near],
    }


def _personal_line(personal: Counter[str], path: Path) -> str:
    from core.privacy import describe

    if not personal:
        return "personal data: none found"
    return f"personal data: {describe(personal)} (see: trefoil data redact --data {path})"


# --- split ---------------------------------------------------------------------------------------


@data.command(
    "split",
    help="Divide a file into one to train and one to test on; texts that repeat each other, or "
    "nearly so, stay on one side. "
    "Example: trefoil data split --data all.csv --train train.csv --test test.csv",
)
@existing_file("--data", "path", help=f"{_TABLE} with text, and the label or the time.")
@new_file("--train", help="The CSV to train on.")
@new_file("--test", help="The CSV to test on.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of the rows to test on.",
)
@click.option("--label", help="Column of the label; every class is divided. [default: intent]")
@click.option("--by-time", help="Column of the time instead: the latest rows are for testing.")
@click.option("--seed", default=0, show_default=True, help="Of the choice within a class.")
def split(
    path: Path,
    train: Path,
    test: Path,
    share: float,
    label: str | None,
    by_time: str | None,
    seed: int,
) -> None:
    from core.data.fields import text_field, time_field
    from core.data.groups import near_groups, stratified_group_split, temporal_group_split
    from core.data.readers import read_table

    if label is not None and by_time is not None:
        raise click.UsageError("--label and --by-time exclude each other: name one")
    if train.absolute() == test.absolute():
        raise click.UsageError("--train and --test name the same file")
    column = by_time or label or "intent"
    rows = read_table(path, ["text", column])
    groups = near_groups([text_field(path, row, "text") for row in rows])
    notes = [_grouped(groups)]
    if by_time is not None:
        times = [time_field(path, row, column) for row in rows]
        left, right, moved = temporal_group_split(times, groups, share)
        notes.append(f"{moved} rows after the cut repeat an earlier one: put into training with it")
    else:
        import numpy as np

        labels = [text_field(path, row, column) for row in rows]
        left, right = stratified_group_split(labels, groups, share, np.random.default_rng(seed))
        untested = sorted({*labels} - {labels[position] for position in right})
        notes.append(f"classes without a row to test on: {_some(untested)}")
    columns = _columns(rows)
    for output, chosen in ((train, left), (test, right)):
        _write(output, columns, [rows[position] for position in chosen])
        click.echo(f"{output}: {len(chosen)} rows")
    for note in notes:
        click.echo(note)


def _grouped(groups: Sequence[int]) -> str:
    from collections import Counter

    sizes = [size for size in Counter(groups).values() if size > 1]
    return f"{sum(sizes)} rows are like another: {len(sizes)} groups, none of them parted"


# --- redact --------------------------------------------------------------------------------------


@data.command(
    "redact",
    help="Replace e-mail, phone, card, IBAN, national id, IP address and URL secret by [email], "
    "[phone], …. Example: trefoil data redact --data chats.csv --output clean.csv",
)
@existing_file("--data", "path", help=f"{_TABLE}.")
@new_file("--output", help="The CSV to write.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    default=("text",),
    show_default=True,
    help="Column to redact; may be repeated.",
)
def redact_command(path: Path, output: Path, columns: tuple[str, ...]) -> None:
    from collections import Counter

    from core.data.readers import read_table
    from core.privacy import describe, redact

    rows = read_table(path, list(columns))
    kinds: Counter[str] = Counter()
    touched = 0
    for row in rows:
        results = {column: redact(_cell(row[column])) for column in columns}
        found = [kind for result in results.values() for kind, _, _ in result.found]
        row.update((column, result.text) for column, result in results.items() if result.found)
        kinds.update(found)
        touched += bool(found)
    _write(output, _columns(rows), rows)
    click.echo(f"{output}: {len(rows)} rows, {touched} of them redacted")
    click.echo(f"replaced: {describe(kinds) or 'nothing'}")


# --- files ---------------------------------------------------------------------------------------


def _labeled(path: Path, label: str) -> list[LabeledText]:
    from core.data.fields import text_field
    from core.data.readers import iterate_table
    from core.data.records import LabeledText

    return [
        LabeledText(text_field(path, row, "text"), {label: text_field(path, row, label)}, row.line)
        for row in iterate_table(path, ["text", label])
    ]


def _columns(rows: Sequence[Row]) -> list[str]:
    """All columns, in the order in which they first stand."""
    return list(dict.fromkeys(column for row in rows for column in row))


def _write(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    from core.files import written_whole

    with written_whole(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)


def _cell(value: object) -> str:
    """As a CSV holds it: texts as they are, nothing for null, JSON for lists and the like."""
    if value is None:
        return ""
    if isinstance(value, list | dict | bool):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


# --- words ---------------------------------------------------------------------------------------


def _short(text: str) -> str:
    return repr(text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…")


def _lines(lines: Sequence[int]) -> str:
    return f"lines {', '.join(map(str, lines))}"


def _some(names: Sequence[str]) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _first(lines: Iterable[str]) -> Iterable[str]:
    """A few of them, indented, and how many there are besides."""
    every = list(lines)
    yield from (f"  {line}" for line in every[:_SHOWN])
    if len(every) > _SHOWN:
        yield f"  and {len(every) - _SHOWN} more (all of them with --json)"
