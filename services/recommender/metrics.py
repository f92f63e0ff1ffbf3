"""Which figures of the recommender does Prometheus read at /metrics?

They come from the database and the registry, so every web process shows the same, and what the
workers did as well. They are read beside the server every few seconds; a scrape shows what was
read last, and when.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import Registry, read_manifest
from core.inference.encoder import EncoderConfig
from core.web.metrics import reread
from services.recommender import training_store
from services.recommender.event_store import last_numbers
from services.recommender.tables import item_vectors, items, trainings

EVERY_SECONDS: Final = 15.0
STATES: Final = ("asked", "running", "promoted", "refused", "failed")
RUNGS: Final = ("frozen", "adapter", "top_layers", "all_layers")


@dataclass(frozen=True)
class Figures:
    """What was read, at `read_at`; moments in seconds since 1970. `rung` and `version` are empty
    without a live model."""

    read_at: float
    items: int
    hidden: int
    without_vector: int
    events: int
    new_positives: int
    trainings: Mapping[str, int]
    last_promoted: float | None
    rung: str
    version: str


def read_figures(session: Session, registry: Registry, now: datetime) -> Figures:
    """One look at the database and the registry."""
    live = registry.active()
    manifest = None if live is None else read_manifest(live.path)
    missing = 0
    if live is not None:
        config = EncoderConfig.load(live.path / "encoder")
        missing = items_without_vector(session, config.encoder_id)
    counted = select(trainings.c.state, func.count()).group_by(trainings.c.state)
    states = {row[0]: int(row[1]) for row in session.execute(counted)}
    promoted = trainings.c.state == "promoted"
    last = session.execute(select(func.max(trainings.c.ended_at)).where(promoted)).scalar_one()
    standing = training_store.standing(session, live=live is not None)
    in_shop = items.c.deleted.is_(False)
    hidden = select(func.count()).select_from(items).where(in_shop, items.c.hidden.is_(True))
    return Figures(
        read_at=now.timestamp(),
        items=standing.items,
        hidden=int(session.execute(hidden).scalar_one()),
        without_vector=missing,
        events=last_numbers(session)["events"],
        new_positives=standing.new,
        trainings={state: states.get(state, 0) for state in STATES},
        last_promoted=None if last is None else last.timestamp(),
        rung="" if manifest is None else str(manifest.settings.get("learnt", {}).get("rung", "")),
        version="" if manifest is None else manifest.identity,
    )


def items_without_vector(session: Session, encoder_id: str) -> int:
    """Items of the shop whose text this encoder has not seen."""
    vector = (item_vectors.c.text_digest == items.c.text_digest) & (
        item_vectors.c.encoder_id == encoder_id
    )
    query = (
        select(func.count())
        .select_from(items.outerjoin(item_vectors, vector))
        .where(items.c.deleted.is_(False), item_vectors.c.text_digest.is_(None))
    )
    return int(session.execute(query).scalar_one())


class RecommenderFigures(Collector):
    """Reads again every few seconds, and shows what it read last."""

    def __init__(
        self,
        readers: sessionmaker[Session],
        models: Registry,
        now: Callable[[], datetime],
        registry: CollectorRegistry,
    ) -> None:
        self._readers, self._models, self._now = readers, models, now
        self._last: Figures | None = None
        registry.register(self)

    def refresh(self) -> None:
        """Read anew; blocks."""
        with self._readers() as session:
            self._last = read_figures(session, self._models, self._now())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Reads for as long as the server runs."""
        async with reread(self.refresh, EVERY_SECONDS):
            yield

    def collect(self) -> Iterator[Metric]:
        """The figures in the form of Prometheus."""
        if self._last is not None:
            yield from families(self._last)


def families(figures: Figures) -> Iterator[Metric]:
    """The figures by name, as docs/RECOMMENDER_TRAINING.md lists them."""
    yield _gauge("figures_timestamp_seconds", "When these were read.", _one(figures.read_at))
    yield _gauge("items", "Items in the shop, hidden ones too.", _one(figures.items))
    yield _gauge("items_hidden", "Items that are kept and not shown.", _one(figures.hidden))
    yield _gauge(
        "items_without_vector",
        "Items whose text the live model's encoder has not seen.",
        _one(figures.without_vector),
    )
    yield _gauge("last_event", "Number of the last event.", _one(figures.events))
    yield _gauge(
        "new_positive_events",
        "Clicks and stronger since the last training.",
        _one(figures.new_positives),
    )
    yield _gauge("trainings", "Trainings by state.", figures.trainings.items(), "state")
    yield _gauge(
        "last_promotion_timestamp_seconds",
        "When a training last put a model live.",
        _one(figures.last_promoted),
    )
    standing = [(rung, float(rung == figures.rung)) for rung in RUNGS]
    yield _gauge("rung", "1 for the rung that the live model stands on.", standing, "rung")
    version = [(figures.version, 1.0)] if figures.version else []
    yield _gauge("model", "1 for the version that is live.", version, "version")


def _gauge(name: str, told: str, samples: Iterable[tuple[str, float]], label: str = "") -> Metric:
    labels = [label] if label else []
    family = GaugeMetricFamily(f"trefoil_recommender_{name}", told, labels=labels)
    for of, value in samples:
        family.add_metric([of] if label else [], value)
    return family


def _one(value: float | None) -> Iterable[tuple[str, float]]:
    return [] if value is None else [("", float(value))]
