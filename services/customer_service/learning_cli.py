"""Which commands turn what was said already into a better bot? learn, review, gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from services.commands import BUNDLED_REFERENCE, existing_file, new_file, progress


@click.command(
    "learn",
    help="Past conversations → a review list: each question with the best answer an agent gave, "
    "personal data replaced. Example: trefoil customer-service learn "
    "--conversations conversations.jsonl --output review.csv",
)
@existing_file(
    "--conversations",
    help="CSV, JSONL, YAML or Parquet with conversation_id, role (customer, agent, bot), text; "
    "optional time, resolved, rating.",
)
@new_file("--output", help="The review list, a CSV for a spreadsheet program.")
@click.option(
    "--min-count",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Questions that a group must have to be listed.",
)
@click.option(
    "--base-model",
    default=BUNDLED_REFERENCE,
    show_default=True,
    help="A folder, or a hub id with its revision: org/name@commit.",
)
def learn_command(conversations: Path, output: Path, min_count: int, base_model: str) -> None:
    import tempfile

    from core.inference.encoder import TextEncoder
    from core.inference.export import export_base_encoder
    from services.customer_service.gaps import in_portions
    from services.customer_service.review import learn

    with tempfile.TemporaryDirectory() as folder:
        progress().say(f"reading the base model {base_model}")
        export_base_encoder(Path(folder), base_model)
        encode = in_portions(TextEncoder.load(Path(folder)).encode)
        lines = learn(conversations, output, encode=encode, min_count=min_count)
    for line in lines:
        click.echo(line)
    click.echo(
        "next: write accept, edit or reject into the column decision, then: "
        f"trefoil customer-service review --list {output} --output DIR"
    )


@click.command(
    "review",
    help="The accepted and edited rows of a review list → train.csv and intents.yaml. Example: "
    "trefoil customer-service review --list review.csv --output learnt",
)
@existing_file("--list", "path", help="A review list as `learn` wrote it, with decisions in it.")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for train.csv and intents.yaml; what is there is replaced.",
)
def review_command(path: Path, output: Path) -> None:
    from services.customer_service.review import review

    for line in review(path, output):
        click.echo(line)


@click.command(
    "gaps",
    help="What customers asked and the bot could not answer, in groups, the largest first. "
    "Example: trefoil customer-service gaps --days 30 --output gaps.csv",
)
@click.option(
    "--days",
    type=click.FloatRange(0, 36_500, min_open=True),
    default=30.0,
    show_default=True,
    help="How far back to look.",
)
@new_file("--output", required=False, help="Where all groups go, a CSV for a spreadsheet program.")
def gaps_command(days: float, output: Path | None) -> None:
    from datetime import UTC, datetime

    from services.customer_service.gaps import mine_gaps
    from services.customer_service.settings import Settings

    for line in mine_gaps(Settings(), days=days, output=output, now=datetime.now(UTC)):
        click.echo(line)


COMMANDS: Final = (learn_command, review_command, gaps_command)
