"""`trefoil demo`: all three services on the sample data, until Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import click

REPLAY_PORT = 8010


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

    signal.signal(signal.SIGTERM, _interrupt)
    data = repository_root() / "shared_data"
    if not data.is_dir():
        raise click.ClickException(f"no sample data at {data}. Run the demo from a clone.")
    services = steps.sample_services(data)
    ports = {s.settings.port: s.command for s in services}
    require_free_ports({**ports, replay_port: "the news replay"})
    steps.require_disk(services[0].settings.var_dir)
    steps.train_missing(services)
    steps.fill_missing(services)
    var = services[0].settings.var_dir
    environment = {"TREFOIL_FINANCE_SENTIMENT_FETCH_ALLOW": f"127.0.0.1:{replay_port}"}
    try:
        with Processes(var / "demo", environment) as running:
            for service in services:
                running.start(service.command, [service.command, "serve"])
            running.wait_until_ready({s.command: f"{s.url}/readyz" for s in services})
            _start_news(running, data / "finance_sentiment", replay_port, hours_per_minute)
            _announce([s.url for s in services], var / "demo")
            while True:
                running.check()
                time.sleep(0.5)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        click.echo("\nstopped")


def _start_news(running: object, data: Path, port: int, speed: float) -> None:
    raise NotImplementedError


def _announce(urls: Sequence[str], logs: Path) -> None:
    support, news, shop = urls
    json = "-H 'content-type: application/json'"
    click.echo(
        f"""
customer_service   {support}
  curl -s {support}/v1/chat {json} -d '{{"message": "where is my order LY-204518?"}}'

finance_sentiment  {news}
  curl -s '{news}/v1/trends?by=day'

recommender        {shop}
  curl -s {shop}/v1/recommendations {json} -d '{{"user_id": "u0007", "n": 5}}'

Logs are in {logs}. Ctrl-C stops everything."""
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
