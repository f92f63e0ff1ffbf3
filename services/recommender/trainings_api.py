"""How is a training asked for, and how does one see what became of it and what is live?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy.orm import Session, sessionmaker
from starlette.requests import Request

from core.artifacts import Registry, read_manifest
from core.errors import InvalidInput, NotFound
from core.inference.encoder import EncoderConfig
from core.web import requires
from services.recommender import training_store
from services.recommender.metrics import items_without_vector
from services.recommender.training_schemas import (
    AskedOut,
    ModelOut,
    NextOut,
    TrainingOut,
    TrainingsOut,
    WholeTrainingOut,
    moment,
    next_out,
    training_values,
)
from services.recommender.training_store import When

router = APIRouter(prefix="/v1")
_LARGEST = 2**53


@dataclass(frozen=True)
class Desk:
    """What these endpoints work with."""

    sessions: sessionmaker[Session]
    readers: sessionmaker[Session]
    registry: Registry
    when: When
    now: Callable[[], datetime]

    def next(self, session: Session) -> NextOut:
        """When the next training begins."""
        standing = training_store.standing(session, live=self.registry.active() is not None)
        planned = training_store.plan(standing, self.when, self.now())
        return next_out(planned, standing, self.when)


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.trainings
    return desk


Given = Annotated[Desk, Depends(_desk)]


@router.post(
    "/trainings", response_model=AskedOut, status_code=202, dependencies=[requires("trainings")]
)
def ask_for_training(desk: Given) -> Any:
    """Ask the worker to train now. While one waits to be begun, the answer is that one."""
    with desk.sessions.begin() as session:
        number = training_store.ask(session, desk.now())
    return AskedOut(id=number, state="asked")


@router.get("/trainings", response_model=TrainingsOut, dependencies=[requires("trainings")])
def list_trainings(
    desk: Given,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=20)] = None,
) -> Any:
    """Trainings, the newest first, and when the next one begins."""
    with desk.readers() as session:
        rows = training_store.page(session, limit + 1, _number(cursor))
        coming = desk.next(session)
    shown = rows[:limit]
    return TrainingsOut(
        trainings=[TrainingOut(**training_values(row)) for row in shown],
        next_cursor=str(shown[-1]["id"]) if len(rows) > limit else None,
        next=coming,
    )


@router.get(
    "/trainings/{number}", response_model=WholeTrainingOut, dependencies=[requires("trainings")]
)
def read_training(number: Annotated[int, Path(ge=1, le=_LARGEST)], desk: Given) -> Any:
    """One training with the figures that decided."""
    with desk.readers() as session:
        row = training_store.find(session, number)
    if row is None:
        raise NotFound(f"there is no training {number}", mend="GET /v1/trainings lists them.")
    return WholeTrainingOut(**training_values(row))


@router.get("/model", response_model=ModelOut, dependencies=[requires("trainings")])
def read_model(desk: Given) -> Any:
    """The live model, the rung it stands on, and when the next training begins."""
    version = desk.registry.active()
    manifest = None if version is None else read_manifest(version.path)
    with desk.readers() as session:
        coming = desk.next(session)
        row = None if manifest is None else training_store.of_version(session, manifest.identity)
        missing = 0
        if version is not None:
            config = EncoderConfig.load(version.path / "encoder")
            missing = items_without_vector(session, config.encoder_id)
    settings = {} if manifest is None else manifest.settings
    learnt = settings.get("learnt", {})
    return ModelOut(
        model_version=None if manifest is None else manifest.identity,
        created_at=None if manifest is None else datetime.fromisoformat(manifest.created_at),
        base_model=None if manifest is None else manifest.base_model,
        preset=settings.get("preset"),
        rung=learnt.get("rung"),
        why=learnt.get("why"),
        trained_until=None if row is None else moment(row["trained_until"]),
        data=settings.get("data", {}),
        metrics={} if manifest is None else dict(manifest.metrics),
        learnt=learnt,
        decision=None if row is None or not row["figures"] else row["figures"],
        items_without_vector=missing,
        next=coming,
    )


def _number(cursor: str | None) -> int | None:
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdecimal()) or not 0 < int(cursor) <= _LARGEST:
        raise InvalidInput(
            "the cursor is not one of ours", mend="Send next_cursor of the page before, unchanged."
        )
    return int(cursor)
