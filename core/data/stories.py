"""How are labelled stories of the past read, for a backtest of alert rules?"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from core.data.fields import choice_field, optional_text, text_field, time_field
from core.data.records import SENTIMENTS, Story
from core.data.tables import Row, iterate_table
from core.data.texts import extra_columns

STORY_REQUIRED: Final = ("published_at", "topic", "sentiment")
STORY_OPTIONAL: Final = ("title", "source", "story_id")


def read_stories(path: str | Path) -> list[Story]:
    """Rows of `published_at,topic,sentiment`, optionally `title,source,story_id`, in file order."""
    path = Path(path)
    return [_story(path, row) for row in iterate_table(path, STORY_REQUIRED, STORY_OPTIONAL)]


def _story(path: Path, row: Row) -> Story:
    return Story(
        published_at=time_field(path, row, "published_at"),
        topic=text_field(path, row, "topic"),
        sentiment=choice_field(path, row, "sentiment", SENTIMENTS),
        title=optional_text(path, row, "title"),
        source=optional_text(path, row, "source"),
        story_id=optional_text(path, row, "story_id"),
        line=row.line,
        extra=extra_columns(row, (*STORY_REQUIRED, *STORY_OPTIONAL)),
    )
