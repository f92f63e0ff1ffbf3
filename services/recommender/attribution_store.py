"""Which answers, reactions and orders does a period hold? The queries behind attribution.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sqlalchemy import Column, func, select
from sqlalchemy.orm import Session, sessionmaker

from services.recommender.attribution import Given, Order, Outcome, Reaction, outcomes
from services.recommender.tables import answers, events

_BATCH = 5_000
_PEOPLE: tuple[Column[Any], ...] = (
    events.c.item_id,
    events.c.kind,
    events.c.user_id,
    events.c.session_id,
)


class AttributionStore:
    """`readers` are read-only and wait for nobody."""

    def __init__(self, readers: sessionmaker[Session]) -> None:
        self._readers = readers

    def outcomes(
        self, since: float, until: float, window: float, rng: np.random.Generator
    ) -> list[Outcome]:
        """What came of the answers of a period; all in seconds, Unix time, `until` excluded."""
        with self._readers() as session:
            # All queries see the same moment. On SQLite every transaction is that.
            if session.get_bind().dialect.name == "postgresql":
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            given = _given(session, since, until)
            return outcomes(
                given,
                _reactions(session, since, until),
                _orders(session, since) if given else (),
                window,
                rng,
            )


def _given(session: Session, since: float, until: float) -> list[Given]:
    group = (answers.c.model_version, answers.c.scenario)
    query = (
        select(*group, func.count().label("answers"), func.sum(answers.c.shown).label("shown"))
        .where(answers.c.answered_at >= since, answers.c.answered_at < until)
        .group_by(*group)
    )
    return [
        Given((row.model_version, row.scenario), int(row.answers), int(row.shown))
        for row in session.execute(query)
    ]


def _reactions(session: Session, since: float, until: float) -> Iterator[Reaction]:
    query = (
        select(
            answers.c.model_version,
            answers.c.scenario,
            answers.c.item_ids,
            events.c.recommendation_id,
            events.c.occurred_at,
            *_PEOPLE,
        )
        .join(events, events.c.recommendation_id == answers.c.recommendation_id)
        .where(answers.c.answered_at >= since, answers.c.answered_at < until)
        .execution_options(yield_per=_BATCH)
    )
    for row in session.execute(query):
        # An item that did not stand in the answer has nothing from it.
        if row.item_id in row.item_ids:
            yield Reaction(
                group=(row.model_version, row.scenario),
                recommendation_id=row.recommendation_id,
                item_id=row.item_id,
                kind=row.kind,
                user_id=row.user_id,
                session_id=row.session_id,
                occurred_at=row.occurred_at,
            )


def _orders(session: Session, since: float) -> Iterator[Order]:
    query = (
        select(events.c.occurred_at, events.c.value, events.c.currency, *_PEOPLE)
        .where(events.c.kind.in_(("purchase", "refund")), events.c.occurred_at >= since)
        .execution_options(yield_per=_BATCH)
    )
    for row in session.execute(query):
        yield Order(
            item_id=row.item_id,
            kind=row.kind,
            user_id=row.user_id,
            session_id=row.session_id,
            occurred_at=row.occurred_at,
            value=row.value,
            currency=row.currency or "",
        )
