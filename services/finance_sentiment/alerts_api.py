"""How are alerts explained, acknowledged and marked, and silences kept, over HTTP?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.orm import Session, sessionmaker

from core.errors import NotFound
from core.web import requires
from services.finance_sentiment.alert_store import (
    acknowledge,
    alert_of,
    latest_baseline,
    mark,
    realised,
)
from services.finance_sentiment.domain import moment_of
from services.finance_sentiment.schemas import Moment
from services.finance_sentiment.series import series_labels
from services.finance_sentiment.silence_store import add_silence, end_silence, open_silences
from services.finance_sentiment.silences import (
    MAX_MATCHERS,
    MAX_VALUE,
    alert_labels,
    checked_matchers,
    silenced_by,
)
from services.finance_sentiment.watch_store import all_states, last_hours

RowId = Annotated[int, Path(ge=1, le=2**53)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Acknowledgement(_Body):
    """Who has seen it."""

    by: Name


class Mark(_Body):
    """Whether it was a false alarm; null takes the mark back."""

    false_alarm: bool | None


class SilenceMatcher(_Body):
    """A condition on a label: topic, company, detector or test ("true", "false")."""

    name: Literal["topic", "company", "detector", "test"]
    operator: Literal["=", "!=", "^="] = "="
    value: Annotated[str, StringConstraints(max_length=MAX_VALUE)]


class NewSilence(_Body):
    """Alerts that meet all matchers are not told of from `starts_at` to `ends_at`."""

    matchers: list[SilenceMatcher] = Field(min_length=1, max_length=MAX_MATCHERS)
    starts_at: Moment
    ends_at: Moment
    created_by: Name
    comment: Annotated[str, StringConstraints(max_length=1000)] = ""


@dataclass(frozen=True)
class AlertParts:
    """What the endpoints call."""

    read: sessionmaker[Session]
    write: sessionmaker[Session]
    now: Callable[[], datetime]


def make_alerts_router(parts: AlertParts) -> APIRouter:
    """One alert and what people say of it; silences; what the promise came to."""
    router = APIRouter(prefix="/v1")

    @router.get("/alerts/{alert_id}", dependencies=[requires("read")])
    def one_alert(alert_id: RowId) -> dict[str, Any]:
        """An alert with its explanation and the silences that hold for it."""
        now = parts.now()
        with parts.read() as session:
            row = alert_of(session, alert_id)
            if row is None:
                raise NotFound(f"there is no alert {alert_id}")
            labels = alert_labels(row.topic, row.detector, test=row.is_test)
            silenced = silenced_by(labels, open_silences(session, now), now)
        state = "firing" if row.resolved_at is None else "resolved"
        watched = series_labels(row.topic)
        return {**row._mapping, **watched, "state": state, "silenced_by": silenced}

    @router.post("/alerts/{alert_id}/acknowledge", dependencies=[requires("alerts")])
    def acknowledge_alert(alert_id: RowId, said: Acknowledgement) -> dict[str, Any]:
        """Somebody has seen it; the first one to say so is kept."""
        with parts.write.begin() as session:
            if not acknowledge(session, alert_id, said.by, parts.now()):
                raise NotFound(f"there is no alert {alert_id}")
        return {"id": alert_id, "acknowledged": True}

    @router.post("/alerts/{alert_id}/mark", dependencies=[requires("alerts")])
    def mark_alert(alert_id: RowId, said: Mark) -> dict[str, Any]:
        """A false alarm or a true one; the thresholds are learned with it."""
        with parts.write.begin() as session:
            if not mark(session, alert_id, said.false_alarm, parts.now()):
                raise NotFound(f"there is no alert {alert_id}")
        return {"id": alert_id, "false_alarm": said.false_alarm}

    @router.get("/silences", dependencies=[requires("read")])
    def silences() -> dict[str, Any]:
        """Those that hold now or will."""
        with parts.read() as session:
            return {"silences": open_silences(session, parts.now())}

    @router.post("/silences", status_code=201, dependencies=[requires("alerts")])
    def new_silence(said: NewSilence) -> dict[str, Any]:
        """Be silent about some alerts for a time."""
        with parts.write.begin() as session:
            silence_id = add_silence(
                session,
                checked_matchers([matcher.model_dump() for matcher in said.matchers]),
                said.starts_at,
                said.ends_at,
                created_by=said.created_by,
                comment=said.comment,
                now=parts.now(),
            )
        return {"id": silence_id}

    @router.delete("/silences/{silence_id}", dependencies=[requires("alerts")])
    def no_more_silence(silence_id: RowId) -> dict[str, Any]:
        """Let a silence end now."""
        with parts.write.begin() as session:
            if not end_silence(session, silence_id, parts.now()):
                raise NotFound(f"there is no silence {silence_id} that still holds")
        return {"id": silence_id, "ended": True}

    @router.get("/watch", dependencies=[requires("read")])
    def watch() -> dict[str, Any]:
        """Where each topic stands, and promised and realised false alarms side by side."""
        with parts.read() as session:
            baseline = latest_baseline(session)
            states = [{**row._mapping, **series_labels(row.topic)} for row in all_states(session)]
            hours = [
                {"hour": moment_of(row.hour), "news": row.news, "reason": row.reason}
                for row in last_hours(session)
            ]
            came = realised(session, parts.now())
        promise = None if baseline is None else baseline.promise.to_json()
        return {"topics": states, "not_whole": hours, "promise": promise, "realised": came}

    return router
