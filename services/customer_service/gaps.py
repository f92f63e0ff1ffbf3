"""What do customers ask that the bot could not answer?

    turns     of the last days that ended in abstain, handoff, clarify, or a hedged article, but
              for those that a failed webhook handed over, or that a person heard already
    groups    their messages, redacted, by topic
    gap       a group with its name, its size, what there is near to it, and an agent's answer

Reads the database and the live model's search encoder; writes nothing but the file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import Registry
from core.db.engine import session_factory
from core.db.migrations import migrated_engine
from core.errors import ModelNotFound
from core.inference.encoder import Encoded
from core.privacy import redact
from core.text import comparison_key, normalize
from services.customer_service.answers import AnswerBook, Intent
from services.customer_service.best_answer import Candidate, choose_answer
from services.customer_service.clusters import (
    SAME_TOPIC,
    group_texts,
    most_typical_first,
    typical_words,
    without_codes,
    word_vectors,
)
from services.customer_service.content import ContentStore
from services.customer_service.conversations import is_small_talk
from services.customer_service.phrases import opens_with
from services.customer_service.settings import Settings
from services.customer_service.sheets import write_sheet
from services.customer_service.tables import MIGRATIONS, turns
from services.customer_service.understanding import KIND, IntentModel

Encode = Callable[[Sequence[str]], Encoded]

COLUMNS: Final = (
    "gap", "name", "count", "share", "person_share", "examples", "nearest_intent", "similarity",
    "draft_answer",
)  # fmt: skip
# Where a turn's metadata tells what an agent replied to it.
AGENT_REPLY: Final = "agent_reply"
_UNANSWERED: Final = frozenset({"abstain", "handoff", "clarify"})
_EXAMPLES: Final = 5
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class LoggedTurn:
    """What of a stored turn matters here. `text` is the answer as it was sent."""

    conversation_id: str
    message: str
    action: str
    text: str
    created_at: datetime
    intent: str | None = None
    agent_reply: str = ""

    @property
    def unanswered(self) -> bool:
        """Whether the customer got no answer to rely on. A pressed button is no question."""
        if self.message.lstrip().startswith("/") or is_small_talk(self.message):
            return False
        # Said to the person who had the conversation, and answered by them.
        if self.action == "handoff" and (not self.text or opens_with("reading_along", self.text)):
            return False
        # A webhook that fails is mended at the company's server, and not by writing an answer.
        if any(opens_with("call_failed", part) for part in self.text.split("\n\n")):
            return False
        hedged = self.action == "retrieve" and opens_with("maybe", self.text)
        return hedged or self.action in _UNANSWERED

    def by_design(self, hands_off: Mapping[str, bool]) -> bool:
        """Whether an intent's own answer handed over: a person was meant to take it. `hands_off`:
        intents, and whether a person takes over after their answer."""
        own_words = self.action == "handoff" and not opens_with("handoff", self.text)
        return own_words and hands_off.get(self.intent or "", False)


@dataclass(frozen=True, slots=True)
class Gap:
    """`share`: of all unanswered messages; `person_share`: of its messages, those whose
    conversation went to a person then or later; `similarity`: cosine to `nearest_intent`, None
    where there is no intent; `by_design`: share that an intent handed over on purpose."""

    name: str
    count: int
    share: float
    person_share: float
    examples: tuple[str, ...]
    nearest_intent: str
    similarity: float | None
    draft_answer: str
    by_design: float


@dataclass(frozen=True, slots=True)
class Unanswered:
    """One message without an answer, redacted. `replies`: what agents said to it afterwards."""

    text: str
    person: bool
    by_design: bool
    replies: tuple[Candidate, ...]


# --- pure ----------------------------------------------------------------------------------------


def unanswered(logged: Sequence[LoggedTurn], hands_off: Mapping[str, bool]) -> list[Unanswered]:
    """The unanswered messages of turns in order of time; `hands_off` as in `by_design`."""
    by_conversation: dict[str, list[LoggedTurn]] = defaultdict(list)
    for turn in logged:
        by_conversation[turn.conversation_id].append(turn)
    found: list[Unanswered] = []
    for own in by_conversation.values():
        for position, turn in enumerate(own):
            if turn.unanswered:
                later = own[position:]
                found.append(
                    Unanswered(
                        redact(normalize(turn.message)).text,
                        any(other.action == "handoff" for other in later),
                        turn.by_design(hands_off),
                        _replies(later),
                    )
                )
    return found


def _replies(later: Sequence[LoggedTurn]) -> tuple[Candidate, ...]:
    """The first reply of an agent, to this message or after it."""
    for turn in later:
        if turn.agent_reply and not is_small_talk(turn.agent_reply):
            text = redact(" ".join(turn.agent_reply.split())).text
            return (Candidate(text, time=turn.created_at.timestamp()),)
    return ()


def find_gaps(
    messages: Sequence[Unanswered], intents: Sequence[Intent], encode: Encode
) -> list[Gap]:
    """Groups of unanswered messages, the largest first; those that a person was meant to take
    come last."""
    if not messages:
        return []
    texts = [message.text for message in messages]
    encoded = encode([without_codes(text) for text in texts])
    groups = group_texts(texts, encoded.embeddings, encoded.readable, SAME_TOPIC)
    members: dict[int, list[int]] = defaultdict(list)
    for position, group in enumerate(groups):
        members[group].append(position)
    words = typical_words(texts, groups)
    nearest = _Nearest(intents, encode)
    gaps = []
    for group, own in sorted(members.items()):
        order = most_typical_first(own, texts, encoded.embeddings, encoded.readable)
        intent, similarity = nearest.to(order, texts, encoded)
        replies = [reply for position in own for reply in messages[position].replies]
        gaps.append(
            Gap(
                name=" ".join(words[group]) or texts[order[0]][:40],
                count=len(own),
                share=len(own) / len(messages),
                person_share=float(np.mean([messages[p].person for p in own])),
                examples=_examples([texts[p] for p in order]),
                nearest_intent=intent,
                similarity=similarity,
                draft_answer=choose_answer(replies).text if replies else "",
                by_design=float(np.mean([messages[p].by_design for p in own])),
            )
        )
    return sorted(gaps, key=lambda gap: (gap.by_design > 0.5, -gap.count))


def _examples(texts: Sequence[str]) -> tuple[str, ...]:
    different = {comparison_key(text): text for text in reversed(texts)}
    kept = [text for text in texts if different[comparison_key(text)] is text]
    return tuple(dict.fromkeys(kept))[:_EXAMPLES]


class _Nearest:
    """The existing intent that says most nearly what a group asks: by meaning where the encoder can
    read both, else by words."""

    def __init__(self, intents: Sequence[Intent], encode: Encode) -> None:
        said = [(i.name, text) for i in intents for text in _said_of(i)]
        self._names = [name for name, _ in said]
        self._texts = [text for _, text in said]
        self._encoded = encode(self._texts) if said else None

    def to(
        self, members: Sequence[int], texts: Sequence[str], encoded: Encoded
    ) -> tuple[str, float | None]:
        """(name, cosine) for a group's members; ("", None) where there is no intent."""
        if self._encoded is None:
            return "", None
        if encoded.readable[members[0]]:
            mean = encoded.embeddings[list(members)].mean(axis=0)
            likeness = self._encoded.embeddings @ mean / max(float(np.linalg.norm(mean)), 1e-9)
            likeness = np.where(self._encoded.readable, likeness, -1.0)
        else:
            vectors = word_vectors([*self._texts, *(texts[p] for p in members)])
            mean = vectors[len(self._texts) :].mean(axis=0)
            likeness = vectors[: len(self._texts)] @ mean
            likeness = likeness / max(float(np.linalg.norm(mean)), 1e-9)
        best = int(likeness.argmax())
        return self._names[best], max(float(likeness[best]), 0.0)


