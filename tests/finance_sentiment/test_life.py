"""Does an alert live as it is written down, step by step?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.finance_sentiment.life import (
    BORN,
    DEGRADED,
    FIRING,
    INACTIVE,
    NO_DATA,
    OK,
    PENDING,
    RESOLVED,
    Happened,
    Life,
    News,
    Phase,
    Policy,
    step,
)

AT_ONCE = Policy()
PATIENT = Policy(for_hours=3)
TENACIOUS = Policy(keep_firing_hours=2)
RESTING = Policy(cool_down_hours=2)
# + met · - not met; upper-case news: N no data, D degraded and met, d degraded and not met
READ: dict[str, tuple[bool, News]] = {
    "+": (True, OK),
    "-": (False, OK),
    "N": (False, NO_DATA),
    "n": (True, NO_DATA),
    "D": (True, DEGRADED),
    "d": (False, DEGRADED),
}
SHORT: dict[Phase, str] = {INACTIVE: "i", PENDING: "p", FIRING: "f", RESOLVED: "r"}


def lived(hours: str, policy: Policy) -> tuple[str, list[Happened], Life]:
    life, phases, happened = BORN, "", []
    for hour, sign in enumerate(hours):
        life, what = step(life, hour, *READ[sign], policy)
        phases += SHORT[life.phase]
        happened += [what] if what else []
    return phases, happened, life


@pytest.mark.parametrize(
    ("policy", "hours", "phases"),
    [
        # at once
        (AT_ONCE, "-+--", "ifri"),
        (AT_ONCE, "++-+", "ffrf"),
        # for: so many hours in a row
        (PATIENT, "++-+++-", "ppippfr"),
        (PATIENT, "+-+-+-", "pipipi"),
        # keep firing: a lull shorter than that ends nothing
        (TENACIOUS, "+--+---", "ffffffr"),
        (TENACIOUS, "+---", "fffr"),
        # cool-down: quiet, then anew if it is still so
        (RESTING, "+-+++", "frrrf"),
        (RESTING, "+----", "frrri"),
        # no data changes nothing, whatever else is said
        (AT_ONCE, "+NNNN", "fffff"),
        (AT_ONCE, "-nn+", "iiif"),
        (PATIENT, "++NN+", "ppppf"),
        (TENACIOUS, "+-NNNN-", "fffffff"),
        (RESTING, "+-NN--", "frrrrr"),
        # degraded: what speaks for an alert counts, what speaks against it does not
        (AT_ONCE, "-D", "if"),
        (AT_ONCE, "+dddd-", "fffffr"),
        (PATIENT, "++dd+", "ppppf"),
        (PATIENT, "DDD", "ppf"),
    ],
)
def test_each_hour_leads_where_the_table_says(policy: Policy, hours: str, phases: str) -> None:
    assert lived(hours, policy)[0] == phases


@pytest.mark.parametrize(
    ("policy", "hours", "happened"),
    [
        (AT_ONCE, "+-+-", ["fired", "resolved", "fired", "resolved"]),
        (PATIENT, "++-+++", ["pending", "cleared", "pending", "fired"]),
        (TENACIOUS, "+--+", ["fired"]),
    ],
)
def test_what_happens_is_told_once(policy: Policy, hours: str, happened: list[Happened]) -> None:
    assert lived(hours, policy)[1] == happened


def test_what_is_wrong_with_the_news_is_shown_where_no_alert_is_open() -> None:
    assert lived("N", AT_ONCE)[2].shown == NO_DATA
    assert lived("d", AT_ONCE)[2].shown == DEGRADED
    assert lived("+N", AT_ONCE)[2].shown == FIRING
    assert lived("-", AT_ONCE)[2].shown == INACTIVE


def test_an_alert_remembers_its_hours() -> None:
    life = lived("--+++-", AT_ONCE)[2]
    assert (life.fired, life.resolved) == (2, 5)


POLICIES = st.builds(Policy, st.integers(1, 5), st.integers(0, 5), st.integers(0, 5))
WORDS = st.text(alphabet="+-NnDd", max_size=60)


@given(WORDS, POLICIES)
def test_alerts_open_and_close_in_turn(hours: str, policy: Policy) -> None:
    told = [what for what in lived(hours, policy)[1] if what in ("fired", "resolved")]
    assert told == ["fired", "resolved"] * (len(told) // 2) + ["fired"] * (len(told) % 2)


@given(WORDS, POLICIES, st.integers(1, 50))
def test_dead_feeds_never_read_as_calm(hours: str, policy: Policy, length: int) -> None:
    before, after = lived(hours, policy)[2], lived(hours + "N" * length, policy)[2]
    assert (after.phase, after.met, after.unmet, after.rest) == (
        before.phase,
        before.met,
        before.unmet,
        before.rest,
    )


@given(WORDS, POLICIES)
def test_waiting_longer_never_fires_sooner(hours: str, policy: Policy) -> None:
    longer = Policy(policy.for_hours + 1, policy.keep_firing_hours, policy.cool_down_hours)
    first = [lived(hours, p)[0].find("f") for p in (policy, longer)]
    assert first[1] == -1 or first[1] >= first[0] >= 0
