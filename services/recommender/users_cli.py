"""Which commands hand out and forget what is kept of a person?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from services.commands import new_file

users = click.Group("users", help="What is kept of a person: hand it out, forget it.")


@users.command(
    "export",
    help="Write all that is kept of a user. "
    "Example: trefoil recommender users export mara --output mara.jsonl",
)
@click.argument("user_id")
@new_file("--output", help="JSON lines: a page of up to 1,000 events each.")
def export_command(user_id: str, output: Path) -> None:
    import json

    from core.files import written_whole
    from services.recommender.users import page_out

    events = 0
    with _store() as store, written_whole(output) as file:
        after: int | None = 0
        while after is not None:
            page = store.page(user_id, after)
            file.write(json.dumps(page_out(page), ensure_ascii=False) + "\n")
            events, after = events + len(page.events), page.following
    click.echo(f"{output}: {events} events of {user_id}")


@users.command(
    "forget",
    help="Delete all that is kept of a user and of the sessions that were merged into them; it "
    "cannot be undone. Example: trefoil recommender users forget mara --yes",
)
@click.argument("user_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget_command(user_id: str, yes: bool) -> None:
    from datetime import UTC, datetime

    if not yes:
        click.confirm(f"Delete all events of {user_id}?", abort=True)
    with _store() as store:
        gone = store.erase(user_id, datetime.now(UTC).timestamp())
    click.echo(f"{gone} events of {user_id} are deleted; the next training does without them")


@contextmanager
def _store() -> Iterator[Any]:
    from core.db.engine import session_factory
    from core.db.migrations import migrated_engine
    from services.recommender.settings import Settings
    from services.recommender.tables import MIGRATIONS
    from services.recommender.users import UserStore

    settings = Settings()
    with migrated_engine(settings.database_url, MIGRATIONS, command=settings.command) as engine:
        yield UserStore(session_factory(engine), session_factory(engine, read_only=True))
