"""Migrated databases of both kinds, a clock that stands still, and a model trained on the spot."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import Registry
from core.db.engine import make_engine, session_factory
from core.testing.tiny import tiny_base_model
from services.finance_sentiment.domain import KIND
from services.finance_sentiment.labels import Labeler
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.tables import metadata
from services.finance_sentiment.train import train

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)

_SENTENCES = {
    ("negative", "banking"): "bank {} hit by losses as bad loans rise and deposits flee",
    ("positive", "banking"): "bank {} lifts profit as lending margin widens again",
    ("neutral", "banking"): "bank {} publishes the agenda of its annual meeting",
    ("negative", "energy"): "oil price falls in {} as storage fills and demand weakens",
    ("positive", "energy"): "oil field near {} starts early and pumps more than planned",
    ("neutral", "energy"): "oil ministers meet in {} on Thursday to talk about quotas",
}
_PLACES = ("lisbon", "oslo", "turin", "lagos", "quito", "delhi", "perth", "tunis", "riga", "lyon")


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self, moment: datetime = NOW) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **step: float) -> None:
        self.moment += timedelta(**step)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    # The tables directly: test_migrations shows that the migrations make the same ones.
    engine = make_engine(database_url)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[Session]:
    return session_factory(engine)


@pytest.fixture(scope="session")
def news_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("news") / "train.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "sentiment", "topic"])
        for (sentiment, topic), pattern in _SENTENCES.items():
            for place in _PLACES:
                writer.writerow([pattern.format(place), sentiment, topic])
    return path


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base_model(tmp_path_factory.mktemp("base"), tuple(_SENTENCES.values()))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, news_csv: Path, base_model: Path) -> Path:
    output = tmp_path_factory.mktemp("artefact") / "model"
    train(news_csv, output, preset="fast", base_model=str(base_model), threads=1)
    return output


@pytest.fixture(scope="session")
def labeler(model: Path) -> Labeler:
    return Labeler.load(model, threads=1)


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Settings:
    return Settings(var_dir=tmp_path, database_url=sqlite_url, threads=1, rate_limit="")


@pytest.fixture
def live_settings(settings: Settings, model: Path) -> Settings:
    """Settings of a service whose registry holds the tiny model."""
    Registry(settings.models_dir, KIND).promote(model)
    return settings