def _said_of(intent: Intent) -> list[str]:
    """Texts that tell what an intent is about: its name and what its button says."""
    name = intent.name.replace("_", " ").replace(".", " ").replace("/", " ")
    return list(dict.fromkeys([name, *intent.description.values()]))


# --- database and file ---------------------------------------------------------------------------


def mine_gaps(settings: Settings, *, days: float, output: Path | None, now: datetime) -> list[str]:
    """Read the turns of the last `days`, write the gaps to `output` if given; lines for a person.

    ModelNotFound where no model is live, StorageError where the database cannot be read.
    """
    since = now - timedelta(days=days)
    with migrated_engine(settings.database_url, MIGRATIONS, command=settings.command) as engine:
        readers = session_factory(engine, read_only=True)
        logged = logged_turns(readers, since)
        book = ContentStore(readers, readers).book()
    messages = unanswered(logged, book.hands_off)
    gaps: list[Gap] = []
    if messages:
        gaps = find_gaps(messages, _intents(book), _encoder(settings))
    if output is not None:
        write_sheet(output, COLUMNS, map(_cells, range(1, len(gaps) + 1), gaps))
    head = f"{len(logged)} messages in {days:g} days, {len(messages)} without an answer"
    return [f"{head}, {len(gaps)} groups", *_shown(gaps), *_where(output, gaps)]


