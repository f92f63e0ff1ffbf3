"""What must be there before the demo can serve: models, databases, sample content.

Each step is the command that a user would type, so the demo shows nothing that one could not do
by hand. What is there already is left as it is.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from core.errors import TrefoilError
from core.settings import ServiceSettings
from services.commands import load, migrations_folder

_ENOUGH_DISK = 1_000_000_000


@dataclass(frozen=True)
class Service:
    """One of the three: its command, its settings, and how it is trained and filled."""

    command: str
    kind: str
    settings: ServiceSettings
    train: tuple[str, ...]
    content: tuple[str, ...]

    @property
    def url(self) -> str:
        """Where it answers on this machine."""
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def migrations(self) -> str:
        """The package of its Alembic scripts."""
        return f"services.{self.kind}.migrations"


def sample_services(data: Path, shop: Path) -> list[Service]:
    """The three services on the sample data in `data`; the shop's files lie in `shop`."""
    support, news = data / "customer_service", data / "finance_sentiment"
    shop_files = ("--items", str(shop / "items.csv"), "--events", str(shop / "events.csv"))
    return [
        Service(
            "customer-service",
            "customer_service",
            load("services.customer_service.settings:Settings")(),
            ("--data", str(support / "train.csv")),
            ("--answers", str(support / "intents.yaml"), "--articles", str(support / "articles")),
        ),
        Service(
            "finance-sentiment",
            "finance_sentiment",
            load("services.finance_sentiment.settings:Settings")(),
            # More, as by default, are a little better and take too long for a first run.
            ("--data", str(news / "train.csv"), "--epochs", "2"),
            (),
        ),
        Service(
            "recommender",
            "recommender",
            load("services.recommender.settings:Settings")(),
            shop_files,
            shop_files,
        ),
    ]


def require_disk(folder: Path) -> None:
    """TrefoilError where less than 1 GB is free for models and databases."""
    import shutil

    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < _ENOUGH_DISK:
        raise TrefoilError(
            f"{free / 1e9:.1f} GB of disk are free at {existing}, the demo needs 1 GB",
            mend="Free some space, or set TREFOIL_VAR to a folder on another disk.",
        )


def train_missing(services: Sequence[Service]) -> None:
    """Train and promote a model for every service that has none."""
    from core.artifacts import Registry

    for service in services:
        registry = Registry(service.settings.models_dir, service.kind)
        if registry.active() is not None:
            continue
        began = time.monotonic()
        click.echo(f"{service.command}: training on the sample data (once)")
        candidate = service.settings.models_dir / "candidate"
        run(service.command, "train", *service.train, "--output", str(candidate))
        registry.promote(candidate)
        _remove(candidate)
        click.echo(f"{service.command}: trained in {time.monotonic() - began:.0f} s")


def prepare_databases(services: Sequence[Service], news_database: Path) -> None:
    """Bring the databases up to date; the news start from an empty one at every run.

    The demo moves its news so that they end now, so those of an earlier run would be in the way.
    """
    from core.db.migrations import upgrade

    for file in news_database.parent.glob(f"{news_database.name}*"):
        file.unlink()
    for service in services:
        upgrade(service.settings.database_url, migrations_folder(service.migrations))


def import_missing(services: Sequence[Service]) -> None:
    """Import each service's sample content the first time."""
    for service in services:
        done = service.settings.var_dir / "demo" / f"{service.kind}-content-imported"
        if service.content and not done.exists():
            click.echo(f"{service.command}: importing the sample content (once)")
            run(service.command, "import", *service.content, quiet=True)
            done.touch()


def add_agent(folder: Path) -> None:
    """Let the demo's user log in at the desk."""
    from services.demo.visitors import AGENT, password_of

    done = folder / "agent-added"
    if not done.exists():
        words = (
            "customer-service",
            "agents",
            "add",
            AGENT,
            "--role",
            "admin",
            "--shown-as",
            "Robin",
        )
        run(*words, quiet=True, told=f"{password_of(folder)}\n")
        done.touch()


def make_past() -> None:
    """Give the dashboards a past that ends now."""
    click.echo("two weeks of made-up visits, up to now")
    run("demo", "past", quiet=True)


def run(*arguments: str, quiet: bool = False, told: str = "") -> None:
    """Run `trefoil <arguments>` to its end; TrefoilError with its last line where it fails.

    Its progress is shown unless `quiet`; its results never are, the demo speaks for itself. `told`
    is what it reads.
    """
    command = [sys.executable, "-m", "services.cli", *arguments]
    finished = subprocess.run(  # noqa: S603 - our own command
        command,
        check=False,
        input=told,
        stdout=subprocess.PIPE if quiet else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
    )
    if finished.returncode != 0:
        said = (finished.stdout or "").strip().splitlines()
        reason = said[-1].removeprefix("trefoil: ") if said else "see the lines above"
        raise TrefoilError(f"`trefoil {' '.join(arguments[:2])}` failed: {reason}")


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
