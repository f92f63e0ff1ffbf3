"""Which commands does `trefoil finance-sentiment` have? Only click is imported at the top."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from services.commands import (
    csv_option,
    existing_file,
    json_option,
    keep_personal_data_option,
    model_option,
    progress,
    save_figures,
    say_trained,
    service_group,
    train_options,
)
from services.finance_sentiment.deliveries_cli import deliveries_command, notify_command
from services.finance_sentiment.labels_cli import corrections_options, labels
from services.tuning import Tuning, tuning_options

NAME = "finance-sentiment"
_SETTINGS = "services.finance_sentiment.settings:Settings"
_MIGRATIONS = "services.finance_sentiment.migrations"
_HOURS, _HOURS_1 = click.IntRange(0, 168), click.IntRange(1, 168)

group = service_group(
    NAME,
    help="The news monitor: labels stories by topic and sentiment, follows trends, raises alerts.",
    settings=_SETTINGS,
    app="services.finance_sentiment.app:create_app",
    kind="finance_sentiment",
    migrations=_MIGRATIONS,
    worker="services.finance_sentiment.worker:run",
    scopes=("read", "alerts", "labels", "sources", "stories"),
)
for command in (deliveries_command, notify_command, labels):
    group.add_command(command)


@group.command(
    "train", help=f"Train on labelled news. Example: trefoil {NAME} train --data T.csv --output DIR"
)
@existing_file("--data", help="Columns text and any of sentiment and topic.")
@train_options("accurate")
@keep_personal_data_option
@tuning_options
@corrections_options
def train_command(
    data: Path,
    output: Path,
    preset: str,
    base_model: str,
    seed: int,
    keep_personal_data: bool,
    tuning: Tuning,
    corrections: list[Any],
) -> None:
    from services.finance_sentiment.train import summary, train

    manifest = train(
        data,
        output,
        preset=preset,
        base_model=base_model,
        seed=seed,
        keep_personal_data=keep_personal_data,
        tuning=tuning.arguments(preset),
        corrections=corrections,
        threads=_settings().threads,
        progress=progress(),
    )
    say_trained([f"held out: {line}" for line in summary(manifest.metrics)], output)


@group.command(
    "evaluate",
    help="Measure a model. "
    f"Example: trefoil {NAME} evaluate --model DIR --data T.csv --json OUT.json",
)
@model_option
@existing_file("--data", help="Columns text and any of sentiment and topic.")
@json_option
def evaluate_command(model: Path, data: Path, json_path: Path) -> None:
    from services.finance_sentiment.train import evaluate, summary

    figures = evaluate(model, data, threads=_settings().threads, progress=progress())
    save_figures(json_path, figures, summary(figures))


@group.command(
    "predict",
    help=f"Label texts. Example: trefoil {NAME} predict --model DIR --input T.csv --output O.csv",
)
@model_option
@existing_file("--input", "texts", help="Column text.")
@csv_option
def predict_command(model: Path, texts: Path, output: Path) -> None:
    from services.finance_sentiment.train import predict

    count = predict(model, texts, output, threads=_settings().threads, progress=progress())
    click.echo(f"{count} texts → {output}")


@group.command(
    "backtest",
    help=f"Alerts of past news. Example: trefoil {NAME} backtest --stories S.csv --json OUT.json",
)
@existing_file("--stories", help="Columns published_at (or offset_minutes), topic, sentiment.")
@click.option(
    "--false-alarms-per-week",
    type=click.FloatRange(0.001, 1000),
    default=1.0,
    show_default=True,
    help="Accepted over all topics together.",
)
@existing_file("--rules", required=False, help="YAML rules that are watched as well.")
@click.option("--for-hours", type=_HOURS_1, default=1, show_default=True, help="Seen in a row.")
@click.option("--keep-firing-hours", type=_HOURS, default=0, show_default=True, help="After it.")
@click.option("--cool-down-hours", type=_HOURS, default=0, show_default=True, help="Then quiet.")
@click.option("--seed", default=0, show_default=True, help="Of the simulation of the threshold.")
@json_option
def backtest_command(
    stories: Path,
    false_alarms_per_week: float,
    rules: Path | None,
    for_hours: int,
    keep_firing_hours: int,
    cool_down_hours: int,
    seed: int,
    json_path: Path,
) -> None:
    from services.finance_sentiment.backtest import backtest, read_labelled, summary
    from services.finance_sentiment.life import Policy
    from services.finance_sentiment.rules import read_rules

    result = backtest(
        read_labelled(stories),
        false_alarms_per_week=false_alarms_per_week,
        rules=read_rules(rules) if rules else (),
        policy=Policy(for_hours, keep_firing_hours, cool_down_hours),
        seed=seed,
    )
    save_figures(json_path, result, summary(result))


@group.command(
    "drill",
    help="A made-up surge, from counted hours to a kept alert marked TEST. "
    f"Example: trefoil {NAME} drill --topic banking",
)
@click.option("--topic", default="", help="Which topic (default: the one with most stories).")
@click.option("--negative-share", type=click.FloatRange(0, 1), default=0.6, show_default=True)
@click.option("--hours", type=click.IntRange(1, 48), default=12, show_default=True)
@click.option("--seed", type=int, help="Of what is drawn (default: another each time).")
def drill_command(topic: str, negative_share: float, hours: int, seed: int | None) -> None:
    import os
    from datetime import UTC

    import numpy as np

    from services.finance_sentiment.drill import drill
    from services.finance_sentiment.life import Policy
    from services.finance_sentiment.telling import teller_of

    settings = _settings()
    done = drill(
        _sessions(),
        topic=topic,
        negative_share=negative_share,
        hours=hours,
        policy=Policy(settings.alert_for_hours),
        now=datetime.now(UTC),
        rng=np.random.default_rng(seed),
        teller=teller_of(settings, os.environ),
    )
    played = f"{done.topic}: {done.negative} of {done.stories} stories negative in {done.hours} h"
    if done.alert_id is None:
        raise click.ClickException(f"{played}: no alert; try a larger share or more hours")
    click.echo(f"{played}: TEST alert {done.alert_id}, {done.delay_hours:g} h after the onset")


@group.command(
    "import",
    help=f"Take in feeds or past stories. Example: trefoil {NAME} import --sources sources.yaml",
)
@existing_file("--sources", required=False, help="Feeds: a YAML list (name, url) or an OPML file.")
@existing_file("--stories", required=False, help="Past stories, labelled or not.")
@click.option(
    "--rebase-to-now", is_flag=True, help="Move the stories so that the last one is published now."
)
@click.option("--anchor", help="As --rebase-to-now, to this moment (ISO 8601 with its zone).")
@click.option(
    "--leave-out-last-hours",
    type=click.FloatRange(0, 10_000),
    default=0.0,
    help="With either: do not take the stream's last hours (a replay will bring them).",
)
@click.option("--relabel", is_flag=True, help="Drop the labels in the file: the model reads all.")
def import_command(
    sources: Path | None,
    stories: Path | None,
    rebase_to_now: bool,
    anchor: str | None,
    leave_out_last_hours: float,
    relabel: bool,
) -> None:
    from datetime import UTC, timedelta

    from services.finance_sentiment.importing import import_sources, import_stories

    if sources is None and stories is None:
        raise click.UsageError("name a file: --sources or --stories")
    now = datetime.now(UTC)
    moved_to = _moment(anchor) if anchor else now if rebase_to_now else None
    if leave_out_last_hours and moved_to is None:
        raise click.UsageError("--leave-out-last-hours goes with --rebase-to-now or --anchor")
    sessions = _sessions()
    if sources is not None:
        added, known = import_sources(sessions, sources, now)
        click.echo(f"feeds: {added} added, {known} brought up to date")
    if stories is not None:
        done = import_stories(
            sessions,
            stories,
            now=lambda: datetime.now(UTC),
            anchor=moved_to,
            leave_out=timedelta(hours=leave_out_last_hours),
            relabel=relabel,
        )
        click.echo(
            f"stories: {done.added} of {done.read} added, the others repeat one that is there; "
            f"{done.unlabelled} without a label wait for the worker"
        )


@group.command(
    "export", help=f"Write the feeds as OPML. Example: trefoil {NAME} export --sources feeds.opml"
)
@click.option(
    "--sources",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The OPML file to write; addresses stand in it whole, with what is secret in them.",
)
def export_command(sources: Path) -> None:
    from services.finance_sentiment.importing import export_sources

    click.echo(f"{export_sources(_sessions(), sources)} feeds → {sources}")


@group.command(
    "replay",
    help="Serve past stories as feeds, the last hours fast. "
    f"Example: trefoil {NAME} replay --stories replay.csv --port 8010",
)
@existing_file("--stories", help="A file of stories, as for import.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=8010, show_default=True)
@click.option(
    "--hours-per-minute", type=click.FloatRange(0.01, 100_000), default=60.0, show_default=True
)
@click.option("--last-hours", type=click.FloatRange(0, 10_000), default=12.0, show_default=True)
@click.option("--anchor", help="The stream ends at this moment (ISO 8601; default: now).")
@click.option(
    "--sources-out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the feeds as a YAML list, to import.",
)
@click.option(
    "--history-out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the stories before the last hours as CSV, to import.",
)
def replay_command(
    stories: Path,
    host: str,
    port: int,
    hours_per_minute: float,
    last_hours: float,
    anchor: str | None,
    sources_out: Path | None,
    history_out: Path | None,
) -> None:
    import signal
    import threading
    from datetime import UTC

    from services.finance_sentiment.history import write_history
    from services.finance_sentiment.replay import load_replay, make_server, serve

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    replay = load_replay(
        stories,
        anchor=_moment(anchor) if anchor else datetime.now(UTC),
        last_hours=last_hours,
        hours_per_minute=hours_per_minute,
        base_url=f"http://{host}:{port}",
    )
    server = make_server(replay, host, port, lambda: datetime.now(UTC))
    if sources_out is not None:
        sources_out.write_text(replay.sources_yaml(), encoding="utf-8")
    if history_out is not None:
        write_history(history_out, replay.history)
    click.echo(f"{len(replay.names)} feeds at http://{host}:{port}/ (Ctrl-C ends it)")
    serve(server, stop)


def _settings() -> Any:
    from services.commands import load

    return load(_SETTINGS)()


def _sessions() -> Any:
    from core.db.engine import make_engine, session_factory
    from core.db.migrations import upgrade
    from services.finance_sentiment.tables import MIGRATIONS

    engine = make_engine(_settings().database_url)
    upgrade(engine, MIGRATIONS)
    return session_factory(engine)


def _moment(text: str) -> datetime:
    try:
        moment: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.UsageError(
            f"expected a moment with its zone, as in 2026-03-01T09:30:00Z, was: {text}"
        )
    return moment
