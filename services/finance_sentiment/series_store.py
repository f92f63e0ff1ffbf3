"""Which stories belong to a series, a topic's or a company's, and by which sentiment?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, func

from services.finance_sentiment.series import company_of
from services.finance_sentiment.tables import stories, story_companies

# What a story counts under where the model knows no topics.
NO_TOPIC = "all"


@dataclass(frozen=True)
class StoriesOf:
    """Where the stories of a series are read: what they are selected from, which of them belong to
    it, and the columns of the sentiment that counts there."""

    source: FromClause
    belongs: ColumnElement[bool]
    sentiment: ColumnElement[Any]
    p_negative: ColumnElement[Any]


def stories_of(series: str) -> StoriesOf:
    """The stories of a series."""
    company = company_of(series)
    if company is None:
        belongs = func.coalesce(stories.c.topic, NO_TOPIC) == series
        return StoriesOf(stories, belongs, stories.c.sentiment, stories.c.p_negative)
    joined = stories.join(story_companies, story_companies.c.story_id == stories.c.id)
    told = story_companies.c
    return StoriesOf(joined, told.company == company, told.sentiment, told.p_negative)
