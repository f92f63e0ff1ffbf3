"""How is it kept which companies a story names, found again, and counted?

The rows of a story are written in the transaction that writes its label, under the version of the
list of companies; `unlinked` finds the stories that were linked by another list, or by none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, case, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from services.finance_sentiment.counts import MAX_CELLS
from services.finance_sentiment.domain import LABELLED, PENDING, Label, story_text
from services.finance_sentiment.entities import CompanySentiment
from services.finance_sentiment.series import company_series
from services.finance_sentiment.tables import stories, story_companies

_CHUNK = 500


def write_companies(
    session: Session,
    found: Mapping[int, Sequence[CompanySentiment]],
    version: str,
) -> None:
    """Keep what these stories say of companies, in the place of what was kept before. Stories that
    are gone are left out."""
    ids = list(found)
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        there = stories.c.id.in_(chunk)
        session.execute(update(stories).where(there).values(companies_version=version))
        session.execute(delete(story_companies).where(story_companies.c.story_id.in_(chunk)))
        known = set(session.execute(select(stories.c.id).where(there)).scalars())
        rows = [
            {"story_id": story, **asdict(one)}
            for story in chunk
            if story in known
            for one in found[story]
        ]
        if rows:
            session.execute(insert(story_companies), rows)


def unlink(session: Session, story: int) -> None:
    """The words or the label of a story changed: what it says of companies is found out anew."""
    session.execute(delete(story_companies).where(story_companies.c.story_id == story))
    changed = update(stories).where(stories.c.id == story)
    session.execute(changed.values(companies_version=None))


def unlinked(session: Session, version: str, limit: int) -> list[tuple[int, str, Label]]:
    """(id, text, label) of stories that were read and not linked by this version of the list."""
    linked_by = stories.c.companies_version
    rows: list[Any] = []
    # One range of the index after the other: each look is short however many stories there are.
    for range_ in (linked_by.is_(None), linked_by < version, linked_by > version):
        if len(rows) < limit:
            query = select(stories).where(range_, stories.c.state != PENDING)
            rows += session.execute(query.order_by(stories.c.id.desc()).limit(limit - len(rows)))
    return [(row.id, story_text(row.title, row.summary), stored_label(row)) for row in rows]


def stored_label(row: Any) -> Label:
    """The label that a row of stories carries."""
    names = ("sentiment", "topic", "p_negative", "p_neutral", "p_positive", "p_topic")
    values = {name: getattr(row, name) for name in names}
    return Label(model_version=row.model_version or "", readable=row.state == LABELLED, **values)


# --- out ---------------------------------------------------------------------------------------


def companies_by_story(session: Session, ids: Sequence[int]) -> dict[int, list[CompanySentiment]]:
    """What each of these stories says of companies, by name."""
    found: dict[int, list[CompanySentiment]] = {story: [] for story in ids}
    for start in range(0, len(ids), _CHUNK):
        query = (
            select(story_companies)
            .where(story_companies.c.story_id.in_(ids[start : start + _CHUNK]))
            .order_by(story_companies.c.story_id, story_companies.c.company)
        )
        for row in session.execute(query):
            values = {name: value for name, value in row._mapping.items() if name != "story_id"}
            found[row.story_id].append(CompanySentiment(**values))
    return found


def company_sentiment_counts(
    session: Session, first_hour: int, end_hour: int, company: str, topic: str | None = None
) -> list[tuple[str, int, str, int]]:
    """(company, hour, sentiment towards it, stories) from first_hour to end_hour."""
    told = story_companies.c
    columns = (told.company, stories.c.published_hour, told.sentiment, func.count())
    query = (
        _counted(columns, first_hour, end_hour)
        .where(told.company == company)
        .group_by(told.company, stories.c.published_hour, told.sentiment)
    )
    if topic:
        query = query.where(stories.c.topic == topic)
    return [(row[0], row[1], row[2], row[3]) for row in session.execute(query)]


def company_rows(
    session: Session,
    first_hour: int,
    end_hour: int,
    *,
    least: int,
    topics: int,
    always: Collection[str] = (),
) -> list[tuple[str, int, int, int]]:
    """(series, hour, stories, negative) of companies with at least `least` stories in these hours,
    and of those that are `always` wanted; those with most, where there are more than can be
    followed beside so many `topics`."""
    told = story_companies.c
    enough = or_(func.count() >= least, told.company.in_(list(always)))
    total = _counted((told.company, func.count()), first_hour, end_hour).group_by(told.company)
    busy = session.execute(total.having(enough).order_by(func.count().desc(), told.company))
    most = max(0, MAX_CELLS // max(1, end_hour - first_hour) - topics)
    chosen = [row[0] for row in busy][:most]
    negative = func.sum(case((told.sentiment == "negative", 1), else_=0))
    columns = (told.company, stories.c.published_hour, func.count(), negative)
    rows: list[tuple[str, int, int, int]] = []
    for start in range(0, len(chosen), _CHUNK):
        query = (
            _counted(columns, first_hour, end_hour)
            .where(told.company.in_(chosen[start : start + _CHUNK]))
            .group_by(told.company, stories.c.published_hour)
        )
        rows += [
            (company_series(row[0]), row[1], row[2], int(row[3])) for row in session.execute(query)
        ]
    return rows


def company_totals(session: Session, first_hour: int, end_hour: int) -> dict[str, tuple[int, int]]:
    """Company → (stories, negative ones) of these hours."""
    told = story_companies.c
    negative = func.sum(case((told.sentiment == "negative", 1), else_=0))
    query = _counted((told.company, func.count(), negative), first_hour, end_hour)
    rows = session.execute(query.group_by(told.company))
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}


def _counted(columns: Iterable[Any], first_hour: int, end_hour: int) -> Select[Any]:
    joined = stories.join(story_companies, story_companies.c.story_id == stories.c.id)
    return (
        select(*columns)
        .select_from(joined)
        .where(
            stories.c.state == LABELLED,
            story_companies.c.sentiment.is_not(None),
            stories.c.published_hour >= first_hour,
            stories.c.published_hour < end_hour,
        )
    )
