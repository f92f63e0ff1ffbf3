"""What could the bot not answer lately, for a page that is open in several browsers?

The same groups as `trefoil customer-service gaps` (gaps.py), of the newest turns alone, worked out
by the model that is live and kept for a while: to read a thousand messages takes seconds. An
agent's answer from the desk stands in for the reply that a help desk's log would bring.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from core.inference.encoder import Encoded
from core.inference.slot import ModelSlot
from services.customer_service.content import ContentStore
from services.customer_service.examples import ExampleStore, key_of
from services.customer_service.gaps import (
    Encode,
    Gap,
    LoggedTurn,
    find_gaps,
    in_portions,
    logged_turns,
    unanswered,
)
from services.customer_service.tables import agent_messages
from services.customer_service.understanding import IntentModel

MOST_TURNS: Final = 5000
_MOST_SHOWN: Final = 30
_KEPT: Final = timedelta(minutes=5)
# Messages read at once: customers' own wait no longer than for these.
_PORTION: Final = 16
# What the encoder said is remembered of so many texts: the next look reads the new ones alone.
_REMEMBERED: Final = 8000


@dataclass(frozen=True)
class _Found:
    """Groups as of `at`, by the model of `version`."""

    at: datetime
    version: str
    turns: int
    unanswered: int
    gaps: tuple[Gap, ...]


class Remembering:
    """An encoder that reads each text once; of those it must forget, what the last call did not
    ask for."""

    def __init__(self, encode: Encode) -> None:
        self._encode = in_portions(encode, _PORTION)
        self._known: dict[str, tuple[Any, float]] = {}

    def __call__(self, texts: Sequence[str]) -> Encoded:
        wanted = dict.fromkeys(texts)
        new = [text for text in wanted if text not in self._known]
        if len(self._known) + len(new) > _REMEMBERED:
            self._known = {text: said for text, said in self._known.items() if text in wanted}
        if new:
            said = self._encode(new)
            for text, one, share in zip(new, said.embeddings, said.unknown_share, strict=True):
                self._known[text] = (one, share)
        found = [self._known[text] for text in texts]
        return Encoded(np.stack([one for one, _ in found]), np.array([share for _, share in found]))


class GapFinder:
    """`readers` are read-only; `now` is the clock. The call blocks, for seconds where nothing is
    known yet; one at a time works."""

    def __init__(
        self,
        readers: sessionmaker[Session],
        content: ContentStore,
        examples: ExampleStore,
        models: ModelSlot[IntentModel],
        now: Callable[[], datetime],
    ) -> None:
        self._readers, self._content, self._examples = readers, content, examples
        self._models, self._now = models, now
        self._lock = threading.Lock()
        self._known: dict[int, _Found] = {}
        self._encoder: tuple[str, Encode] | None = None

    def find(self, days: int) -> dict[str, Any]:
        """The groups of the last days, the largest first; `taught`: the intent that one's first
        example was taught as since. NotReady where no model is live."""
        model = self._models.current()
        with self._lock:
            found, now = self._known.get(days), self._now()
            if found is None or found.version != model.version or now - found.at >= _KEPT:
                found = self._find(days, model, now)
                self._known[days] = found
        shown = found.gaps[:_MOST_SHOWN]
        taught = self._examples.intents_of([gap.examples[0] for gap in shown])
        return {
            "days": days,
            "at": found.at,
            "turns": found.turns,
            "unanswered": found.unanswered,
            "groups": len(found.gaps),
            "gaps": [
                {**asdict(gap), "taught": taught.get(key_of(gap.examples[0]))} for gap in shown
            ],
        }

    def _find(self, days: int, model: IntentModel, now: datetime) -> _Found:
        logged = logged_turns(self._readers, now - timedelta(days=days), MOST_TURNS)
        logged = with_agents(logged, self._said(logged))
        book = self._content.book()
        messages = unanswered(logged, book.hands_off)
        intents = [book.intents[name] for name in sorted(book.intents)]
        if self._encoder is None or self._encoder[0] != model.version:
            self._encoder = (model.version, Remembering(model.searcher.encode))
        gaps = find_gaps(messages, intents, self._encoder[1])
        return _Found(now, model.version, len(logged), len(messages), tuple(gaps))

    def _said(self, logged: Sequence[LoggedTurn]) -> list[tuple[str, datetime, str]]:
        """(conversation, when, what) that agents said since the first of these turns."""
        if not logged:
            return []
        table = agent_messages
        query = (
            select(table.c.conversation_id, table.c.created_at, table.c.text)
            .where(table.c.created_at >= min(turn.created_at for turn in logged))
            .order_by(table.c.id.desc())
            .limit(MOST_TURNS)
        )
        with self._readers() as session:
            return [tuple(row) for row in session.execute(query)][::-1]


def with_agents(
    logged: Sequence[LoggedTurn], said: Sequence[tuple[str, datetime, str]]
) -> list[LoggedTurn]:
    """The turns, each with the first thing that an agent said after it and before the next one of
    its conversation; both oldest first. What is known already stays."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, turn in enumerate(logged):
        places[turn.conversation_id].append(place)
    found = list(logged)
    for conversation, when, text in said:
        own = places.get(conversation, [])
        behind = bisect_right(own, when, key=lambda place: logged[place].created_at)
        if behind and not found[own[behind - 1]].agent_reply:
            found[own[behind - 1]] = replace(found[own[behind - 1]], agent_reply=text)
    return found
