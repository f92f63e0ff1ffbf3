"""What did people think of the answers, and what would have been right?

One opinion for each turn; a later one takes the place of the earlier. It stays in quarantine until
somebody has looked at it: what strangers say must not train anything by itself. Where that person
accepts it, the message becomes an example of the intent that the person names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from core.db.statements import insert_or_ignore, rows_changed
from core.errors import NotFound
from services.customer_service.examples import add_examples
from services.customer_service.tables import feedback, turns

QUARANTINE: Final = "quarantine"
ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
Rating = Literal["up", "down"]


@dataclass(frozen=True)
class Opinion:
    """About the answer to one message."""

    conversation_id: str
    message_id: str
    rating: Rating
    comment: str | None = None
    correct_intent: str | None = None


class FeedbackStore:
    """`sessions` write, `readers` are read-only; `now` is the clock."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        readers: sessionmaker[Session],
        now: Callable[[], datetime],
    ) -> None:
        self._sessions = sessions
        self._readers = readers
        self._now = now

    def put(self, opinion: Opinion) -> dict[str, Any]:
        """Keep it, in place of an earlier one, and give it as stored; NotFound for a turn that is
        not there."""
        now = self._now()
        said = {
            "rating": opinion.rating,
            "comment": opinion.comment,
            "correct_intent": opinion.correct_intent,
            "state": QUARANTINE,
            "updated_at": now,
        }
        key = {"conversation_id": opinion.conversation_id, "message_id": opinion.message_id}
        mine = (feedback.c.conversation_id == opinion.conversation_id) & (
            feedback.c.message_id == opinion.message_id
        )
        try:
            with self._sessions.begin() as session:
                if not insert_or_ignore(session, feedback, {**key, **said, "created_at": now}):
                    session.execute(update(feedback).where(mine).values(said))
                return dict(session.execute(_listed().where(mine)).one()._mapping)
        except IntegrityError as error:
            raise NotFound(
                "there is no such message in this conversation",
                mend="Send conversation_id and message_id as they stand in the answer.",
            ) from error

    def page(self, *, limit: int, cursor: int) -> tuple[list[dict[str, Any]], int | None]:
        """At most `limit` opinions after number `cursor`, in the order they first came, and where
        the next page begins."""
        query = _listed().where(feedback.c.id > cursor).order_by(feedback.c.id).limit(limit + 1)
        with self._readers() as session:
            rows = [dict(row._mapping) for row in session.execute(query)]
        return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None

    def accept(self, feedback_id: int, intent: str) -> dict[str, Any]:
        """The message becomes an example of the intent; gives the opinion as it is then.

        NotFound for an opinion that is not there, Conflict where the message is an example of
        another intent already.
        """
        with self._sessions.begin() as session:
            about = (feedback.c.conversation_id == turns.c.conversation_id) & (
                feedback.c.message_id == turns.c.message_id
            )
            query = select(turns.c.message).join(feedback, about)
            text = session.execute(query.where(feedback.c.id == feedback_id)).scalar_one_or_none()
            if text is not None:
                add_examples(session, intent, [text], "feedback", self._now())
            return _decided(session, feedback_id, ACCEPTED)

    def reject(self, feedback_id: int) -> dict[str, Any]:
        """Nothing is learnt from it; gives the opinion as it is then. NotFound."""
        with self._sessions.begin() as session:
            return _decided(session, feedback_id, REJECTED)


def _decided(session: Session, feedback_id: int, state: str) -> dict[str, Any]:
    mine = feedback.c.id == feedback_id
    if not rows_changed(session, update(feedback).where(mine).values(state=state)):
        raise NotFound(
            f"there is no feedback {feedback_id}", mend="GET /v1/admin/feedback names them."
        )
    return dict(session.execute(_listed().where(mine)).one()._mapping)


def _listed() -> Any:
    """Opinions with what they are about; not the customer's words, which have their own scope."""
    about = (feedback.c.conversation_id == turns.c.conversation_id) & (
        feedback.c.message_id == turns.c.message_id
    )
    return select(feedback, turns.c.intent, turns.c.action).join(turns, about)
