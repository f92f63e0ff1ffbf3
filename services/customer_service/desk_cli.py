"""Which commands say who works at the desk?

A password is typed at a prompt, or comes as the first line of standard input; never as an argument,
where every process of the machine could read it.
"""

from __future__ import annotations

import sys
from typing import Any

import click


@click.group("agents", help="People who answer customers and log in at the desk.")
def agents() -> None:
    pass


def _accounts() -> Any:
    from datetime import UTC, datetime

    from core.db.engine import make_engine, session_factory
    from core.db.migrations import upgrade
    from services.customer_service.people import accounts_of
    from services.customer_service.settings import Settings
    from services.customer_service.tables import MIGRATIONS

    settings = Settings()
    engine = make_engine(settings.database_url)
    upgrade(engine, MIGRATIONS)
    sessions, readers = session_factory(engine), session_factory(engine, read_only=True)
    return accounts_of(settings, sessions, readers, lambda: datetime.now(UTC))


def _password() -> str:
    """From the prompt, twice, or the first line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


@agents.command(
    "add",
    help="Let somebody log in at the desk. The password is asked for, or read from standard input. "
    "Example: trefoil customer-service agents add anna --role admin --shown-as Anna",
)
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["agent", "admin"]),
    default="agent",
    show_default=True,
    help="agent: answers customers; admin: everything else too.",
)
@click.option("--language", default="en", show_default=True, help="Of the desk's pages.")
@click.option("--shown-as", default="", help="What customers see. Default: the name before its @.")
def add(name: str, role: str, language: str, shown_as: str) -> None:
    agent = _accounts().add(name, _password(), role=role, language=language, shown_as=shown_as)
    click.echo(f"{agent.name} may log in ({agent.role}); customers see {agent.shown_as}")


@agents.command("list", help="Show the agents. Example: trefoil customer-service agents list")
def show() -> None:
    for agent in _accounts().all():
        state = "disabled" if agent.disabled else "live"
        click.echo(
            f"{agent.name}  {agent.role:5}  {state:8}  {agent.language}  {agent.shown_as}  "
            f"{agent.created_at:%Y-%m-%d}"
        )


@agents.command(
    "disable",
    help="Shut somebody out, at once; --undo lets them in again. "
    "Example: trefoil customer-service agents disable anna",
)
@click.argument("name")
@click.option("--undo", is_flag=True, help="Let them in again.")
def disable(name: str, undo: bool) -> None:
    _accounts().set_disabled(name, not undo)
    click.echo(f"{name} {'may log in again' if undo else 'is shut out'}")


@agents.command(
    "password",
    help="Set another password; all sessions of the agent end. "
    "Example: trefoil customer-service agents password anna",
)
@click.argument("name")
def password(name: str) -> None:
    _accounts().set_password(name, _password())
    click.echo(f"{name} has another password")
