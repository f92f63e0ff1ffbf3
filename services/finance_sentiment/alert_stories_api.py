"""Which stories stand behind an alert, as they are now?"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel
from sqlalchemy.orm import Session, sessionmaker

from core.errors import NotFound
from core.web import requires
from services.finance_sentiment.alert_store import alert_of
from services.finance_sentiment.api import shown_story
from services.finance_sentiment.company_store import companies_by_story
from services.finance_sentiment.schemas import MAX_PAGE, Story
from services.finance_sentiment.store import carried_by, stories_by_id


class AlertStories(BaseModel):
    """Stories that are still there; those that moved the alert most come first."""

    stories: list[Story]


def make_alert_stories_router(read: sessionmaker[Session]) -> APIRouter:
    """The stories of an alert."""
    router = APIRouter(prefix="/v1")

    @router.get("/alerts/{alert_id}/stories", dependencies=[requires("read")])
    def stories_behind(alert_id: Annotated[int, Path(ge=1, le=2**53)]) -> AlertStories:
        """The stories behind an alert as they stand now: those that moved it most, then others."""
        with read() as session:
            row = alert_of(session, alert_id)
            if row is None:
                raise NotFound(f"there is no alert {alert_id}")
            moved = [story["id"] for story in (row.explanation or {}).get("stories", [])]
            # Those of a drill have ids that no story has.
            wanted = [i for i in dict.fromkeys([*moved, *row.story_ids]) if i > 0]
            found = stories_by_id(session, wanted[:MAX_PAGE])
            ids = [story.id for story in found]
            carried, named = carried_by(session, ids), companies_by_story(session, ids)
        return AlertStories(stories=[shown_story(s, carried[s.id], named[s.id]) for s in found])

    return router
