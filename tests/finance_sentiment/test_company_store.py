"""Are the companies of stories kept with their labels, right after edits, and watched?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from threading import Event

import httpx
import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session, sessionmaker

from core.net import Response
from services.finance_sentiment import promise
from services.finance_sentiment.alert_store import alert_of, page_of_alerts
from services.finance_sentiment.companies import Company
from services.finance_sentiment.company_store import (
    companies_by_story,
    company_rows,
    company_sentiment_counts,
    company_totals,
    unlinked,
)
from services.finance_sentiment.domain import GIVEN, Entry, Label, hour_of
from services.finance_sentiment.intake import Incoming, add_stories
from services.finance_sentiment.linking import CompanyLinker
from services.finance_sentiment.merging import Reading
from services.finance_sentiment.monitor import Monitor
from services.finance_sentiment.series import company_series
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.store import StoryFilter, hourly_counts, page_of_stories
from services.finance_sentiment.tables import stories, story_companies
from services.finance_sentiment.watching import Watch, evaluate
from tests.finance_sentiment.conftest import NOW, Clock
from tests.finance_sentiment.test_monitor import hour_now, story_row

Sessions = sessionmaker[Session]
LINKER = CompanyLinker([Company("Marrow"), Company("Vellmar")])
OTHER = CompanyLinker([Company("Vellmar"), Company("Osterholt")])


class NoWeb:
    def get(self, url: str, *, headers: dict[str, str] | None = None) -> Response:
        return Response(404, httpx.Headers(), b"", url)


def read(texts: Sequence[str]) -> Reading:
    said = ["negative" if "falls" in text else "positive" for text in texts]
    return Reading([Label("v1", one, "deals", 0.1, 0.2, 0.7, 0.9, True) for one in said])


def never(texts: Sequence[str]) -> Reading:
    raise AssertionError(f"read {texts}")


def monitor(sessions: Sessions, linker: CompanyLinker | None = LINKER) -> Monitor:
    settings = Settings(label_batch=2)
    return Monitor(sessions, settings, NoWeb(), Clock(), "one", random.Random(0), linker=linker)


def told(sessions: Sessions, *titles: str, label: Label | None = None, key: str = "") -> None:
    with sessions.begin() as session:
        incoming = [Incoming(Entry(key or t, "", t, "", NOW), label) for t in titles]
        add_stories(session, incoming, source="A", source_id=None, now=NOW)


def named(sessions: Sessions) -> dict[str, list[tuple[str, str | None, str]]]:
    """Title → (company, sentiment, basis)."""
    with sessions() as session:
        page, _ = page_of_stories(session, StoryFilter(), limit=100, cursor=None)
        found = companies_by_story(session, [row.id for row in page])
        return {
            row.title: [(c.company, c.sentiment, c.basis) for c in found[row.id]] for row in page
        }


def test_companies_are_written_with_the_label(sessions: Sessions) -> None:
    told(sessions, "Marrow rises while Vellmar falls", "Marrow falls", "Weather improves")
    assert monitor(sessions).label_pending(read, Event()) == 3
    assert named(sessions) == {
        "Marrow rises while Vellmar falls": [
            ("Marrow", "positive", "clause"),
            ("Vellmar", "negative", "clause"),
        ],
        "Marrow falls": [("Marrow", "negative", "story")],
        "Weather improves": [],
    }


def test_an_edited_title_names_its_companies_anew(sessions: Sessions) -> None:
    told(sessions, "Marrow falls", key="1")
    one = monitor(sessions)
    one.label_pending(read, Event())
    told(sessions, "Vellmar rises after all", key="1")
    assert named(sessions) == {"Vellmar rises after all": []}
    one.label_pending(read, Event())
    assert named(sessions) == {"Vellmar rises after all": [("Vellmar", "positive", "story")]}


def test_stories_of_before_are_linked_when_the_list_changes_and_then_left_alone(
    sessions: Sessions,
) -> None:
    told(
        sessions, "Marrow falls", "Vellmar and Osterholt wait", "Vellmar falls but Osterholt rises"
    )
    monitor(sessions).label_pending(read, Event())
    other = monitor(sessions, OTHER)
    assert other.link_companies(read, Event()) == 3
    assert named(sessions) == {
        "Marrow falls": [],
        "Vellmar and Osterholt wait": [
            ("Osterholt", "positive", "story"),
            ("Vellmar", "positive", "story"),
        ],
        "Vellmar falls but Osterholt rises": [
            ("Osterholt", "positive", "clause"),
            ("Vellmar", "negative", "clause"),
        ],
    }
    assert other.link_companies(never, Event()) == 0
    with sessions() as session:
        assert unlinked(session, OTHER.version, 10) == []
        assert len(unlinked(session, LINKER.version, 10)) == 3


def test_a_story_that_came_with_its_label_is_linked_without_the_model(sessions: Sessions) -> None:
    given = Label(GIVEN, "negative", "deals", None, None, None, None, True)
    told(sessions, "Marrow waits", label=given)
    assert monitor(sessions).link_companies(never, Event()) == 1
    assert named(sessions) == {"Marrow waits": [("Marrow", "negative", "story")]}


def test_without_a_list_nothing_is_linked(sessions: Sessions) -> None:
    told(sessions, "Marrow falls")
    one = monitor(sessions, None)
    one.label_pending(read, Event())
    assert one.link_companies(never, Event()) == 0
    assert named(sessions) == {"Marrow falls": []}


def test_stories_are_counted_and_filtered_by_company(sessions: Sessions) -> None:
    told(sessions, "Marrow rises while Vellmar falls", "Marrow falls", "Nothing falls")
    monitor(sessions).label_pending(read, Event())
    hour = hour_of(NOW)
    with sessions() as session:
        page, _ = page_of_stories(session, StoryFilter(company="Vellmar"), limit=9, cursor=None)
        assert [row.title for row in page] == ["Marrow rises while Vellmar falls"]
        counted = company_sentiment_counts(session, hour, hour + 1, "Marrow")
        assert sorted(counted) == [("Marrow", hour, "negative", 1), ("Marrow", hour, "positive", 1)]
        assert company_totals(session, hour, hour + 1) == {"Marrow": (2, 1), "Vellmar": (1, 1)}
        rows = company_rows(session, hour, hour + 1, least=2, topics=1)
        assert rows == [(company_series("Marrow"), hour, 2, 1)]
        always = company_rows(session, hour, hour + 1, least=9, topics=1, always={"Vellmar"})
        assert always == [(company_series("Vellmar"), hour, 1, 1)]
        assert hourly_counts(session, hour, hour + 1).stories.sum() == 3


# --- watched ------------------------------------------------------------------------------------


def past(sessions: Sessions, bad_hours: int) -> None:
    """Eight days of six stories an hour, half of them of Marrow; a sixth is negative. In the last
    `bad_hours` all of Marrow's are, and the others make up for it, so that its topic is calm."""
    rows, of = [], []
    for hour in range(hour_now() - 24 * 8, hour_now()):
        bad = hour >= hour_now() - bad_hours
        for number in range(6):
            of_marrow = number % 2 == 0
            negative = of_marrow if bad else (number + hour) % 6 == 0
            row = story_row(hour, f"{hour}-{number}", "negative" if negative else "neutral")
            # The topic's share stays as it was: what is bad for Marrow is spread over topics.
            row["topic"] = f"topic {number}" if bad and of_marrow else "banking"
            rows.append(row | {"companies_version": LINKER.version})
            of.append((of_marrow, negative))
    with sessions.begin() as session:
        session.execute(insert(stories), rows)
        ids = list(session.execute(select(stories.c.id).order_by(stories.c.id)).scalars())
        told_of = [
            {
                "story_id": story,
                "company": "Marrow",
                "basis": "story",
                "sentiment": "negative" if negative else "neutral",
            }
            for story, (of_marrow, negative) in zip(ids, of, strict=True)
            if of_marrow
        ]
        session.execute(insert(story_companies), told_of)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "MAX_PATHS", 8)


