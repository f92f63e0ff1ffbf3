"""How do people correct labels, and see what becomes of it, over HTTP?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.orm import Session, sessionmaker

from core.web import requires
from services.finance_sentiment.corrections import (
    Proposal,
    accept,
    one_correction,
    page_of_corrections,
    propose,
    reject,
)
from services.finance_sentiment.relabel import progress_of
from services.finance_sentiment.retraining_store import correction_figures, standing
from services.finance_sentiment.schemas import MAX_TEXT_CHARS, Cursor, Limit, Sentiment
from services.finance_sentiment.settings import Settings

RowId = Annotated[int, Path(ge=1, le=2**53)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Topic = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewCorrection(_Body):
    """Of a story or of a text; at least one of sentiment and topic. `new_topic`: the topic may be
    one that the model does not know yet."""

    story_id: Annotated[int, Field(ge=1, le=2**53)] | None = None
    text: Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARS)] = ""
    sentiment: Sentiment | None = None
    topic: Topic | None = None
    new_topic: bool = False
    by: Name
    note: Annotated[str, StringConstraints(max_length=1000)] = ""


class Decision(_Body):
    """Who decides."""

    by: Name


class CorrectionsQuery(_Body):
    """Which corrections are shown."""

    state: Literal["quarantine", "accepted", "rejected"] | None = None
    story_id: Annotated[int, Field(ge=1, le=2**53)] | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class Was(BaseModel):
    """The label that the story had when the correction was sent."""

    state: str
    sentiment: str | None
    topic: str | None
    model_version: str | None


class Correction(BaseModel):
    """A correction; `conflicts` are the ids of others, not rejected, that contradict it."""

    id: int
    story_id: int | None
    text: str
    sentiment: Sentiment | None
    topic: str | None
    new_topic: bool
    by: str
    note: str
    state: Literal["quarantine", "accepted", "rejected"]
    created_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    was: Was | None
    conflicts: list[int]


class CorrectionsPage(BaseModel):
    """Newest first; `next_cursor` is null on the last page."""

    labels: list[Correction]
    next_cursor: str | None


@dataclass(frozen=True)
class LabelTerms:
    """What the settings say; see settings.py."""

    accept_at_once: bool
    retrain_after: int
    relabel_days: float

    @classmethod
    def of(cls, settings: Settings) -> LabelTerms:
        """Those of these settings."""
        return cls(settings.accept_labels_at_once, settings.retrain_after, settings.relabel_days)


@dataclass(frozen=True)
class LabelParts:
    """What the endpoints call. `live`: (version, its topics, the digests of the corrections that it
    learned) of the live model, "" and nothing where there is none."""

    read: sessionmaker[Session]
    write: sessionmaker[Session]
    now: Callable[[], datetime]
    live: Callable[[], tuple[str, Sequence[str], frozenset[str]]]
    terms: LabelTerms

    def figures(self, session: Session) -> dict[str, int]:
        """For Prometheus: corrections by state."""
        return correction_figures(session, self.live()[2])


def make_labels_router(parts: LabelParts) -> APIRouter:
    """Corrections and what people decide about them; how training and relabelling go."""
    router = APIRouter(prefix="/v1/labels")

    @router.post("", status_code=201, dependencies=[requires("labels")])
    def correct(said: NewCorrection) -> Correction:
        """Say what a label should be; it waits until somebody accepts it."""
        _, topics, _ = parts.live()
        values = said.model_dump(exclude={"by"})
        with parts.write.begin() as session:
            now = parts.now()
            kept = propose(session, Proposal(**values, said_by=said.by), topics, now)
            if parts.terms.accept_at_once:
                accept(session, kept, said.by, topics, now)
            return _shown(one_correction(session, kept))

    @router.get("", dependencies=[requires("read")])
    def listed(query: Annotated[CorrectionsQuery, Query()]) -> CorrectionsPage:
        """Corrections, newest first."""
        with parts.read() as session:
            page, following = page_of_corrections(session, **query.model_dump())
        return CorrectionsPage(labels=[_shown(one) for one in page], next_cursor=following)

    @router.post("/{correction_id}/accept", dependencies=[requires("labels")])
    def accepted(
        correction_id: RowId, said: Annotated[Decision | None, Body()] = None
    ) -> Correction:
        """The story carries it, and the next training learns it."""
        _, topics, _ = parts.live()
        with parts.write.begin() as session:
            accept(session, correction_id, said.by if said else "", topics, parts.now())
            return _shown(one_correction(session, correction_id))

    @router.post("/{correction_id}/reject", dependencies=[requires("labels")])
    def rejected(
        correction_id: RowId, said: Annotated[Decision | None, Body()] = None
    ) -> Correction:
        """Nothing comes of it; an accepted one is taken back."""
        with parts.write.begin() as session:
            reject(session, correction_id, said.by if said else "", parts.now())
            return _shown(one_correction(session, correction_id))

    @router.get("/retraining", dependencies=[requires("read")])
    def retraining() -> dict[str, Any]:
        """How many corrections wait for a training, and how the last trainings went."""
        version, _, learned = parts.live()
        with parts.read() as session:
            return standing(session, version, learned, parts.terms.retrain_after)

    @router.get("/relabelling", dependencies=[requires("read")])
    def relabelling() -> dict[str, Any]:
        """How many stories still carry the label of another model."""
        version, _, _ = parts.live()
        with parts.read() as session:
            return progress_of(session, version, parts.terms.relabel_days, parts.now())

    return router


def _shown(row: dict[str, Any]) -> Correction:
    return Correction(**{**row, "by": row["said_by"]})
