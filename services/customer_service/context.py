"""What of a conversation still counts when the next message comes?

Pure. The turns that are stored are all there is: any process can read the next message. A session
is the run of turns without a silence longer than `session_hours`; what lies before is history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.text import normalize
from services.customer_service.corrections import agrees, correction_of, denies
from services.customer_service.followups import kind_of
from services.customer_service.phrases import opens_with
from services.customer_service.small_talk import Talk, small_talk
from services.customer_service.store import Turn

# Messages of one burst; more is a flood.
_MOST_OF_BURST: Final = 5
_HELPED: Final = frozenset({"answer", "ask_slot", "call", "retrieve"})


@dataclass(frozen=True)
class LastAsked:
    """A question that was helped with: its words, and the intent that answered it (None where
    articles did)."""

    text: str
    intent: str | None


def session(turns: Sequence[Turn], now: datetime, hours: float) -> tuple[Turn, ...]:
    """Of turns, newest first, those of the session that is on at `now`."""
    longest, after, kept = timedelta(hours=hours), now, []
    for turn in turns:
        if after - turn.created_at > longest:
            break
        kept.append(turn)
        after = turn.created_at
    return tuple(kept)


def helped(turn: Turn) -> bool:
    """Whether the turn gave what was asked for: a maybe, a question back and a refusal did not."""
    return turn.action in _HELPED and not _is_maybe(turn)


def _is_maybe(turn: Turn) -> bool:
    return turn.action == "retrieve" and opens_with("maybe", str(turn.reply.get("text", "")))


def unhelpful_run(turns: Sequence[Turn]) -> int:
    """How many of the latest turns (newest first) in a row helped nobody; small talk in between is
    passed over. A handover ends the run: the customer was told."""
    count = 0
    for turn in turns:
        if turn.action == "answer" and small_talk(_said(turn)) is not None:
            continue
        if turn.action not in ("abstain", "clarify") and not _is_maybe(turn):
            break
        count += 1
    return count


def denied_before(turns: Sequence[Turn]) -> bool:
    """Whether the customer has just said no and was given other choices."""
    return bool(turns) and turns[0].action in ("clarify", "abstain") and denies(_said(turns[0]))


def talk_before(turns: Sequence[Turn]) -> Talk | None:
    """What kind of small talk the last message was."""
    return small_talk(_said(turns[0])) if turns else None


def run_of(turns: Sequence[Turn], kind: Talk) -> int:
    """How many of the latest messages in a row were small talk of this kind."""
    count = 0
    for turn in turns:
        if small_talk(_said(turn)) != kind:
            break
        count += 1
    return count


def asks_value_for(turn: Turn) -> str | None:
    """The intent that a bare value continues: of several questions the one that asked for it."""
    parts = turn.reply.get("parts") or ()
    return next((part["intent"] for part in parts if part["action"] == "ask_slot"), turn.intent)


def offered(turn: Turn) -> tuple[str, ...]:
    """The intents that the turn's buttons stand for."""
    payloads = [str(button.get("payload", "")) for button in turn.reply.get("buttons", ())]
    return tuple(payload[1:] for payload in payloads if payload.startswith("/"))


def asked_one(turn: Turn) -> str | None:
    """The intent of a question that yes or no answers; None where the turn asked none."""
    names = offered(turn)
    single = opens_with("confirm", str(turn.reply.get("text", ""))) or opens_with(
        "sorry_one", str(turn.reply.get("text", ""))
    )
    return names[0] if turn.action == "clarify" and names and single else None


def ruled_out(turns: Sequence[Turn]) -> frozenset[str]:
    """The intents that a customer who says no to the last turn does not mean: its own, what it
    asked about, and what was said no to just before."""
    out: set[str] = set()
    for turn in turns:
        out |= set(offered(turn)) if turn.action == "clarify" else set()
        if turn.action in ("answer", "ask_slot", "call") and turn.intent:
            out.add(turn.intent)
        if not denies(_said(turn)):
            break
    return frozenset(out)


def burst(turns: Sequence[Turn], now: datetime, seconds: float) -> tuple[str, ...]:
    """The messages just before, oldest first, that were sent in one breath with the one that comes
    at `now` and were not helped; greetings among them are left out."""
    breath, after = timedelta(seconds=seconds), now
    found: list[str] = []
    for turn in turns[:_MOST_OF_BURST]:
        talk = small_talk(_said(turn))
        if after - turn.created_at > breath or turn.message.startswith("/"):
            break
        if (helped(turn) and talk != "greeting") or denies(_said(turn)) or agrees(_said(turn)):
            break
        if talk is None:
            found.append(_said(turn))
        after = turn.created_at
    return tuple(reversed(found))


def last_asked(turns: Sequence[Turn], title: Callable[[str], str | None]) -> LastAsked | None:
    """The last question that was helped with, of turns newest first; None where there is none.

    `title`: what an intent is called, None for one nobody knows; it stands for a pressed button.
    Small talk is passed over, and so is a message that leans on another one. A question that was
    not helped with ends the search: what comes next is about that one.
    """
    for turn in turns:
        if turn.message.startswith("/"):
            named = title(turn.message[1:])
            return LastAsked(named, turn.message[1:]) if named and turn.action in _HELPED else None
        if small_talk(_said(turn)) or denies(_said(turn)) or agrees(_said(turn)):
            continue
        text, intent = _question(turn)
        if kind_of(text) is not None:
            continue
        if turn.action not in _HELPED:
            return None
        return LastAsked(text, None if turn.action == "retrieve" else intent)
    return None


def _question(turn: Turn) -> tuple[str, str | None]:
    """Of several questions in one message the last; of a correction what was meant."""
    parts = turn.reply.get("parts") or ()
    if parts:
        return str(parts[-1]["text"]), parts[-1]["intent"]
    text = _said(turn)
    correction = correction_of(text)
    return (text if correction is None else correction.rest), turn.intent


def _said(turn: Turn) -> str:
    """The customer's words as they are read."""
    return normalize(turn.message)