WATCH = Watch(1.0, unread_allowed=0, settle_hours=24, companies=LINKER.version)


@pytest.mark.usefixtures("quick")
def test_a_company_that_turns_bad_raises_an_alert_that_lists_its_stories(
    sessions: Sessions,
) -> None:
    past(sessions, bad_hours=10)
    assert evaluate(sessions, WATCH, NOW) >= 1
    with sessions() as session:
        page, _ = page_of_alerts(
            session, topic=company_series("Marrow"), firing=True, limit=9, cursor=None
        )
        [alert] = page
        row = alert_of(session, alert.id)
        assert row is not None
        ids = {r.title: r.id for r in session.execute(select(stories.c.title, stories.c.id))}
        bad = range(hour_now() - 10, hour_now())
        of_marrow = {ids[f"{hour}-{number}"] for hour in bad for number in (0, 2, 4)}
        listed = {story["id"] for story in row.explanation["stories"]}
    assert listed and listed <= of_marrow
    # From where the evidence began to gather, which may be before the bad hours.
    assert len(of_marrow & set(row.story_ids)) > 10


@pytest.mark.usefixtures("quick")
def test_nothing_is_judged_while_stories_are_being_linked(sessions: Sessions) -> None:
    past(sessions, bad_hours=10)
    other = Watch(1.0, unread_allowed=0, settle_hours=24, companies=OTHER.version)
    assert evaluate(sessions, other, NOW) == 0
    with sessions() as session:
        assert page_of_alerts(session, topic=None, firing=None, limit=9, cursor=None)[0] == []
