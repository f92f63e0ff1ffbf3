"""What is said of an alert to a person who reads it on a phone?

Pure: from a kept alert, its explanation and its headlines to a note that every kind of channel
writes in its own way (payloads.py). Titles and names come from feeds: they are folded to one line,
cut, and stay text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from core.markup import web_address
from core.text import without_hidden
from services.finance_sentiment.delivery import NEWS, RESOLVED, TEST, Event
from services.finance_sentiment.evidence import COUNT, DETECTORS
from services.finance_sentiment.series import company_of
from services.finance_sentiment.silences import alert_labels

ALERT_NAME: Final = "NegativeNews"
OUTAGE_NAME: Final = "NewsOutage"
MAX_HEADLINES: Final = 2
_MAX_TITLE = 200
_MAX_NAME = 100
_MAX_NAMES = 3


@dataclass(frozen=True, slots=True)
class Headline:
    """A story behind an alert. `url` is "" where it has none that a reader may follow."""

    title: str
    url: str
    sources: str


@dataclass(frozen=True, slots=True)
class Note:
    """One message before any channel's form. `link` leads to the alert, `home` to the monitor;
    both are "" without PUBLIC_URL. `ends_at` is None while it fires."""

    event: Event
    labels: Mapping[str, str]
    summary: str
    details: tuple[str, ...]
    headlines: tuple[Headline, ...]
    starts_at: datetime
    ends_at: datetime | None
    link: str
    home: str

    def to_json(self) -> dict[str, Any]:
        """Fit for the outbox and for `from_json`."""
        ends = None if self.ends_at is None else self.ends_at.isoformat()
        return asdict(self) | {"starts_at": self.starts_at.isoformat(), "ends_at": ends}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Note:
        """What `to_json` gave."""
        ends = said["ends_at"]
        return cls(
            event=said["event"],
            labels=said["labels"],
            summary=said["summary"],
            details=tuple(said["details"]),
            headlines=tuple(Headline(**headline) for headline in said["headlines"]),
            starts_at=datetime.fromisoformat(said["starts_at"]),
            ends_at=None if ends is None else datetime.fromisoformat(ends),
            link=said["link"],
            home=said["home"],
        )


def labels_of(topic: str, detector: str, *, test: bool) -> dict[str, str]:
    """The labels that silences match by, under a name. An empty one is as good as none."""
    name = OUTAGE_NAME if detector == NEWS else ALERT_NAME
    found = {"alertname": name, **alert_labels(topic, detector, test=test)}
    return {key: shown(value, _MAX_TITLE) for key, value in found.items() if value}


def alert_note(
    alert: Mapping[str, Any], headlines: Sequence[Headline], event: Event, home: str
) -> Note:
    """The note of an alert as it is kept."""
    resolved = event == RESOLVED
    summary = _over(alert) if resolved else _risen(alert)
    details = [_counted(alert)]
    if resolved:
        details.append(
            f"It lasted from {_moment(alert['started_at'])} to {_moment(alert['resolved_at'])}."
        )
    else:
        details += _warnings(alert)
    if alert["is_test"]:
        summary = f"TEST: {summary}"
        details.insert(0, "This is a drill: the stories are made up.")
    return Note(
        event=event,
        labels=labels_of(alert["topic"], alert["detector"], test=alert["is_test"]),
        summary=summary,
        details=tuple(detail for detail in details if detail),
        headlines=() if resolved else tuple(headlines[:MAX_HEADLINES]),
        starts_at=alert["started_at"],
        ends_at=alert["resolved_at"] if resolved else None,
        link=f"{home}/alerts/{alert['id']}" if home else "",
        home=home,
    )


def outage_note(outage: Mapping[str, Any], event: Event, home: str) -> Note:
    """The note of a time without any feed."""
    if event == RESOLVED:
        summary = "News come in again"
        details = [
            f"No feed answered from {_moment(outage['started_at'])} "
            f"to {_moment(outage['ended_at'])}."
        ]
    else:
        summary = "No news come in: nothing is watched"
        details = [
            f"Since {_moment(outage['started_at'])}: {shown(outage['reason'], 200)}.",
            "No alert starts or ends until a feed answers again.",
        ]
    return Note(
        event=event,
        labels=labels_of("", NEWS, test=False),
        summary=summary,
        details=tuple(details),
        headlines=(),
        starts_at=outage["started_at"],
        ends_at=outage["ended_at"] if event == RESOLVED else None,
        link=f"{home}/" if home else "",
        home=home,
    )


def trial_note(channel: str, now: datetime, home: str) -> Note:
    """What `notify` sends. It is over at once, so that nobody is left with an open incident."""
    return Note(
        event=TEST,
        labels=labels_of("", "notify", test=True),
        summary="TEST: the news monitor reaches you",
        details=(f"Somebody tries the channel {channel}. There is nothing to do.",),
        headlines=(),
        starts_at=now,
        ends_at=now,
        link=home,
        home=home,
    )


def headline(title: str, url: str, sources: Sequence[str]) -> Headline:
    """A story as a message shows it: one line, cut, its address only where one may follow it."""
    names = [shown(name, _MAX_NAME) for name in sources[:_MAX_NAMES]]
    more = len(sources) - len(names)
    said = ", ".join(names) + (f" and {more} more" if more > 0 else "")
    return Headline(shown(title, _MAX_TITLE), web_address(url), said)


def shown(text: str, most: int) -> str:
    """Text from outside on one line, without characters that cannot be seen, of at most `most`."""
    folded = " ".join(without_hidden(text).split())
    return folded if len(folded) <= most else folded[: most - 1] + "…"


# --- sentences ----------------------------------------------------------------------------------


def _risen(alert: Mapping[str, Any]) -> str:
    topic, evidence = _watched(alert), alert["evidence"]
    band, basis = _explained(alert, "band"), _explained(alert, "basis")
    negative, stories = _at_start(evidence)
    if alert["detector"] == DETECTORS[COUNT] and basis:
        usual = sum(n * p for n, p in zip(basis["expected_stories"], basis["share"], strict=True))
        return f"{topic}: {negative} negative stories, normally {usual:.0f}"
    seen = band.get("seen")
    share = negative / stories if seen is None and stories else seen
    if share is None:
        return f"{topic}: more negative news than is normal"
    normal = band.get("expected", evidence.get("baseline_share"))
    said = "" if normal is None else f", normally {_percent(normal)}"
    if "negative_share_wanted" in evidence:
        said = f", your limit is {_percent(evidence['negative_share_wanted'])}"
    return f"{topic}: {_percent(share)} negative{said}"


def _watched(alert: Mapping[str, Any]) -> str:
    """The topic's or the company's name."""
    return shown(company_of(alert["topic"]) or alert["topic"], _MAX_NAME)


def _over(alert: Mapping[str, Any]) -> str:
    return f"Over: {_watched(alert)} is no longer unusually negative"


def _counted(alert: Mapping[str, Any]) -> str:
    """Stories, how many are negative, since when, from how many sources."""
    evidence, sources = alert["evidence"], _explained(alert, "sources")
    negative, stories = _at_start(evidence)
    if alert["resolved_at"] is not None:
        negative, stories = evidence.get("negative", negative), evidence.get("stories", stories)
    if not stories:
        return ""
    since = alert["onset_at"] or alert["started_at"]
    said = f"{negative} of {stories} stories negative since {_moment(since)}"
    named = sources.get("sources")
    return f"{said}, from {named} source{'' if named == 1 else 's'}." if named else f"{said}."


def _warnings(alert: Mapping[str, Any]) -> list[str]:
    found = []
    if alert["detector"].startswith("rule:"):
        found.append(f"By your rule {shown(alert['detector'].removeprefix('rule:'), _MAX_NAME)}.")
    said = alert["explanation"] or {}
    if said.get("one_source"):
        name = shown(str(said["one_source"]), _MAX_NAME)
        found.append(f"Careful: all negative stories come from one source, {name}.")
    elif needed := _explained(alert, "would_not_have_fired_without").get("sources"):
        found.append(f"Without {shown(str(needed[0]), _MAX_NAME)} it would not have fired.")
    if alert["evidence"].get("news", "ok") != "ok":
        found.append("Not all feeds answer: some of the news are missing.")
    return found


def _at_start(evidence: Mapping[str, Any]) -> tuple[int, int]:
    """(negative, all) of the stories that raised it."""
    negative = evidence.get("negative_at_start", evidence.get("negative", 0))
    return int(negative), int(evidence.get("stories_at_start", evidence.get("stories", 0)))


def _explained(alert: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (alert["explanation"] or {}).get(name) or {}
    return found


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
