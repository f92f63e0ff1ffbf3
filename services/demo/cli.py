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
    from services.demo.visitors import Question, Shoppers

REPLAY_PORT = 8010
REPLAYED_HOURS = 12


@click.group(invoke_without_command=True)
@click.option(
    "--replay-port", default=REPLAY_PORT, show_default=True, type=click.IntRange(1, 65535)
)
@click.option(
    "--hours-per-minute",
    default=8.0,
    show_default=True,
    help="How fast the last hours of the news replay run.",
)
@click.pass_context
def demo(context: click.Context, replay_port: int, hours_per_minute: float) -> None:
    """Train what is missing on shared_data, then serve all three with made-up visitors.

    Example: trefoil demo
    """
    if context.invoked_subcommand is None:
        _run(replay_port, hours_per_minute)


@demo.command(help="What `trefoil demo` runs for port 8000. Example: trefoil demo start-page")
def start_page() -> None:
    from core.web import run_server
    from services.demo.start_page import StartPageSettings, create_app
    from services.demo.steps import sample_services

    services = {s.command: s.url for s in sample_services(_data(), _shop_folder())}
    settings = StartPageSettings()
    run_server(lambda: create_app(settings, services), settings)


@demo.command(help="Made-up visitors for running services. Example: trefoil demo traffic")
def traffic() -> None:
    import asyncio

    from services.demo.steps import sample_services
    from services.demo.traffic import visit
    from services.demo.visitors import password_of

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    bot, _, shop = sample_services(_data(), _shop_folder())
    try:
        asyncio.run(visit(bot.url, shop.url, password_of(_demo_folder()), *_people()))
    except KeyboardInterrupt:
        click.echo("stopped")


@demo.command(help="Two weeks of made-up visits, up to now. Example: trefoil demo past")
def past() -> None:
    import asyncio

    from services.demo.history import make_past

    asked, visited = asyncio.run(make_past(_demo_folder(), *_people(), datetime.now(UTC)))
    click.echo(f"{asked} conversations and {visited} visits")


def _run(replay_port: int, hours_per_minute: float) -> None:
    from services.demo import steps
    from services.demo.history import moved_shop
    from services.demo.processes import Processes, require_free_ports
    from services.demo.start_page import StartPageSettings

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    data, folder = _data(), _demo_folder()
    news_database = folder / "finance_sentiment.db"
    os.environ.update(_demo_settings(data, news_database, replay_port))
    services = steps.sample_services(data, _shop_folder())
    ports = {s.settings.port: s.command for s in services}
    front = StartPageSettings()
    require_free_ports({front.port: "the start page", **ports, replay_port: "the news replay"})
    steps.require_disk(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        moved_shop(data / "recommender", _shop_folder(), datetime.now(UTC))
        steps.train_missing(services)
        steps.prepare_databases(services, news_database)
        steps.import_missing(services)
        steps.add_agent(folder)
        steps.make_past()
        with Processes(folder) as running:
            running.start("start-page", ["demo", "start-page"])
            for service in services:
                running.start(service.command, [service.command, "serve"])
            running.wait_until_ready({s.command: f"{s.url}/readyz" for s in services})
            _start_news_and_workers(
                running, data / "finance_sentiment", folder, replay_port, hours_per_minute
            )
            running.start("visitors", ["demo", "traffic"])
            _announce(front.port, [s.url for s in services], folder)
            while True:
                running.check()
                time.sleep(0.5)
    except KeyboardInterrupt:
        click.echo("\nstopped")


def _data() -> Path:
    from services.cli import repository_root

    data = repository_root() / "shared_data"
    if not data.is_dir():
        raise click.ClickException(f"no sample data at {data}. Run the demo from a clone.")
    return data


def _people() -> tuple[list[Question], Shoppers]:
    from services.demo.visitors import Shoppers, read_questions

    shop = _shop_folder()
    shoppers = Shoppers.read(shop / "items.csv", shop / "events.csv")
    return read_questions(_data() / "customer_service"), shoppers


def _shop_folder() -> Path:
    return _demo_folder() / "shop"


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
        "TREFOIL_RECOMMENDER_SAMPLE_SHOPPERS": str(data / "recommender" / "shoppers.yaml"),
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


def _announce(port: int, urls: Sequence[str], logs: Path) -> None:
    from services.demo.visitors import AGENT, password_of

    support, news, shop = urls
    json = "-H 'content-type: application/json'"
    click.echo(
        f"""
Open http://127.0.0.1:{port} in a browser: it shows what runs, and what to try.
The desk's log-in is {AGENT} with the password {password_of(logs)}.

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
