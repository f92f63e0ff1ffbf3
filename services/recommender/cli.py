"""Which commands does the recommender have? Each is load, call, print."""

from __future__ import annotations

from pathlib import Path

import click

from services.commands import (
    existing_file,
    json_option,
    model_option,
    progress,
    save_figures,
    say_trained,
    service_group,
    train_options,
)
from services.recommender.users_cli import users

group = service_group(
    "recommender",
    help="The recommender: reads item text and behaviour, ranks by predicted interest.",
    settings="services.recommender.settings:Settings",
    app="services.recommender.app:create_app",
    kind="recommender",
    migrations="services.recommender.migrations",
    worker="services.recommender.worker:run",
    publishable=True,
    scopes=("items", "events", "recommend", "rules", "trainings", "users", "attribution"),
)
group.add_command(users)
_ITEMS = "item_id,title and any of description,tags,category,brand,price,availability,…"
_FORMATS = (
    "csv", "tsv", "jsonl", "parquet", "yaml", "google-tsv", "google-csv", "google-xml"
)  # fmt: skip
_EVENTS = "user_id,item_id,event,timestamp, optionally value,event_id"


@group.command(
    "train",
    help="Learn from items and events. "
    "Example: trefoil recommender train --items items.csv --events events.csv --output model",
)
@existing_file("--items", help=f"CSV, JSONL or Parquet: {_ITEMS}")
@existing_file("--events", help=f"CSV, JSONL or Parquet: {_EVENTS}")
@train_options("fast")
def train_command(
    items: Path, events: Path, output: Path, preset: str, base_model: str, seed: int
) -> None:
    from services.recommender.train import summary, train

    metrics = train(
        items,
        events,
        output,
        preset=preset,
        base_model=base_model,
        seed=seed,
        progress=progress(),
    )
    say_trained(summary(metrics), output)


@group.command(
    "evaluate",
    help="Measure a model on later events, the full catalogue ranked. Example: "
    "trefoil recommender evaluate --model model --items items.csv --history events.csv "
    "--events later.csv --json out.json",
)
@model_option
@existing_file("--items", help=f"CSV, JSONL or Parquet: {_ITEMS}")
@existing_file("--history", help="What was known at the time of ranking; columns of events.")
@existing_file("--events", help="What came after; columns of events.")
@json_option
@click.option(
    "--allow-repeats", is_flag=True, help="Items that the history holds count and are ranked too."
)
def evaluate_command(
    model: Path, items: Path, history: Path, events: Path, json_path: Path, allow_repeats: bool
) -> None:
    from services.recommender.evaluate import evaluate
    from services.recommender.train import summary

    figures = evaluate(
        model, items, history, events, allow_repeats=allow_repeats, progress=progress()
    )
    save_figures(json_path, figures, summary(figures))


@group.command(
    "import",
    help="Take in items and events; repeat it as often as you like. "
    "Example: trefoil recommender import --items items.csv --events events.csv",
)
@existing_file(
    "--items",
    required=False,
    help=f"CSV, JSONL or Parquet: {_ITEMS}; or a Google Merchant feed (TSV, RSS, Atom).",
)
@existing_file("--events", required=False, help=f"CSV, JSONL or Parquet: {_EVENTS}")
@click.option(
    "--format",
    "items_format",
    type=click.Choice(_FORMATS),
    help="Format of the items; without it the file tells.",
)
@click.option(
    "--skip-bad-rows", is_flag=True, help="Take the other rows, and tell which were left out."
)
def import_command(
    items: Path | None, events: Path | None, items_format: str | None, skip_bad_rows: bool
) -> None:
    from services.recommender.importing import run_import
    from services.recommender.settings import Settings

    if items is None and events is None:
        raise click.UsageError("nothing to import: name --items, --events or both")
    done = run_import(
        Settings(),
        items=items,
        events=events,
        items_format=items_format,
        skip_bad_rows=skip_bad_rows,
        progress=progress(),
    )
    for line in done.lines():
        click.echo(line)


@group.command(
    "retrain",
    help="Ask the worker to train on the shop's own items and events now. "
    "Example: trefoil recommender retrain",
)
def retrain_command() -> None:
    from services.recommender.retraining import ask_for_training
    from services.recommender.settings import Settings

    number = ask_for_training(Settings())
    click.echo(
        f"training {number} is asked for; a worker begins it. See GET /v1/trainings/{number}"
    )


@group.command(
    "candidate",
    hidden=True,
    help="What the worker runs: train, and judge against the live model. "
    "Example: trefoil recommender candidate --items i.jsonl --events e.jsonl --output model "
    "--json verdict.json --live versions/0001 --live-until 1767225600",
)
@existing_file("--items", help=f"CSV, JSONL or Parquet: {_ITEMS}")
@existing_file("--events", help=f"CSV, JSONL or Parquet: {_EVENTS}")
@train_options("fast")
@json_option
@click.option("--live", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--live-until", type=float, help="Unix seconds: the newest event it was trained on.")
@click.option("--threads", type=click.IntRange(1, 256), default=2)
def candidate_command(
    items: Path,
    events: Path,
    output: Path,
    preset: str,
    base_model: str,
    seed: int,
    json_path: Path,
    live: Path | None,
    live_until: float | None,
    threads: int,
) -> None:
    from services.recommender.promotion import Options, make_candidate

    if (live is None) is not (live_until is None):
        raise click.UsageError("--live and --live-until belong together")
    verdict = make_candidate(
        items,
        events,
        output,
        Options(preset, base_model, seed, threads),
        live=live,
        live_until=live_until,
        progress=progress(),
    )
    content = {"reasons": list(verdict.reasons), "figures": verdict.figures}
    save_figures(json_path, content, verdict.reasons)
