"""What do answers about trainings and the live model look like on the wire?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel

from services.recommender.schemas import EARLIEST, LATEST
from services.recommender.training_store import Plan, Standing, When, needed_events

State = Literal["asked", "running", "promoted", "refused", "failed", "given"]


class AskedOut(BaseModel):
    id: int
    state: Literal["asked"]


class NextOut(BaseModel):
    """When the worker trains next by itself: at `at`; null where something must come first."""

    cause: Literal["first", "growth", "retry", "asked"] | None
    at: datetime | None
    why: str
    positive_events: int
    new_positive_events: int
    needed_positive_events: int


class TrainingOut(BaseModel):
    """`against` was live when it began, `version` is what it made; `trained_until` the newest event
    that this version knows. A `given` one is a live model that no training here made."""

    id: int
    state: State
    cause: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    preset: str
    against: str | None
    version: str | None
    trained_until: datetime | None
    positive_events: int
    counts: dict[str, int]
    rung: str
    why: str
    reasons: list[str]
    folder: str


class WholeTrainingOut(TrainingOut):
    """With the figures that decided."""

    figures: dict[str, Any]


class TrainingsOut(BaseModel):
    trainings: list[TrainingOut]
    next_cursor: str | None
    next: NextOut


class ModelOut(BaseModel):
    """The live model: which rung of the ladder it stands on and why, what it was trained on, its
    held-out figures beside those of the usual methods, and what it was promoted by (`decision`,
    null where that was not here). All null before the first model."""

    model_version: str | None
    created_at: datetime | None
    base_model: str | None
    preset: str | None
    rung: str | None
    why: str | None
    trained_until: datetime | None
    data: dict[str, Any]
    metrics: dict[str, Any]
    learnt: dict[str, Any]
    decision: dict[str, Any] | None
    items_without_vector: int
    next: NextOut


def next_out(planned: Plan, standing: Standing, when: When) -> NextOut:
    """When the next training begins."""
    return NextOut(
        cause=planned.cause,
        at=planned.at,
        why=planned.why,
        positive_events=standing.positives,
        new_positive_events=standing.new,
        needed_positive_events=needed_events(standing, when),
    )


def training_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table as the fields of `WholeTrainingOut`."""
    until = moment(row["trained_until"])
    return {**row, "trained_until": until, "positive_events": row["positives"]}


def moment(seconds: float | None) -> datetime | None:
    """Unix seconds as a moment; what no calendar holds is shown at its end."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(min(max(seconds, EARLIEST), LATEST), UTC)
