"""A shop with a trained model, served for the browser tests: the made-up items and people of the
recommender's own tests, whose log ends now, and a database for each module."""

from __future__ import annotations

import csv
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from filelock import FileLock
from sqlalchemy import select

from core.artifacts import Registry
from core.data.records import Item
from core.db.engine import make_engine, session_factory
from services.recommender.app import create_app
from services.recommender.importing import run_import
from services.recommender.model import KIND
from services.recommender.settings import Settings
from services.recommender.store import ItemStore
from services.recommender.tables import events
from services.recommender.train import train
from tests.browser.conftest import served
from tests.recommender.shop import make_events, make_items, write_events

SHOPPERS = """
shoppers:
  - {user_id: u0, name: Mara, label: hikes, about: Counts the grams in her pack.}
  - {user_id: u1, name: Jonas, label: bakes, about: Bakes each weekend.}
"""
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


@dataclass(frozen=True)
class Shop:
    """A shop's address and its database."""

    url: str
    settings: Settings

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rsplit(":", 1)[1])

    def events(self, **equal: Any) -> list[dict[str, Any]]:
        """The events with these values, in the order they came."""
        return stored_events(self.settings, **equal)


def app_of(settings: Settings) -> FastAPI:
    """The service as it is served."""
    return create_app(settings)


def settings_in(folder: Path) -> Settings:
    """Of a server that keeps everything in this folder."""
    shoppers = folder / "shoppers.yaml"
    shoppers.write_text(SHOPPERS, encoding="utf-8")
    return Settings(var_dir=folder, threads=1, rate_limit="", sample_shoppers=str(shoppers))


@pytest.fixture(scope="session")
def made_shop(
    tmp_path_factory: pytest.TempPathFactory, tiny_base_model: Path
) -> Callable[[Path], Settings]:
    """made_shop(folder): settings of a trained shop in a new folder. Made by the first process of
    the run that asks, and copied by each."""
    base = tmp_path_factory.getbasetemp()
    made = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-shop"
    with FileLock(f"{made}.lock"):
        if not made.exists():
            aside = tmp_path_factory.mktemp("making-shop") / "shop"
            aside.mkdir()
            make(aside, tiny_base_model)
            aside.rename(made)

    def shop(folder: Path) -> Settings:
        shutil.copytree(made / "recommender", folder / "recommender")
        return settings_in(folder)

    return shop


def make(folder: Path, base_model: Path) -> None:
    """Train on the made-up shop, whose log ends now, and import it."""
    items, model = folder / "items.csv", folder / "model"
    with items.open("w", encoding="utf-8", newline="") as file:
        columns = ("item_id", "title", "tags", "category", "price", "currency", "item_group_id")
        writer = csv.writer(file)
        writer.writerow(columns)
        for item in make_items():
            row = asdict(item) | {"tags": "|".join(item.tags)}
            writer.writerow([row[column] for column in columns])
    log = make_events()
    later = time.time() - 60 - log[-1].timestamp
    moved = [replace(event, timestamp=event.timestamp + later) for event in log]
    events_file = write_events(folder / "events.csv", moved)
    train(items, events_file, model, base_model=str(base_model), threads=1)
    stock = settings_in(folder)
    Registry(stock.models_dir, KIND).promote(model)
    run_import(stock, items=items, events=events_file)


@contextmanager
def shop_in(settings: Settings, port: int = 0) -> Iterator[Shop]:
    """The shop, served."""
    with served(app_of(settings), port) as url:
        yield Shop(url, settings)


def put_items(settings: Settings, batch: Sequence[Item]) -> None:
    """Items past the front door, where markup in them would become plain text."""
    engine = make_engine(settings.database_url)
    store = ItemStore(session_factory(engine), session_factory(engine, read_only=True))
    for start in range(0, len(batch), 2_000):
        store.upsert(batch[start : start + 2_000], 1_790_000_000.0)
    engine.dispose()


def stored_events(settings: Settings, **equal: Any) -> list[dict[str, Any]]:
    """The events in a database with these values."""
    engine = make_engine(settings.database_url)
    query = select(events).order_by(events.c.seq)
    for name, value in equal.items():
        query = query.where(events.c[name] == value)
    with session_factory(engine, read_only=True)() as session:
        found = [dict(row._mapping) for row in session.execute(query)]
    engine.dispose()
    return found
