"""Small rules: dates that cannot be, what the model reads, how long a feed rests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.finance_sentiment.domain import (
    hour_of,
    moment_of,
    publication,
    story_text,
)

SEEN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stated", "counted"),
    [
        (None, SEEN),
        (SEEN - timedelta(hours=3), SEEN - timedelta(hours=3)),
        (SEEN + timedelta(minutes=5), SEEN),
        (SEEN + timedelta(days=400), SEEN),
        (datetime(1970, 1, 1, tzinfo=UTC), SEEN),
        (datetime(1, 1, 1, tzinfo=UTC), SEEN),
    ],
)
def test_a_story_is_published_when_it_says_so_unless_that_cannot_be(
    stated: datetime | None, counted: datetime
) -> None:
    assert publication(stated, SEEN) == counted


@pytest.mark.parametrize(
    ("title", "summary", "text"),
    [
        ("Profit up", "", "Profit up"),
        ("Profit up", "Profit up", "Profit up"),
        ("Profit up", "Sales too.", "Profit up. Sales too."),
        ("Profit up?", "No.", "Profit up? No."),
        ("利润上升。", "销售也是。", "利润上升。 销售也是。"),
        ("", "Sales.", "Sales."),
    ],
)
def test_the_model_reads_title_and_summary_as_sentences(
    title: str, summary: str, text: str
) -> None:
    assert story_text(title, summary) == text


def test_an_hour_and_its_start_belong_together() -> None:
    assert moment_of(hour_of(SEEN + timedelta(minutes=59))) == SEEN
