"""Is everybody told what they have to know, once, in order, and nothing else?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.finance_sentiment.channels import Channel
from services.finance_sentiment.delivery import (
    FIRING,
    LATE,
    NEWS,
    RESOLVED,
    Due,
    Subject,
    Telling,
    due_messages,
)
from services.finance_sentiment.silences import Matcher, Silence, alert_labels
from tests.finance_sentiment.conftest import NOW

HOUR = timedelta(hours=1)
DESK = Channel("desk", "webhook", "https://desk.example")
BANKS = replace(DESK, name="banks", matchers=(Matcher("topic", "=", "banking"),))
OPEN = Subject("alert:7", alert_labels("banking", "rule:x", test=False), NOW - HOUR, NOW, None)
OVER = replace(OPEN, ended_at=NOW)
OUTAGE = Subject("outage:1", alert_labels("", NEWS, test=False), NOW - HOUR, NOW, None)
TOLD = {("alert:7", "desk"): Telling(1, ended=False)}
CALLED_OFF = {("alert:7", "desk"): Telling(1, ended=True)}


def said(subject: Subject, told: dict[tuple[str, str], Telling], *silences: Silence) -> list[str]:
    return [due.event for due in due_messages([subject], told, [DESK], silences, NOW)]


def silence(*matchers: Matcher, until: timedelta = HOUR) -> Silence:
    return Silence(1, matchers, NOW - HOUR, NOW + until)


ABOUT_BANKS = silence(Matcher("topic", "=", "banking"))


def test_what_opens_is_told_once() -> None:
    assert said(OPEN, {}) == [FIRING]
    assert said(OPEN, TOLD) == []


def test_what_was_told_as_firing_is_told_as_over_once() -> None:
    assert said(OVER, TOLD) == [RESOLVED]
    assert said(OVER, CALLED_OFF) == []


def test_what_was_told_is_called_off_also_under_a_silence() -> None:
    assert said(OVER, TOLD, ABOUT_BANKS) == [RESOLVED]


def test_a_silenced_alert_is_told_when_the_silence_ends_while_it_fires() -> None:
    assert said(OPEN, {}, ABOUT_BANKS) == []
    assert said(OPEN, {}, silence(*ABOUT_BANKS.matchers, until=timedelta(0))) == [FIRING]
    assert said(replace(OVER, raised_at=NOW - HOUR), {}) == []


def test_an_alert_that_comes_back_is_told_again_under_another_key() -> None:
    [again] = due_messages([OPEN], CALLED_OFF, [DESK], [], NOW)
    assert (again.event, again.round) == (FIRING, 2)
    [first] = due_messages([OPEN], {}, [DESK], [], NOW)
    assert first.key != again.key


def test_a_channel_gets_what_its_matchers_meet() -> None:
    energy = replace(OPEN, key="alert:8", labels=alert_labels("energy", "rule:x", test=False))
    found = due_messages([OPEN, energy], {}, [DESK, BANKS], [], NOW)
    assert [(due.subject.key, due.channel) for due in found] == [
        ("alert:7", "desk"),
        ("alert:7", "banks"),
        ("alert:8", "desk"),
    ]


def test_what_was_found_just_now_and_is_over_is_told_whole_if_it_is_of_today() -> None:
    assert said(OVER, {}) == [FIRING, RESOLVED]
    assert said(replace(OVER, started_at=NOW - LATE), {}) == [FIRING, RESOLVED]


def test_old_stories_are_no_news_unless_they_go_on() -> None:
    long_ago = NOW - LATE - timedelta(seconds=1)
    assert said(replace(OVER, started_at=long_ago), {}) == []
    assert said(replace(OPEN, started_at=long_ago), {}) == [FIRING]


def test_an_outage_is_told_whatever_a_channel_waits_for() -> None:
    found = due_messages([OUTAGE], {}, [DESK, BANKS], [ABOUT_BANKS], NOW)
    assert [due.channel for due in found] == ["desk", "banks"]


def test_an_outage_is_kept_from_who_says_so_by_name() -> None:
    deaf = replace(DESK, matchers=(Matcher("detector", "!=", NEWS),))
    assert due_messages([OUTAGE], {}, [deaf], [], NOW) == []
    assert said(OUTAGE, {}, silence(Matcher("topic", "!=", "energy"))) == [FIRING]
    assert said(OUTAGE, {}, silence(Matcher("detector", "=", NEWS))) == []


def test_the_end_names_the_message_of_its_start() -> None:
    [start] = due_messages([OPEN], {}, [DESK], [], NOW)
    [end] = due_messages([OVER], TOLD, [DESK], [], NOW)
    assert (start.after, end.after) == (None, start.key)
    assert start.key != end.key


STEPS = st.lists(st.sampled_from(["open", "over", "silent", "loud", "look"]), max_size=30)


@given(STEPS)
def test_every_channel_hears_of_start_and_end_by_turns_and_never_twice(steps: list[str]) -> None:
    told: dict[tuple[str, str], Telling] = {}
    heard: list[Due] = []
    subject, silences = OPEN, []
    for number, step in enumerate([*steps, "look"]):
        now = NOW + number * timedelta(minutes=1)
        if step in ("open", "over"):
            subject = replace(subject, ended_at=None if step == "open" else now)
        elif step in ("silent", "loud"):
            silences = [replace(ABOUT_BANKS, ends_at=NOW + 9 * HOUR)] if step == "silent" else []
        for due in due_messages([subject], told, [DESK], silences, now):
            told["alert:7", "desk"] = Telling(due.round, due.event == RESOLVED)
            heard.append(due)
    assert [due.event for due in heard] == [FIRING, RESOLVED] * (len(heard) // 2) + (
        [FIRING] if len(heard) % 2 else []
    )
    assert len({due.key for due in heard}) == len(heard)
    if subject.ended_at is not None:
        assert len(heard) % 2 == 0
    elif not silences:
        assert len(heard) % 2 == 1
