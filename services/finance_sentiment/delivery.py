"""Which channel is due to be told what?

Pure. What is told follows from what is (which alerts are open) and what each channel was told so
far, not from the moment at which something changed. So nothing is lost when a change goes by
unseen: a silence that ends, a channel that is added, a worker that was down.

    told nothing, open           firing, unless it is silenced or not wanted
    told firing, over            resolved, silenced or not: who was called must be called off
    told resolved, open again    firing once more (late stories can bring an alert back)
    told nothing, over           nothing; but what this very evaluation found, already over, and
                                 began at most a day ago, is told as firing and resolved

An alert that began more than a day ago and is over was found by a look back into old stories, as
after an import or a long outage: it is on record and no news. One that still goes on is told,
however old, with since when.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from services.finance_sentiment.channels import Channel
from services.finance_sentiment.silences import Matcher, Silence

Event = Literal["firing", "resolved", "test"]
FIRING: Final[Event] = "firing"
RESOLVED: Final[Event] = "resolved"
TEST: Final[Event] = "test"

# Found later than this after its start, and over: no news.
LATE: Final = timedelta(days=1)
# What an outage has in the place of a detector.
NEWS: Final = "news"


@dataclass(frozen=True, slots=True)
class Subject:
    """What may be told: an alert, or an outage of all feeds. `key` names it for good."""

    key: str
    labels: Mapping[str, str]
    started_at: datetime
    raised_at: datetime
    ended_at: datetime | None

    @property
    def is_outage(self) -> bool:
        """No feed answers: of interest to everybody who waits for alerts."""
        return self.labels.get("detector") == NEWS


@dataclass(frozen=True, slots=True)
class Telling:
    """What a channel was told of a subject last: round `round`, and whether that is over."""

    round: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Due:
    """One message to write."""

    subject: Subject
    channel: str
    event: Event
    round: int

    @property
    def key(self) -> str:
        """Idempotency key: the same however often the message is written or sent."""
        return message_key(self.subject, self.channel, self.event, self.round)

    @property
    def after(self) -> str | None:
        """The key of the message that must not come after this one."""
        if self.event == FIRING:
            return None
        return message_key(self.subject, self.channel, FIRING, self.round)


def message_key(subject: Subject, channel: str, event: Event, round_: int) -> str:
    """The start is in it too: after the database was made anew, ids begin again."""
    return f"{subject.key}:{int(subject.started_at.timestamp())}:{channel}:{round_}:{event}"


def due_messages(
    subjects: Iterable[Subject],
    told: Mapping[tuple[str, str], Telling],
    channels: Sequence[Channel],
    silences: Sequence[Silence],
    now: datetime,
) -> list[Due]:
    """All that is due now, subject by subject. `told`: by (subject's key, channel's name)."""
    found: list[Due] = []
    for subject in subjects:
        silent = is_silenced(subject, silences, now)
        for channel in channels:
            before = told.get((subject.key, channel.name))
            if before is not None and not before.ended:
                if subject.ended_at is not None:
                    found.append(Due(subject, channel.name, RESOLVED, before.round))
                continue
            if silent or not wants(channel, subject):
                continue
            if subject.ended_at is None:
                following = 1 if before is None else before.round + 1
                found.append(Due(subject, channel.name, FIRING, following))
            elif before is None and _is_news(subject, now):
                found += [Due(subject, channel.name, event, 1) for event in (FIRING, RESOLVED)]
    return found


def _is_news(subject: Subject, now: datetime) -> bool:
    return subject.raised_at == now and subject.raised_at - subject.started_at <= LATE


def wants(channel: Channel, subject: Subject) -> bool:
    """Whether a channel is told of this. An outage concerns whoever waits for alerts, whatever
    about; only `detector != news` keeps it away."""
    if subject.is_outage:
        return Matcher("detector", "!=", NEWS) not in channel.matchers
    return all(matcher.meets(subject.labels) for matcher in channel.matchers)


def is_silenced(subject: Subject, silences: Iterable[Silence], now: datetime) -> bool:
    """Whether nobody is to be told. An outage is silenced only by who names it, `detector = news`:
    a silence about some topics must not make dead feeds read as calm."""
    named = Matcher("detector", "=", NEWS)
    return any(
        silence.holds(subject.labels, now) and (not subject.is_outage or named in silence.matchers)
        for silence in silences
    )
