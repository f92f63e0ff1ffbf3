"""`trefoil tune language` and `trefoil tune search`: what may be done before a model is trained?

The first lets a base model read the company's own texts, the second looks for the settings that
suit its labels. Both read texts as training does: without personal data.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.commands import BUNDLED_REFERENCE, existing_file, new_file, progress, write_json

if TYPE_CHECKING:
    from core.data.records import LabeledText

_BASE_MODEL = click.option(
    "--base-model",
    default=BUNDLED_REFERENCE,
    show_default=True,
    help="A folder, or a hub id with its revision: org/name@commit.",
)
_SEED = click.option("--seed", default=0, show_default=True, help="Of every random choice.")
_THREADS = click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
_KEEP = click.option(
    "--keep-personal-data", is_flag=True, help="Read e-mail addresses, phone numbers, … as well."
)


@click.command(
    "language",
    help="Let a base model read your own texts, without labels; what comes out is a base model. "
    "Example: trefoil tune language --data texts.csv --output base",
)
@existing_file("--data", help="CSV, JSONL, YAML or Parquet with text.")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A new folder, for --base-model of any training.",
)
@_BASE_MODEL
@click.option("--epochs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--minutes", type=click.FloatRange(0), help="End after the epoch that passes them.")
@_SEED
@_THREADS
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for a checkpoint an epoch.",
)
@click.option("--resume", is_flag=True, help="Go on from the last of the --checkpoints.")
@_KEEP
def language(
    data: Path,
    output: Path,
    base_model: str,
    epochs: int,
    minutes: float | None,
    seed: int,
    threads: int,
    checkpoints: Path | None,
    resume: bool,
    keep_personal_data: bool,
) -> None:
    from core.data.readers import read_texts
    from core.privacy import for_training
    from core.training.language import LanguageConfig, pretrain
    from core.training.loop import RunOptions

    shown = progress()
    rows = for_training(read_texts(data), keep=keep_personal_data, progress=shown)
    found = pretrain(
        [row.text for row in rows],
        output,
        base_model=base_model,
        config=LanguageConfig(epochs=epochs, max_minutes=minutes),
        seed=seed,
        threads=threads,
        progress=shown,
        options=RunOptions(checkpoints=checkpoints, resume=resume),
    )
    click.echo(
        f"{found.texts} texts, {found.held_out} held out: loss {found.loss_before:.3f} before, "
        f"{found.loss_after:.3f} after epoch {found.best_epoch} (nats a hidden token)"
    )
    click.echo(f"{output}: done. Use it with: --base-model {shlex.quote(str(output))}")


@click.command(
    "search",
    help="Look for the settings of the preset accurate that suit your labels. With --storage a "
    "search that was stopped goes on. "
    "Example: trefoil tune search --data questions.csv --head intent --minutes 30 "
    "--storage search.db --json best.json",
)
@existing_file("--data", help="CSV, JSONL, YAML or Parquet with text and the label.")
@click.option(
    "--head",
    "heads",
    multiple=True,
    default=("intent",),
    show_default=True,
    help="Column of the label; may be repeated.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="For all trials together, those of earlier runs with --storage included.",
)
@click.option("--trials", type=click.IntRange(1), help="At most so many.")
@new_file("--storage", help="SQLite file that keeps the trials.", required=False)
@new_file("--json", "json_path", help="Where the best settings and all trials go.", required=False)
@_BASE_MODEL
@_SEED
@_THREADS
@_KEEP
def search(
    data: Path,
    heads: tuple[str, ...],
    minutes: float,
    trials: int | None,
    storage: Path | None,
    json_path: Path | None,
    base_model: str,
    seed: int,
    threads: int,
    keep_personal_data: bool,
) -> None:
    from dataclasses import asdict

    from core.privacy import for_training
    from core.training.search import search as look

    shown = progress()
    rows = for_training(_read(data, heads), keep=keep_personal_data, progress=shown)
    found = look(
        rows,
        heads,
        minutes=minutes,
        storage=storage,
        base_model=base_model,
        seed=seed,
        threads=threads,
        max_trials=trials,
        progress=shown,
    )
    if json_path is not None:
        write_json(json_path, {"config": asdict(found.config), "search": found.record})
    for line in _summary(found.record):
        click.echo(line)


def _read(path: Path, heads: Sequence[str]) -> list[LabeledText]:
    """As training reads it: questions out of scope are no class."""
    from core.data.fields import text_field
    from core.data.readers import iterate_table
    from core.data.records import OUT_OF_SCOPE, LabeledText

    rows = [
        LabeledText(
            text_field(path, row, "text"),
            {head: text_field(path, row, head) for head in heads},
            row.line,
        )
        for row in iterate_table(path, ["text", *heads])
    ]
    return [row for row in rows if row.labels.get("intent") != OUT_OF_SCOPE]


def _summary(record: Mapping[str, Any]) -> Iterable[str]:
    best = record["best"]
    ended = sum(trial["state"] != "whole" for trial in record["trials"])
    yield (
        f"{len(record['trials'])} trials in {record['minutes']:.1f} min, {ended} ended early; "
        f"best: trial {best['number']}, accuracy {best['accuracy']:.3f} "
        f"on {record['held_out_rows']} rows (flattering: it is the best of several)"
    )
    settings = " ".join(
        f"--set {name}={'none' if value is None else value}"
        for name, value in best["settings"].items()
    )
    yield f"Train with: --preset accurate {settings}"
