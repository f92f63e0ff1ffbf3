"""How do stories come in that no feed carries: pushed by whoever has them?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.orm import Session, sessionmaker

from core.errors import InvalidInput
from core.markup import plain_text, web_address
from core.web import requires
from services.finance_sentiment.domain import MAX_SUMMARY, MAX_TITLE, Entry
from services.finance_sentiment.intake import Incoming, add_stories
from services.finance_sentiment.schemas import Moment

MAX_PUSHED = 200


class PushedStory(BaseModel):
    """A story. `story_id` tells it from others of its source; without one, address and words do.
    Markup is taken out of the texts; an address that no reader may follow is left out."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
    source: Annotated[
        str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)
    ] = "push"
    summary: Annotated[str, StringConstraints(max_length=20_000)] = ""
    url: Annotated[str, StringConstraints(max_length=2000)] = ""
    story_id: Annotated[str, StringConstraints(max_length=2000)] = ""
    published_at: Moment | None = None

    def entry(self) -> Entry:
        """The story as an entry of a feed. InvalidInput where its title is nothing but markup."""
        title = plain_text(self.title, MAX_TITLE)
        if not title:
            raise InvalidInput(
                f"the title {self.title[:80]!r} has no words",
                mend="Send the headline as plain text.",
            )
        summary = plain_text(self.summary, MAX_SUMMARY)
        return Entry(self.story_id, web_address(self.url), title, summary, self.published_at)


OneOrMany = PushedStory | Annotated[list[PushedStory], Field(min_length=1, max_length=MAX_PUSHED)]


class Taken(BaseModel):
    """Of the stories `received`, `added` are new; the others are repeats of what was there."""

    received: int
    added: int


def make_push_router(write: sessionmaker[Session], now: Callable[[], datetime]) -> APIRouter:
    """POST /v1/stories, for keys with the scope `stories`."""
    router = APIRouter(prefix="/v1")

    @router.post("/stories", status_code=202, dependencies=[requires("stories")])
    def push(body: Annotated[OneOrMany, Body()]) -> Taken:
        """Take one story or a list; all or none are kept. The model labels them in a moment."""
        pushed = body if isinstance(body, list) else [body]
        by_source: dict[str, list[Incoming]] = defaultdict(list)
        for story in pushed:
            by_source[story.source].append(Incoming(story.entry()))
        added = 0
        with write.begin() as session:
            for source, incoming in sorted(by_source.items()):
                added += add_stories(session, incoming, source=source, source_id=None, now=now())
        return Taken(received=len(pushed), added=added)

    return router
