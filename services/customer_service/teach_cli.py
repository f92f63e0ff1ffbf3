"""Which command makes a model of what was taught, without a worker? retrain."""

from __future__ import annotations

import signal
import threading
from typing import Final

import click


@click.command(
    "retrain",
    help="Train on your own rows (setting training_data) and what was taught, judge the new model "
    "against the live one, make it live if it passes. Example: trefoil customer-service retrain",
)
@click.option(
    "--if-due", is_flag=True, help="Only where enough was taught since the last training."
)
def retrain_command(if_due: bool) -> None:
    from datetime import UTC, datetime

    from core.db.engine import session_factory
    from core.db.migrations import migrated_engine
    from core.errors import SettingsError, TrefoilError
    from core.schedule import owner_name
    from services.customer_service.candidates import CandidateStore
    from services.customer_service.retrain import Retrainer
    from services.customer_service.settings import Settings
    from services.customer_service.tables import MIGRATIONS

    settings = Settings()
    if not settings.training_data:
        raise SettingsError(
            "nothing to train on",
            mend="Set TREFOIL_CUSTOMER_SERVICE_TRAINING_DATA to the file that you train on.",
        )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with migrated_engine(settings.database_url, MIGRATIONS, command=settings.command) as engine:
        sessions, readers = session_factory(engine), session_factory(engine, read_only=True)
        retrainer = Retrainer(
            settings,
            sessions,
            readers,
            owner=owner_name(),
            now=lambda: datetime.now(UTC),
            stop=stop,
        )
        if not retrainer.retrain(at_once=not if_due):
            click.echo(
                "no new candidate: too little was taught, no model is live, or a worker is at it"
            )
            return
        [made] = CandidateStore(sessions, readers).page(limit=1, cursor=0)[0]
    for reason in made["verdict"]["reasons"]:
        click.echo(f"against it: {reason}")
    click.echo(
        f"candidate {made['id']} is {made['state']}, {made['replay'].get('changed', 0)} of "
        f"{made['replay'].get('turns', 0)} replayed messages change"
    )
    if made["state"] == "failed":
        raise TrefoilError("there is no new model")


COMMANDS: Final = (retrain_command,)
