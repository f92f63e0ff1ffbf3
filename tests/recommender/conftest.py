"""A small trained recommender, made once, and everything that serves it."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import Registry
from core.data.records import Event
from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from services.recommender import train as train_module
from services.recommender.app import create_app
from services.recommender.event_store import EventStore
from services.recommender.importing import run_import
from services.recommender.learning.log import read_log
from services.recommender.learning.shop import Shop, open_shop
from services.recommender.model import KIND, Embedding
from services.recommender.settings import Settings
from services.recommender.store import ItemStore
from services.recommender.tables import MIGRATIONS
from services.recommender.train import train
from tests.recommender.shop import DAY, START, make_events, make_items, write_events, write_items

AFTER = START + 31 * DAY


@dataclass(frozen=True)
class Files:
    """The made-up shop on disk."""

    items: Path
    events: Path


@dataclass(frozen=True)
class Database:
    """An upgraded, empty database and its two stores."""

    sessions: sessionmaker[Session]
    readers: sessionmaker[Session]
    items: ItemStore = field(init=False)
    events: EventStore = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", ItemStore(self.sessions, self.readers))
        object.__setattr__(self, "events", EventStore(self.sessions, self.readers))


class Clock:
    """A present moment that moves when it is told to."""

    def __init__(self, seconds: float = AFTER) -> None:
        self.moment = datetime.fromtimestamp(seconds, UTC)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **span: float) -> None:
        self.moment += timedelta(**span)


@pytest.fixture(scope="session")
def shop_files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("shop")
    return Files(
        write_items(folder / "items.csv", make_items()),
        write_events(folder / "events.csv", make_events()),
    )


@pytest.fixture(scope="session")
def model_folder(
    tmp_path_factory: pytest.TempPathFactory, shop_files: Files, tiny_base_model: Path
) -> Path:
    """A trained artefact of the made-up shop; never write into it."""
    folder = tmp_path_factory.mktemp("recommender") / "model"
    base = str(tiny_base_model)
    train(shop_files.items, shop_files.events, folder, base_model=base, threads=1)
    # What training imported is no rubbish either; see the conftest above.
    gc.collect()
    gc.freeze()
    return folder


@pytest.fixture
def exported(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the base encoder from `model_folder`: to export it again gives the same files."""

    def copied(folder: Path, base_model: str) -> None:
        shutil.copytree(model_folder / "encoder", folder)

    monkeypatch.setattr(train_module, "export_base_encoder", copied)


@pytest.fixture
def short_log(exported: None, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """A log with just enough to be judged, where fewer users than usual are enough for that."""
    monkeypatch.setattr(train_module, "FEWEST_USERS", 5)
    return make_events(users=24, each=8)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    yield from open_database(database_url)


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    yield from open_database(sqlite_url)


def open_database(url: str) -> Iterator[Database]:
    upgrade(url, MIGRATIONS)
    engine = make_engine(url)
    yield Database(session_factory(engine), session_factory(engine, read_only=True))
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    address: str
    pid: int

    def kill(self) -> None:
        """As a power cut would; nothing where it is dead already."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def start_server() -> Iterator[Callable[[str, Path], Server]]:
    """Start a server on (database URL, folder): a fork of one process that has imported all, since
    importing takes longer than what is tested. Who calls waits until it answers, and kills it."""
    code = """
import os, signal, sys
from core.web.serve import run_server
from services.recommender.app import create_app
from services.recommender.settings import Settings
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    url, folder, port = line.split()
    child = os.fork()
    if child == 0:
        chosen = Settings(database_url=url, var_dir=folder, port=port, threads=1, rate_limit="")
        run_server(lambda: create_app(chosen), chosen)
        os._exit(0)
    print(child, flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    asks, answers = process.stdin, process.stdout

    def start(url: str, folder: Path) -> Server:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        print(url, folder, port, file=asks, flush=True)
        return Server(f"http://127.0.0.1:{port}", int(answers.readline()))

    yield start
    process.kill()
    process.communicate()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a server with an empty database and no model."""
    return Settings(var_dir=tmp_path, threads=1, rate_limit="", max_body_bytes=2_000_000)


@pytest.fixture(scope="session")
def stock(
    tmp_path_factory: pytest.TempPathFactory, model_folder: Path, shop_files: Files
) -> Settings:
    """A server's folder with the model live and the shop imported; copied, never changed."""
    chosen = Settings(var_dir=tmp_path_factory.mktemp("stock"), threads=1)
    Registry(chosen.models_dir, KIND).promote(model_folder)
    run_import(chosen, items=shop_files.items, events=shop_files.events, now=Clock())
    return chosen


@pytest.fixture
def stocked(settings: Settings, stock: Settings) -> Settings:
    """Settings of a server that has the made-up shop and its model."""
    shutil.copytree(stock.var_dir, settings.var_dir, dirs_exist_ok=True)
    return settings


@pytest.fixture
def client(stocked: Settings, clock: Clock) -> Iterator[TestClient]:
    with TestClient(create_app(stocked, now=clock)) as client:
        yield client


@pytest.fixture(scope="session")
def shop() -> Shop:
    """The made-up shop with embeddings that know nothing but the kind, and some noise."""
    rng = np.random.default_rng(0)
    items = make_items()
    axes = {"hiking": 0, "baking": 1}
    rows = rng.normal(0, 0.3, (len(items), 16))
    rows[np.arange(len(items)), [axes[item.category] for item in items]] += 1.0
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return open_shop(items, [Embedding(row.astype(np.float16), 0.0) for row in rows])


@pytest.fixture(scope="session")
def log(shop: Shop):
    return read_log(shop.items, make_events()).log
