"""`trefoil tune`: how are models trained that no service owns: spans, search, re-ranking?

Each command is load, call, print; docs/TRAINING-TASKS.md shows the formats and the Python calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from services.commands import (
    existing_file,
    model_option,
    new_file,
    new_model_options,
    progress,
)
from services.search_cli import language, search

Function = TypeVar("Function", bound=Callable[..., Any])
_BATCH = 256


@click.group()
def tune() -> None:
    """Models for spans, search and re-ranking, tuned on your own text.

    Example: trefoil tune tokens --data spans.jsonl --output model
    """


tune.add_command(language)
tune.add_command(search)


def _options(function: Function) -> Function:
    """What every `tune` has in common."""
    for option in (
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="NAME=VALUE",
            help="A setting of fine-tuning, such as learning_rate=1e-4. May be repeated.",
        ),
        click.option("--resume", is_flag=True, help="Go on from the last of the --checkpoints."),
        click.option(
            "--checkpoints",
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder for a checkpoint an epoch.",
        ),
        new_file("--journal", help="JSONL with a line a logged step.", required=False),
        click.option("--threads", type=click.IntRange(1), default=2, show_default=True),
        click.option("--epochs", type=click.IntRange(0), help="At most so many."),
    ):
        function = option(function)
    return new_model_options(function)


@tune.command(
    "tokens",
    help="Find spans (names, products, slots) in texts. "
    "Example: trefoil tune tokens --data spans.jsonl --output model",
)
@existing_file("--data", help='JSONL with text and entities, or Markdown with "[Rome](city)".')
@_options
def tokens(data: Path, output: Path, **options: Any) -> None:
    from core.data.tagged import read_tagged
    from core.training.tokens import DEFAULTS, train_token_classifier

    manifest = train_token_classifier(read_tagged(data), output, **_run(DEFAULTS, **options))
    _say(manifest.metrics, "f1", output)


@tune.command(
    "pairs",
    help="Teach an encoder which texts belong to which query. "
    "Example: trefoil tune pairs --data pairs.csv --output model",
)
@existing_file("--data", help="CSV or JSONL with query, text and optional relevance or negative.")
@click.option(
    "--objective",
    type=click.Choice(["in_batch", "triplets", "graded", "listwise"]),
    help="Default: what the columns allow. listwise: graded lists, corrected for popularity.",
)
@_options
def pairs(data: Path, output: Path, objective: Any, **options: Any) -> None:
    from core.data.pairs import read_pairs
    from core.training.biencoder import DEFAULTS, train_bi_encoder

    manifest = train_bi_encoder(
        read_pairs(data), output, objective=objective, **_run(DEFAULTS, **options)
    )
    _say(manifest.metrics, "mrr@10", output, before="frozen")


@tune.command(
    "rerank",
    help="Judge a query and a text read together, for the best few of a search. "
    "Example: trefoil tune rerank --data pairs.csv --output model",
)
@existing_file("--data", help="CSV or JSONL with query, text and optional relevance or negative.")
@click.option(
    "--negatives",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="Wrong texts mined for each right one, where none are given.",
)
@click.option(
    "--mine",
    type=click.Choice(["bm25", "dense"]),
    default="bm25",
    show_default=True,
    help="Which search finds the candidates and the wrong texts.",
)
@_options
def rerank(data: Path, output: Path, negatives: int, mine: Any, **options: Any) -> None:
    from core.data.pairs import read_pairs
    from core.training.reranker import DEFAULTS, train_reranker

    manifest = train_reranker(
        read_pairs(data), output, negatives=negatives, mine=mine, **_run(DEFAULTS, **options)
    )
    _say(manifest.metrics, "mrr@10", output, before="search")


@tune.command(
    "predict",
    help="The spans of texts, a line of JSON each. "
    "Example: trefoil tune predict --model model --input texts.csv --output spans.jsonl",
)
@model_option
@existing_file("--input", "texts", help="CSV, JSONL, YAML or Parquet with text.")
@new_file("--output", help="The JSONL to write.")
def predict(model: Path, texts: Path, output: Path) -> None:
    from core.data.readers import read_texts
    from core.files import written_whole
    from core.inference.token_classifier import TokenClassifier

    classifier = TokenClassifier.load(model)
    rows = [row.text for row in read_texts(texts)]
    with written_whole(output) as file:
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            for text, found in zip(part, classifier.predict(part), strict=True):
                file.write(json.dumps(_line(text, found), ensure_ascii=False) + "\n")
    click.echo(f"{len(rows)} texts → {output}")


def _line(text: str, found: Any) -> dict[str, Any]:
    """The form that `tokens --data` reads, with what was found and how sure it is."""
    entities = [
        {
            "start": span.start,
            "end": span.end,
            "label": span.label,
            "text": span.text,
            "confidence": round(span.confidence, 4),
        }
        for span in found.spans
    ]
    return {"text": text, "entities": entities, **({"note": found.note} if found.note else {})}


def _run(
    defaults: Any,
    *,
    base_model: str,
    seed: int,
    epochs: int | None,
    threads: int,
    journal: Path | None,
    checkpoints: Path | None,
    resume: bool,
    settings: tuple[str, ...],
) -> dict[str, Any]:
    """The options as the keywords that every training call has."""
    from core.training.config import changed
    from core.training.loop import RunOptions

    if resume and checkpoints is None:
        raise click.UsageError("--resume needs --checkpoints, the folder to go on from")
    given: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise click.UsageError(f"--set takes NAME=VALUE, was: {setting}")
        given[name.strip()] = value.strip()
    return {
        "base_model": base_model,
        "config": changed(defaults, given),
        "seed": seed,
        "threads": threads,
        "progress": progress(),
        "options": RunOptions(journal=journal, checkpoints=checkpoints, resume=resume),
    }


def _say(metrics: Mapping[str, Any], name: str, output: Path, *, before: str = "") -> None:
    """The figure on held-out rows with its interval, and what it was before training."""
    low, high = metrics[f"{name}_ci"]
    words = f"held-out {name} {metrics[name]:.3f} [{low:.3f}, {high:.3f}]"
    if before:
        words += f"; {before} {metrics[before][name]:.3f}"
    click.echo(words)
    click.echo(f"{output}: done")
