"""How do stories of before get their companies, when the list of companies or their labels change?

In the background, latest first, batch by batch, each a transaction of its own: what is left is
found by the version of the list that a story carries, so a kill costs one batch at most. A story of
one company takes its own label and costs no look of the model; only clauses are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from services.finance_sentiment.company_store import stored_label, unlinked, write_companies
from services.finance_sentiment.domain import PENDING, story_text
from services.finance_sentiment.entities import planned, resolved
from services.finance_sentiment.intake import one_at_a_time
from services.finance_sentiment.linking import CompanyLinker
from services.finance_sentiment.merging import Reading
from services.finance_sentiment.tables import stories


def relink(
    sessions: sessionmaker[Session],
    linker: CompanyLinker,
    read: Callable[[Sequence[str]], Reading],
    limit: int,
) -> int:
    """Link at most `limit` stories that another list linked, or none; how many were looked at. A
    story that was edited or labelled anew meanwhile is left for the next time."""
    with sessions() as session:
        waiting = unlinked(session, linker.version, limit)
    if not waiting:
        return 0
    ids = [story for story, _, _ in waiting]
    clauses, said = planned(linker, [text for _, text, _ in waiting])
    # The model runs outside of any transaction.
    labels = read(clauses).labels if clauses else []
    by_words = dict(zip(clauses, labels, strict=True))
    found = resolved(said, [label for _, _, label in waiting], by_words)
    with sessions.begin() as session:
        one_at_a_time(session)
        query = select(stories).where(stories.c.id.in_(ids), stories.c.state != PENDING)
        now = {
            row.id: (story_text(row.title, row.summary), stored_label(row))
            for row in session.execute(query)
        }
        same = {
            story: companies
            for (story, text, label), companies in zip(waiting, found, strict=True)
            if now.get(story) == (text, label)
        }
        write_companies(session, same, linker.version)
    return len(waiting)
