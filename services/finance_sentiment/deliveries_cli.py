"""Which commands show and try the ways to people? Only click is imported at the top."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import click

_NAME = "finance-sentiment"
_LISTED = 50


@click.command(
    "deliveries",
    help=f"What was told to whom, newest first. Example: trefoil {_NAME} deliveries --state dead",
)
@click.option("--state", type=click.Choice(["pending", "sent", "dead"]), help="Only such.")
@click.option("--channel", help="Only to this one.")
@click.option("--retry", type=click.IntRange(min=1), help="Send this dead one after all.")
def deliveries_command(state: str | None, channel: str | None, retry: int | None) -> None:
    from services.finance_sentiment import delivery_store as store

    sessions = _sessions()
    if retry is not None:
        with sessions.begin() as session:
            store.retry(session, retry, datetime.now(UTC))
        click.echo(f"message {retry} is due again; the worker sends it")
        return
    with sessions() as session:
        page, _ = store.page_of_deliveries(
            session, state=state, channel=channel, limit=_LISTED, cursor=None
        )
        shown = [store.shown_delivery(row) for row in page]
    if not shown:
        click.echo("no messages")
    for said in shown:
        error = f" | {said['last_error']}" if said["last_error"] else ""
        attempts = f"{said['attempts']} of {said['max_attempts']} attempts"
        click.echo(
            f"{said['id']} {said['created_at']:%Y-%m-%d %H:%M} {said['state']} ({attempts}) "
            f"{said['channel']} {said['event']}: {said['summary']}{error}"
        )


@click.command(
    "notify",
    help="Send a TEST message to a channel right now and say what came back. "
    f"Example: trefoil {_NAME} notify desk",
)
@click.argument("channel")
def notify_command(channel: str) -> None:
    from services.finance_sentiment.channels import channel_named, read_channels
    from services.finance_sentiment.outcomes import ARRIVED
    from services.finance_sentiment.sending import Sender
    from services.finance_sentiment.wording import trial_note

    settings, now = _settings(), datetime.now(UTC)
    if settings.channels is None:
        raise click.UsageError("no channels are set up: name their list in the setting CHANNELS")
    chosen = channel_named(read_channels(settings.channels, os.environ), channel)
    key = f"test:{now.isoformat()}:{chosen.name}"
    with closing(Sender(settings.deliver_allow)) as send:
        outcome = send(chosen, trial_note(chosen.name, now, settings.public_url), key, now)
    if outcome.came != ARRIVED:
        raise click.ClickException(f"{chosen.name}: {outcome.said}")
    click.echo(f"{chosen.name}: {outcome.said}")


def _settings() -> Any:
    from services.finance_sentiment.settings import Settings

    return Settings()


def _sessions() -> Any:
    from core.db.engine import make_engine, session_factory
    from core.db.migrations import upgrade
    from services.finance_sentiment.tables import MIGRATIONS

    engine = make_engine(_settings().database_url)
    upgrade(engine, MIGRATIONS)
    return session_factory(engine)
