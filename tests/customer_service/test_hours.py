"""When somebody is at the desk, on days with 23 and 25 hours too, and how a customer is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import InvalidInput
from services.customer_service.hours import DAYS, Hours, Standing, expectation, parse_hours, when

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai", "UTC"]
# The clock is put forward on 29 March and back on 25 October 2026.
WEEKDAYS = {day: ["09:00-12:30", "13:30-17:00"] for day in DAYS[:5]}
OFFICE: dict[str, Any] = {
    "timezone": "Europe/Berlin",
    "weekly": WEEKDAYS,
    "holidays": ["2026-12-25"],
    "expected_minutes": 10,
}


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)


def office(**values: Any) -> Hours:
    return parse_hours({**OFFICE, **values})


@pytest.mark.parametrize(
    ("now", "open_", "until"),
    [
        ("2026-03-02T09:00", True, "2026-03-02T12:30"),
        ("2026-03-02T12:29:59", True, "2026-03-02T12:30"),
        ("2026-03-02T12:30", False, "2026-03-02T13:30"),
        ("2026-03-02T17:00", False, "2026-03-03T09:00"),
        ("2026-03-06T18:00", False, "2026-03-09T09:00"),  # over the weekend
        ("2026-12-24T18:00", False, "2026-12-28T09:00"),  # the holiday is a Friday
        ("2026-03-27T18:00", False, "2026-03-30T09:00"),  # over the night with the jump
    ],
)
def test_the_desk_is_open_in_its_hours(now: str, open_: bool, until: str) -> None:
    assert when(office(), berlin(now)) == Standing(open_, berlin(until).astimezone(UTC))


def test_a_night_is_two_spans_and_one_opening() -> None:
    night = office(weekly={"monday": ["22:00-24:00"], "tuesday": ["00:00-06:00"]})
    assert when(night, berlin("2026-03-02T23:00")).until == berlin("2026-03-03T06:00")
    assert when(night, berlin("2026-03-03T00:00")).open


def test_a_desk_that_never_closes_has_no_end_and_one_that_never_opens_no_beginning() -> None:
    always = office(weekly={day: ["00:00-24:00"] for day in DAYS}, holidays=[])
    assert when(always, berlin("2026-03-02T12:00")) == Standing(True, None)
    assert when(office(weekly={}), berlin("2026-03-02T12:00")) == Standing(False, None)


def test_an_hour_that_comes_twice_is_open_twice_and_one_left_out_opens_at_the_jump() -> None:
    sunday = office(weekly={"sunday": ["02:30-03:30"]}, holidays=[])
    # Back from 3:00 to 2:00: open from the first 2:30 on, over the second one.
    assert when(sunday, berlin("2026-10-25T02:30")).until == berlin("2026-10-25T03:30")
    assert when(sunday, berlin("2026-10-25T02:10", fold=1)).open
    assert not when(sunday, berlin("2026-10-25T02:10")).open
    # Forward from 2:00 to 3:00: 2:30 is the moment of the jump.
    before = when(sunday, berlin("2026-03-29T01:00"))
    assert before == Standing(False, berlin("2026-03-29T03:00").astimezone(UTC))
    # An hour that is not there at all does not open.
    gone = office(weekly={"sunday": ["02:00-03:00"]}, holidays=[])
    assert when(gone, berlin("2026-03-28T12:00")).until == berlin("2026-04-05T02:00")


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    weekly = {}
    for day in DAYS:
        quarters = draw(st.lists(st.integers(0, 96), unique=True, max_size=4))
        marks = sorted(quarters)[: len(quarters) // 2 * 2]
        clock = [f"{q // 4:02d}:{q % 4 * 15:02d}" for q in marks]
        weekly[day] = [f"{a}-{b}" for a, b in zip(clock[::2], clock[1::2], strict=True)]
    return {"timezone": draw(st.sampled_from(ZONES)), "weekly": weekly}


# Near to where clocks are changed, in March, April, October and November.
MOMENTS = st.sampled_from(
    [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 8), (3, 29), (4, 4), (10, 25))]
).flatmap(lambda day: st.integers(-90_000, 180_000).map(lambda s: day + timedelta(seconds=s)))


def shown_open(hours: Hours, now: datetime) -> bool:
    """Whether the clock on the wall shows an hour of opening."""
    local = now.astimezone(hours.zone)
    minutes = local.hour * 60 + local.minute
    return any(opens <= minutes < closes for opens, closes in hours.weekly[local.weekday()])


@given(documents(), MOMENTS)
@example({"timezone": "Europe/Berlin", "weekly": {"sunday": ["02:15-02:45"]}}, berlin("2026-03-29"))
def test_whenever_the_clock_shows_an_hour_of_opening_the_desk_is_open(
    document: dict[str, Any], now: datetime
) -> None:
    hours = parse_hours(document)
    standing = when(hours, now)
    if shown_open(hours, now):
        assert standing.open
    day = [now + timedelta(hours=h) for h in (-3, 3)]
    plain = len({moment.astimezone(hours.zone).utcoffset() for moment in day}) == 1
    if plain:
        assert standing.open == shown_open(hours, now)


@given(documents(), MOMENTS)
def test_the_desk_stays_as_it_is_until_the_moment_that_is_told_and_not_longer(
    document: dict[str, Any], now: datetime
) -> None:
    hours = parse_hours(document)
    standing = when(hours, now)
    if standing.until is None:
        assert not any(hours.weekly) or standing.open
        return
    assert standing.until > now
    moment = now
    while moment < standing.until:
        assert when(hours, moment).open == standing.open
        moment += (standing.until - now) / 7 + timedelta(seconds=1)
    assert when(hours, standing.until - timedelta(seconds=1)).open == standing.open
    assert when(hours, standing.until).open != standing.open


@pytest.mark.parametrize(
    ("language", "now", "said"),
    [
        ("en", "2026-03-02T10:00", "A colleague will take over, usually within 10 minutes."),
        ("en", "2026-03-02T12:45", "We are back today at 13:30 (Berlin time). You can leave your"),
        ("en", "2026-03-06T18:00", "We are back on Monday at 9:00 (Berlin time). You can leave"),
        ("zh", "2026-03-02T10:00", "同事会接手，通常在10分钟之内。"),
        ("zh", "2026-03-06T18:00", "我们周一 9:00（柏林时间）回来。"),
        ("fr", "2026-03-02T10:00", "A colleague will take over, usually within 10 minutes."),
    ],
)
def test_a_customer_is_told_when_somebody_comes(language: str, now: str, said: str) -> None:
    hours = office(place={"zh": "柏林"})
    assert expectation(hours, berlin(now), language, "en").startswith(said)


def test_a_day_that_is_far_off_is_told_with_its_date() -> None:
    hours = office(weekly={"monday": ["09:05-17:00"]}, holidays=["2026-03-09"])
    told = expectation(hours, berlin("2026-03-03T10:00"), "en", "en")
    assert told.startswith("We are back on Monday 16 March at 9:05 (Berlin time).")
    assert "3月16日（周一） 9:05" in expectation(hours, berlin("2026-03-03T10:00"), "zh", "en")


def test_without_expected_minutes_or_any_opening_no_figure_is_made_up() -> None:
    now = berlin("2026-03-02T10:00")
    assert expectation(office(expected_minutes=None), now, "en", "en") == (
        "A colleague will take over soon."
    )
    assert expectation(office(weekly={}), now, "en", "en").startswith("Nobody is at the desk")


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"timezone": "Europe/Atlantis"}, "Europe/Atlantis"),
        ({"timezone": "../../etc/passwd"}, "time zone"),
        ({"timezone": "Europe"}, "time zone"),
        ({"weekly": {"mondag": ["09:00-17:00"]}}, "mondag"),
        ({"weekly": {"monday": ["9-17"]}}, "weekly.monday"),
        ({"weekly": {"monday": ["17:00-09:00"]}}, "22:00-24:00"),
        ({"weekly": {"monday": ["09:00-24:30"]}}, "weekly.monday"),
        ({"weekly": {"monday": ["09:00-12:00", "11:00-13:00"]}}, "overlap"),
        ({"holidays": ["25.12.2026"]}, "2026-12-25"),
    ],
)
def test_hours_that_cannot_be_are_refused_by_name(values: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        office(**values)
    assert word in str(refused.value)
