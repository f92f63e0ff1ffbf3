"""Which commands are there for corrected labels? Only click is imported at the top."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from services.commands import load, new_file

NAME = "finance-sentiment"
_SETTINGS = "services.finance_sentiment.settings:Settings"
_WIDTH = 60


@click.group(help="What people say that labels should be: list, accept, reject, export.")
def labels() -> None:
    """Corrections."""


@labels.command("list", help=f"Corrections, newest first. Example: trefoil {NAME} labels list")
@click.option(
    "--state",
    type=click.Choice(["quarantine", "accepted", "rejected", "all"]),
    default="quarantine",
    show_default=True,
)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
def list_labels(state: str, limit: int) -> None:
    from services.finance_sentiment.corrections import page_of_corrections

    chosen: Any = None if state == "all" else state
    with _sessions()() as session:
        page, more = page_of_corrections(session, state=chosen, limit=limit)
    for one in page:
        click.echo(_line(one))
    if not page:
        click.echo("no corrections" if state == "all" else f"no corrections in the state {state}")
    if more:
        click.echo(f"… and more: --limit {2 * limit}")


@labels.command("accept", help=f"Take corrections. Example: trefoil {NAME} labels accept 3 4")
@click.argument("numbers", type=click.IntRange(1), nargs=-1, required=True)
@click.option("--by", default="", help="Who decides.")
def accept_labels(numbers: tuple[int, ...], by: str) -> None:
    from services.finance_sentiment.corrections import accept

    topics = _topics()
    with _sessions().begin() as session:
        for number in numbers:
            accept(session, number, by, topics, _now())
    click.echo(f"accepted: {', '.join(map(str, numbers))}")


@labels.command("reject", help=f"Drop corrections. Example: trefoil {NAME} labels reject 3")
@click.argument("numbers", type=click.IntRange(1), nargs=-1, required=True)
@click.option("--by", default="", help="Who decides.")
def reject_labels(numbers: tuple[int, ...], by: str) -> None:
    from services.finance_sentiment.corrections import reject

    with _sessions().begin() as session:
        for number in numbers:
            reject(session, number, by, _now())
    click.echo(f"rejected: {', '.join(map(str, numbers))}")


@labels.command(
    "export",
    help="Accepted corrections as training data, personal data replaced. "
    f"Example: trefoil {NAME} labels export --output corrected.csv",
)
@new_file("--output", help="The CSV to write: text,sentiment,topic.")
def export_labels(output: Path) -> None:
    from services.finance_sentiment.corrections import shown_labels, taught
    from services.finance_sentiment.lessons import export

    with _sessions()() as session:
        said, shown = taught(session), shown_labels(session)
    left_out = export(output, said, shown)
    more = f"; {left_out} left out, of which only one head is known" if left_out else ""
    click.echo(f"{len(said) - left_out} corrections → {output}{more}")


def corrections_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--corrections of `train`, handed to the command as a list of Taught."""

    @wraps(function)
    def command(corrections: bool, corrections_from: Path | None, **others: Any) -> Any:
        if corrections and corrections_from:
            raise click.UsageError("--corrections and --corrections-from exclude each other")
        said = _accepted() if corrections else _read(corrections_from) if corrections_from else []
        return function(corrections=said, **others)

    hidden = click.option(
        "--corrections-from",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        hidden=True,
    )
    return click.option(
        "--corrections",
        is_flag=True,
        help="Learn the accepted corrections of the database as well.",
    )(hidden(command))


def _accepted() -> list[Any]:
    from services.finance_sentiment.corrections import taught

    with _sessions()() as session:
        return taught(session)


def _read(path: Path) -> list[Any]:
    from services.finance_sentiment.lessons import read_taught

    return read_taught(path)


def _line(one: dict[str, Any]) -> str:
    said = " ".join(one[head] for head in ("sentiment", "topic") if one[head])
    was = one["was"] or {}
    before = " ".join(was[head] for head in ("sentiment", "topic") if was.get(head)) or "nothing"
    about = f"story {one['story_id']}" if one["story_id"] else "a text"
    marks = [" NEW TOPIC"] if one["new_topic"] else []
    if one["conflicts"]:
        marks.append(f" CONTRADICTS {', '.join(map(str, one['conflicts']))}")
    text = one["text"] if len(one["text"]) <= _WIDTH else one["text"][: _WIDTH - 1] + "…"
    return (
        f"{one['id']:6} {one['state']:10} {about}: {said} (was {before}), says {one['said_by']}"
        f"{''.join(marks)}: {text}"
    )


def _topics() -> tuple[str, ...]:
    from core.artifacts import Registry
    from services.finance_sentiment.domain import KIND
    from services.finance_sentiment.promotion import manifest_topics

    live = Registry(load(_SETTINGS)().models_dir, KIND).active()
    return () if live is None else manifest_topics(live.path)


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def _sessions() -> Any:
    from core.db.engine import make_engine, session_factory
    from core.db.migrations import upgrade
    from services.finance_sentiment.tables import MIGRATIONS

    engine = make_engine(load(_SETTINGS)().database_url)
    upgrade(engine, MIGRATIONS)
    return session_factory(engine)
