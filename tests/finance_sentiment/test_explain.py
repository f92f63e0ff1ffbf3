"""Does an explanation name what moved the alert, and replay to the same figure?"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.finance_sentiment.counts import HOURS_A_WEEK
from services.finance_sentiment.evidence import COUNT, HOUR, SHARE, Expected
from services.finance_sentiment.explain import Ground, Told, explain, replay, rule_version

EXPECTED = Expected(np.full(HOURS_A_WEEK, 0.2), np.full(HOURS_A_WEEK, 6.0), 0.02, 10.0)
FIRST = 480_000


def ground(detector: int = SHARE, threshold: float = 4.0, carried: float = 0.0) -> Ground:
    return Ground(detector, threshold, FIRST, FIRST + 3, EXPECTED, carried)


def story(number: int, hour: int, negative: bool, *sources: str, p: float | None = None) -> Told:
    return Told(number, f"Story {number}", FIRST + hour, negative, p, sources or ("A",), "v1")


def bad_hours(source: str = "") -> list[Told]:
    """Three hours of six stories, five of them negative, by one source or by one each."""
    return [
        story(6 * hour + n, hour, n > 0, source or f"S{n}", p=0.5 + n / 100)
        for hour in range(3)
        for n in range(6)
    ]


def test_the_stories_that_moved_it_most_come_first() -> None:
    found = explain(ground(), bad_hours())
    moved = [entry["moved"] for entry in found["stories"]]
    assert moved == sorted(moved, reverse=True) and moved[0] > 0
    assert {entry["id"] % 6 for entry in found["stories"]} == {1, 2, 3, 4, 5}
    of_one_hour = [e["p_negative"] for e in found["stories"] if e["hour"] == FIRST]
    assert of_one_hour == sorted(of_one_hour, reverse=True)


def test_sources_are_set_against_stories() -> None:
    stories = [*bad_hours(), story(99, 1, True, "S1", "S2", "S3")]
    found = explain(ground(), stories)["sources"]
    assert (found["stories"], found["negative"], found["mentions"]) == (19, 16, 18)
    assert found["sources"] == 5
    assert found["by_source"]["S1"] == 4


def test_one_source_alone_is_warned_of() -> None:
    assert explain(ground(), bad_hours("A"))["one_source"] == "A"
    assert explain(ground(), bad_hours())["one_source"] is None


def test_what_the_alert_would_not_have_fired_without_is_named() -> None:
    stories = bad_hours()
    statistic = explain(ground(), stories)["statistic"]
    close = explain(ground(threshold=statistic - 0.1), stories)["would_not_have_fired_without"]
    assert close["stories"] and close["sources"]
    far = explain(ground(threshold=statistic / 3), stories)["would_not_have_fired_without"]
    assert far == {"stories": [], "sources": []}


def test_the_band_holds_what_was_to_be_expected_and_not_what_was_seen() -> None:
    band = explain(ground(), bad_hours())["band"]
    assert band["expected"] == pytest.approx(0.2)
    assert band["low"] < band["expected"] < band["high"] < band["seen"]


def test_versions_of_model_and_rule_are_told() -> None:
    found = explain(ground(), bad_hours())
    assert found["model_versions"] == ["v1"]
    assert found["rule_version"] == rule_version()


def test_evidence_of_before_the_baseline_is_carried() -> None:
    before, carried = (explain(ground(carried=c), bad_hours())["statistic"] for c in (0.0, 2.0))
    assert carried == pytest.approx(before + 2.0)


def test_no_story_at_all_is_no_obstacle() -> None:
    found = explain(ground(), [])
    assert found["statistic"] == 0.0 and found["band"]["seen"] is None


HOURS = st.lists(
    st.integers(0, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    min_size=3,
    max_size=3,
)


@settings(max_examples=30, deadline=None)
@given(HOURS, st.sampled_from([SHARE, HOUR, COUNT]), st.floats(0, 3))
def test_it_replays_from_what_is_kept_to_the_same_figure(
    hours: list[tuple[int, int]], detector: int, carried: float
) -> None:
    stories = [
        story(100 * hour + n, hour, n < negative)
        for hour, (count, negative) in enumerate(hours)
        for n in range(count)
    ]
    document = json.loads(json.dumps(explain(ground(detector, carried=carried), stories)))
    assert replay(document["basis"]) == document["statistic"]
