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

group = service_group(
    "recommender",
    help="The recommender: reads item text and behaviour, ranks by predicted interest.",
    settings="services.recommender.settings:Settings",
    app="services.recommender.app:create_app",
    kind="recommender",
    migrations="services.recommender.migrations",
    worker="services.recommender.worker:run",
)
_ITEMS = "item_id,title and any of description,tags,category,brand,price,availability,…"
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
@existing_file("--items", required=False, help=f"CSV, JSONL or Parquet: {_ITEMS}")
@existing_file("--events", required=False, help=f"CSV, JSONL or Parquet: {_EVENTS}")
def import_command(items: Path | None, events: Path | None) -> None:
    from services.recommender.importing import run_import
    from services.recommender.settings import Settings

    if items is None and events is None:
        raise click.UsageError("nothing to import: name --items, --events or both")
    for line in run_import(Settings(), items=items, events=events, progress=progress()).lines():
        click.echo(line)
