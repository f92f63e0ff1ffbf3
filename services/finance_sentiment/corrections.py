"""What do people say that a label should be, and what becomes of it?

A correction is of a story, or of a text of its own. It waits in quarantine: one person's word
changes nothing until it is accepted. Then the story carries it at once, and no model overwrites it;
the model learns it with the next training. Each head (sentiment, topic) goes by the last accepted
correction that speaks of it. To reject an accepted one takes it back: the story has its former
label again.

Every function takes a session; who opened it commits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Row, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict, InvalidInput, NotFound, TooLarge
from core.privacy import redact
from core.text import comparison_key, normalize
from services.finance_sentiment.changes import note
from services.finance_sentiment.company_store import unlink
from services.finance_sentiment.domain import (
    LABELLED,
    PENDING,
    PERSON,
    SENTIMENT,
    TOPIC,
    story_text,
)
from services.finance_sentiment.intake import one_at_a_time
from services.finance_sentiment.lessons import HEADS, Taught
from services.finance_sentiment.paging import newest_page
from services.finance_sentiment.store import label_values
from services.finance_sentiment.tables import corrected_stories, corrections, stories

State = Literal["quarantine", "accepted", "rejected"]
QUARANTINE: Final = "quarantine"
ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"

# In quarantine at the same time; and accepted ones, all of which are trained on.
MAX_WAITING: Final = 10_000
MAX_ACCEPTED: Final = 100_000
_TOPICS_NAMED: Final = 20
_PROBABILITIES: Final[Mapping[str, tuple[str, ...]]] = {
    SENTIMENT: ("p_negative", "p_neutral", "p_positive"),
    TOPIC: ("p_topic",),
}
# What a story gets back when a correction is taken back.
_LABEL: Final = (
    "state", "model_version", *HEADS, *(name for p in _PROBABILITIES.values() for name in p),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposal:
    """A correction on its way in, of the story `story_id` or of `text`. `sentiment` and `topic` are
    None where nothing is said of them; `new_topic` allows one that the model does not know."""

    story_id: int | None
    text: str
    sentiment: str | None
    topic: str | None
    new_topic: bool
    said_by: str
    note: str = ""


def key_of(text: str) -> str:
    """The same for texts that differ in case, punctuation and personal data only: 32 hex digits."""
    said = comparison_key(redact(text).text)
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:32]


# --- in ----------------------------------------------------------------------------------------


def propose(session: Session, said: Proposal, topics: Sequence[str], now: datetime) -> int:
    """Keep a correction in quarantine; its id. Who says the same again gets the id of before.

    `topics`: those that the live model knows, none where it knows none. NotFound: the story;
    InvalidInput: nothing is said, or of a topic that the model does not know; TooLarge: too many
    wait.
    """
    _check_said(said, topics)
    text, was = _what_it_is_about(session, said)
    values = {
        "story_id": said.story_id,
        "key": key_of(text),
        "sentiment": said.sentiment,
        "topic": said.topic,
        "said_by": said.said_by[:200],
    }
    same = [corrections.c[name].is_not_distinct_from(value) for name, value in values.items()]
    same.append(corrections.c.state != REJECTED)
    known = session.execute(select(corrections.c.id).where(*same)).scalars().first()
    if known is not None:
        return int(known)
    _check_room(session, QUARANTINE, MAX_WAITING)
    more = {
        "text": text,
        "new_topic": said.topic is not None and said.topic not in topics,
        "note": said.note[:1000],
        "state": QUARANTINE,
        "created_at": now,
        "was": was,
    }
    adding = insert(corrections).values(values | more).returning(corrections.c.id)
    return int(session.execute(adding).scalar_one())


def _check_said(said: Proposal, topics: Sequence[str]) -> None:
    if (said.story_id is None) == (not said.text):
        raise InvalidInput(
            f"{'neither' if said.story_id is None else 'both'} of `story_id` and `text` given",
            mend="Name a story or send a text.",
        )
    if said.sentiment is None and said.topic is None:
        raise InvalidInput(
            "a correction says nothing", mend="Give a `sentiment`, a `topic` or both."
        )
    if said.topic is None or said.topic in topics or said.new_topic:
        return
    known = ", ".join(topics[:_TOPICS_NAMED]) or "none"
    more = f" and {len(topics) - _TOPICS_NAMED} more" if len(topics) > _TOPICS_NAMED else ""
    raise InvalidInput(
        f"the model does not know the topic {said.topic!r}; it knows {known}{more}",
        mend="Name one of these, or send `new_topic`: true to teach it another.",
    )


def _what_it_is_about(session: Session, said: Proposal) -> tuple[str, dict[str, Any] | None]:
    if said.story_id is None:
        text = normalize(said.text)
        if not comparison_key(text):
            raise InvalidInput("the text has no words", mend="Send the words that are labelled.")
        return text, None
    story = _story(session, said.story_id)
    shown = {name: getattr(story, name) for name in ("state", "model_version", *HEADS)}
    return story_text(story.title, story.summary), shown


def _check_room(session: Session, state: State, most: int) -> None:
    counting = select(func.count()).where(corrections.c.state == state)
    if int(session.execute(counting).scalar_one()) >= most:
        raise TooLarge(
            f"there are {most} corrections in the state {state} already",
            mend="Reject those that are not needed, or move them into the training data.",
        )


# --- decided -----------------------------------------------------------------------------------


def accept(
    session: Session, correction_id: int, by: str, topics: Sequence[str], now: datetime
) -> None:
    """The story carries it from now on, and the next training learns it. To accept one again makes
    it the last word.

    NotFound: no such correction; Conflict: its story waits for the model just now, or would be left
    without a sentiment or topic.
    """
    one_at_a_time(session)
    _check_room(session, ACCEPTED, MAX_ACCEPTED)
    said = _decided(session, correction_id, ACCEPTED, by, now)
    if said.story_id is None:
        return
    story = _story(session, said.story_id)
    if story.state == PENDING:
        raise Conflict(
            f"the story {story.id} waits for the model", mend="Try again once it has a label."
        )
    needed = HEADS if topics else (SENTIMENT,)
    missing = [h for h in needed if getattr(said, h) is None and getattr(story, h) is None]
    if missing:
        raise Conflict(
            f"the story {story.id} has no {missing[0]}, and the correction names none",
            mend=f"Send a correction with a {missing[0]}.",
        )
    _put_on(session, story, now)
    note(session, "story", [(story.id, "labelled")], now)


def reject(session: Session, correction_id: int, by: str, now: datetime) -> None:
    """Nothing comes of it; an accepted one is taken back. NotFound."""
    one_at_a_time(session)
    said = _decided(session, correction_id, REJECTED, by, now)
    if said.story_id is not None and _is_corrected(session, said.story_id):
        _put_on(session, _story(session, said.story_id), now)
        note(session, "story", [(said.story_id, "labelled")], now)


def _decided(
    session: Session, correction_id: int, state: State, by: str, now: datetime
) -> Row[Any]:
    values = {"state": state, "decided_at": now, "decided_by": by[:200]}
    deciding = update(corrections).where(corrections.c.id == correction_id).values(values)
    row = session.execute(deciding.returning(corrections)).first()
    if row is None:
        raise NotFound(f"there is no correction {correction_id}", mend="GET /v1/labels lists them.")
    return row


def _put_on(session: Session, story: Row[Any], now: datetime) -> None:
    """Give the story the label that its accepted corrections make, or its former one."""
    mine = corrected_stories.c.story_id == story.id
    kept = session.execute(select(corrected_stories).where(mine)).first()
    before = {name: getattr(story, name) for name in _LABEL} if kept is None else kept.before
    spoken = _together(_accepted(session, corrections.c.story_id == story.id))
    if spoken:
        if kept is None:
            values = {"story_id": story.id, "before": before, "corrected_at": now}
            session.execute(insert(corrected_stories).values(values))
        unsure = {name: None for head in spoken for name in _PROBABILITIES[head]}
        whose = {"state": LABELLED, "model_version": PERSON, "labelled_at": now}
        label = {**before, **spoken, **unsure, **whose}
    else:
        session.execute(delete(corrected_stories).where(mine))
        # The label of before was of other words, if they were edited since.
        edited = kept is not None and story.edited_at and story.edited_at > kept.corrected_at
        label = label_values(None, now) if edited else {**before, "labelled_at": now}
    session.execute(update(stories).where(stories.c.id == story.id).values(label))
    unlink(session, story.id)


def _together(rows: Iterable[Row[Any]]) -> dict[str, str]:
    """Head → label, by the last one that speaks of it."""
    return {head: said for row in rows for head in HEADS if (said := getattr(row, head))}


def _accepted(session: Session, which: ColumnElement[bool] | None = None) -> list[Row[Any]]:
    query = select(corrections).where(corrections.c.state == ACCEPTED)
    if which is not None:
        query = query.where(which)
    return list(session.execute(query.order_by(corrections.c.decided_at, corrections.c.id)))


def _is_corrected(session: Session, story_id: int) -> bool:
    query = select(corrected_stories.c.story_id).where(corrected_stories.c.story_id == story_id)
    return session.execute(query).first() is not None


def _story(session: Session, story_id: int) -> Row[Any]:
    row = session.execute(select(stories).where(stories.c.id == story_id)).first()
    if row is None:
        raise NotFound(f"there is no story {story_id}", mend="GET /v1/stories lists them.")
    return row


# --- out ---------------------------------------------------------------------------------------


def taught(session: Session) -> list[Taught]:
    """What the accepted corrections teach, one row a text, in the order they were accepted."""
    by_key: dict[str, list[Row[Any]]] = {}
    for row in _accepted(session):
        by_key.setdefault(row.key, []).append(row)
    return [
        Taught(key, rows[-1].text, _together(rows), rows[-1].decided_at)
        for key, rows in by_key.items()
    ]


def shown_labels(session: Session) -> dict[str, dict[str, str]]:
    """Key → head → label of the stories that accepted corrections are of, as they are now."""
    query = (
        select(corrections.c.key, *(stories.c[head] for head in HEADS))
        .join(stories, stories.c.id == corrections.c.story_id)
        .where(corrections.c.state == ACCEPTED)
        .order_by(corrections.c.decided_at, corrections.c.id)
    )
    found = session.execute(query)
    return {row.key: {h: label for h in HEADS if (label := getattr(row, h))} for row in found}


def counted(session: Session) -> dict[str, int]:
    """How many corrections there are in each state."""
    query = select(corrections.c.state, func.count()).group_by(corrections.c.state)
    found = {row[0]: int(row[1]) for row in session.execute(query)}
    return {state: found.get(state, 0) for state in (QUARANTINE, ACCEPTED, REJECTED)}


def one_correction(session: Session, correction_id: int) -> dict[str, Any]:
    """One, as `page_of_corrections` shows it. NotFound."""
    row = session.execute(select(corrections).where(corrections.c.id == correction_id)).first()
    if row is None:
        raise NotFound(f"there is no correction {correction_id}", mend="GET /v1/labels lists them.")
    return _shown(session, [row])[0]


def page_of_corrections(
    session: Session,
    *,
    state: State | None = None,
    story_id: int | None = None,
    limit: int,
    cursor: str | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """A page, newest first, and the cursor of the next one (None after the last). `conflicts` of
    each: the ids of others, not rejected, that say otherwise of the same story or text."""
    query = select(corrections)
    if state is not None:
        query = query.where(corrections.c.state == state)
    if story_id is not None:
        query = query.where(corrections.c.story_id == story_id)
    place = (corrections.c.created_at, corrections.c.id)
    rows, following = newest_page(session, query, place, limit, cursor)
    return _shown(session, rows), following


def _shown(session: Session, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    of_story = corrections.c.story_id.in_({row.story_id for row in rows} - {None})
    of_text = corrections.c.key.in_({row.key for row in rows})
    query = select(corrections).where(corrections.c.state != REJECTED, or_(of_story, of_text))
    others = list(session.execute(query.order_by(corrections.c.id)))
    return [
        {
            **{name: value for name, value in row._mapping.items() if name != "key"},
            "conflicts": [other.id for other in others if _contradict(row, other)],
        }
        for row in rows
    ]


def _contradict(one: Row[Any], other: Row[Any]) -> bool:
    about_one = one.key == other.key or (one.story_id and one.story_id == other.story_id)
    if one.id == other.id or one.state == REJECTED or not about_one:
        return False
    pairs = [(getattr(one, head), getattr(other, head)) for head in HEADS]
    return any(a is not None and b is not None and a != b for a, b in pairs)
