"""`trefoil demo`: all three services on the sample data, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from services.demo.processes import Processes

REPLAY_PORT = 8010
REPLAYED_HOURS = 12


@click.command()
@click.option(
    "--replay-port", default=REPLAY_PORT, show_default=True, type=click.IntRange(1, 65535)
)
@click.option(
    "--hours-per-minute",
    default=60.0,
    show_default=True,
    help="How fast the last hours of the news replay run.",
)
def demo(replay_port: int, hours_per_minute: float) -> None:
    """Train what is missing on shared_data, then serve all three.

    Example: trefoil demo
    """
    from services.cli import repository_root
    from services.demo import steps
    from services.demo.processes import Processes, require_free_ports

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    data = repository_root() / "shared_data"
    if not data.is_dir():
        raise click.ClickException(f"no sample data at {data}. Run the demo from a clone.")
    folder = _demo_folder()
    news_database = folder / "finance_sentiment.db"
    os.environ.update(_demo_settings(data, news_database, replay_port))
    services = steps.sample_services(data)
    ports = {s.settings.port: s.command for s in services}
    require_free_ports({**ports, replay_port: "the news replay"})
    steps.require_disk(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        steps.train_missing(services)
        steps.prepare_databases(services, news_database)
        steps.import_missing(services)
        with Processes(folder) as running:
            for service in services:
                running.start(service.command, [service.command, "serve"])
            running.wait_until_ready({s.command: f"{s.url}/readyz" for s in services})
            _start_news_and_workers(
                running, data / "finance_sentiment", folder, replay_port, hours_per_minute
            )
            _announce([s.url for s in services], folder)
            while True:
                running.check()
                time.sleep(0.5)
    except KeyboardInterrupt:
        click.echo("\nstopped")


def _demo_folder() -> Path:
    from core.settings import ServiceSettings

    return ServiceSettings().var_dir / "demo"


def _demo_settings(data: Path, news_database: Path, replay_port: int) -> dict[str, str]:
    """What differs from a real installation: news of its own, and feeds on this machine."""
    prefix = "TREFOIL_FINANCE_SENTIMENT_"
    return {
        f"{prefix}DATABASE_URL": f"sqlite:///{news_database}",
        f"{prefix}COMPANIES": str(data / "finance_sentiment" / "companies.yaml"),
        f"{prefix}FETCH_ALLOW": f"127.0.0.1:{replay_port}",
        # The replay publishes an hour of news in a second.
        f"{prefix}FETCH_INTERVAL": "5",
        f"{prefix}EVALUATE_TICK": "5",
    }


def _start_news_and_workers(
    running: Processes, data: Path, folder: Path, port: int, hours_per_minute: float
) -> None:
    """The replay, the news before its last hours as history, then the workers."""
    from services.demo.steps import run

    anchor = datetime.now(UTC).isoformat(timespec="seconds")
    stories, sources = str(data / "replay.csv"), folder / "sources.yaml"
    sources.unlink(missing_ok=True)
    command = "finance-sentiment"
    arguments = {
        "--stories": stories,
        "--port": port,
        "--anchor": anchor,
        "--hours-per-minute": hours_per_minute,
        "--last-hours": REPLAYED_HOURS,
        "--sources-out": sources,
    }
    flat = [str(word) for pair in arguments.items() for word in pair]
    running.start("finance-sentiment-replay", [command, "replay", *flat])
    running.wait_until_ready({"the news replay": f"http://127.0.0.1:{port}/"})
    run(
        *(command, "import", "--sources", str(sources), "--stories", stories, "--anchor", anchor),
        *("--leave-out-last-hours", str(REPLAYED_HOURS), "--relabel"),
        quiet=True,
    )
    running.start("finance-sentiment-worker", [command, "worker"])
    for other in ("customer-service", "recommender"):
        running.start(f"{other}-worker", [other, "worker"])


def _announce(urls: Sequence[str], logs: Path) -> None:
    support, news, shop = urls
    json = "-H 'content-type: application/json'"
    click.echo(
        f"""
customer_service   {support}
  curl -s {support}/v1/chat {json} -d '{{"message": "where is my order LY-204518?"}}'

finance_sentiment  {news}
  curl -s '{news}/v1/trends?bucket=day'

recommender        {shop}
  curl -s {shop}/v1/recommendations {json} -d '{{"user_id": "u0007", "n": 5}}'

Logs are in {logs}. Ctrl-C stops everything."""
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