def logged_turns(
    readers: sessionmaker[Session], since: datetime, at_most: int | None = None
) -> list[LoggedTurn]:
    """The turns since then, oldest first; the newest `at_most` of them."""
    query = (
        select(
            turns.c.conversation_id,
            turns.c.message,
            turns.c.action,
            turns.c.intent,
            turns.c.reply,
            turns.c.created_at,
            turns.c.metadata.label("about"),
        )
        .where(turns.c.created_at >= since)
        .order_by(turns.c.id.desc())
        .limit(at_most)
        .execution_options(yield_per=1000)
    )
    with readers() as session:
        found = [
            LoggedTurn(
                conversation_id=row.conversation_id,
                message=row.message,
                action=row.action,
                intent=row.intent,
                text=str(row.reply.get("text", "")),
                created_at=row.created_at,
                agent_reply=agent_reply(row.about),
            )
            for row in session.execute(query)
        ]
    return found[::-1]


def agent_reply(metadata: Mapping[str, Any]) -> str:
    """What an agent answered to a turn, "" where nobody did: the one place that knows where it is
    kept."""
    said = metadata.get(AGENT_REPLY, "")
    return said if isinstance(said, str) else ""


def _encoder(settings: Settings) -> Encode:
    active = Registry(settings.models_dir, KIND).active()
    if active is None:
        raise ModelNotFound("no model is live", mend="Run: trefoil models promote MODEL")
    searcher = IntentModel.load(active.path, threads=settings.threads, check=False).searcher
    return in_portions(searcher.encode)


def in_portions(encode: Encode, size: int = 256) -> Encode:
    """The same encoder for any number of texts: at most `size` are in memory at once."""

    def encode_all(texts: Sequence[str]) -> Encoded:
        parts = [encode(texts[start : start + size]) for start in range(0, len(texts), size)]
        return Encoded(
            np.concatenate([part.embeddings for part in parts]),
            np.concatenate([part.unknown_share for part in parts]),
        )

    return encode_all


def _intents(book: AnswerBook) -> list[Intent]:
    return [book.intents[name] for name in sorted(book.intents)]


def _cells(number: int, gap: Gap) -> list[str]:
    return [
        str(number),
        gap.name,
        str(gap.count),
        f"{gap.share:.3f}",
        f"{gap.person_share:.2f}",
        "\n".join(gap.examples),
        gap.nearest_intent,
        "" if gap.similarity is None else f"{gap.similarity:.2f}",
        gap.draft_answer,
    ]


def _shown(gaps: Sequence[Gap]) -> Iterator[str]:
    for number, gap in enumerate(gaps[:_SHOWN], start=1):
        near = ""
        if gap.similarity is not None:
            near = f", nearest {gap.nearest_intent} {gap.similarity:.2f}"
        yield (
            f"{number:3} {gap.name}: {gap.count} ({gap.share:.0%}), "
            f"{gap.person_share:.0%} to a person{near}: {gap.examples[0][:60]!r}"
        )


def _where(output: Path | None, gaps: Sequence[Gap]) -> Iterator[str]:
    if output is not None:
        yield f"{len(gaps)} groups → {output}"
    elif len(gaps) > _SHOWN:
        yield f"and {len(gaps) - _SHOWN} more; --output gaps.csv writes all"
