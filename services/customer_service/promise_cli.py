"""Which command gives a trained model another promise?"""

from __future__ import annotations

from pathlib import Path

import click

from services.commands import model_option


@click.command(
    "promise",
    help="The same model with the threshold of another risk or out-of-scope share, in seconds. "
    "Example: trefoil customer-service promise --model model --output stricter --risk 0.02",
)
@model_option
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the new artefact.",
)
@click.option(
    "--risk",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of automatic answers that may be wrong. Default: as it was.",
)
@click.option(
    "--oos-share",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of questions that no intent answers. Default: as it was.",
)
@click.option(
    "--from-log",
    is_flag=True,
    help="Estimate that share from the messages of the last --days days.",
)
@click.option("--days", type=click.IntRange(1), default=30, show_default=True)
def promise(
    model: Path,
    output: Path,
    risk: float | None,
    oos_share: float | None,
    from_log: bool,
    days: int,
) -> None:
    from core.artifacts import read_manifest
    from services.customer_service.promise import logged_share, restate

    if from_log and oos_share is not None:
        raise click.UsageError("--oos-share and --from-log both state the share: name one")
    before = read_manifest(model).settings["decision"]
    if from_log:
        messages = _logged(days)
        oos_share = logged_share(model, messages)
        click.echo(f"{len(messages)} messages of {days} days: {oos_share:.1%} out of scope")
    decision = restate(
        model,
        output,
        risk=before["risk"] if risk is None else risk,
        oos_share=before["oos_share"] if oos_share is None else oos_share,
    )
    click.echo(f"threshold {decision.rule.threshold:.3f}: {decision.note}")
    click.echo(f"{output}: done. Next: trefoil models promote {output}")


def _logged(days: int) -> list[str]:
    """What customers wrote in the last days, each message once a conversation turn."""
    from datetime import UTC, datetime, timedelta

    from core.db.engine import make_engine, session_factory
    from services.customer_service.settings import Settings
    from services.customer_service.store import ConversationStore

    engine = make_engine(Settings().database_url)
    try:
        readers = session_factory(engine, read_only=True)
        since = datetime.now(UTC) - timedelta(days=days)
        return ConversationStore(readers, readers).messages_since(since)
    finally:
        engine.dispose()
