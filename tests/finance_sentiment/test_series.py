"""Are topics and companies watched under one promise, each learned from its own kind?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.finance_sentiment import promise
from services.finance_sentiment.alerts import NEW, Baseline, Terms, advance
from services.finance_sentiment.baseline import LEAST_STORIES, Normal, fit, learnable
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.promise import learn
from services.finance_sentiment.rules import Rule, apply_rules
from services.finance_sentiment.series import company_of, company_series, series_labels

BUSY, RARE = company_series("Busy"), company_series("Rare")
WEEKS = 3


def history(seed: int = 0, *, bad_hours: int = 0) -> HourlyCounts:
    """Two topics at 20 % negative, a company at 50 % with half of the stories, one hardly named."""
    rng = np.random.default_rng(seed)
    hours = WEEKS * HOURS_A_WEEK
    stories = np.stack([rng.poisson(rate, hours) for rate in (6.0, 6.0, 6.0, 0.02)])
    shares = np.array([0.2, 0.2, 0.5, 0.2])[:, None] * np.ones(hours)
    if bad_hours:
        shares[2, -bad_hours:] = 0.95
    negative = rng.binomial(stories, shares)
    return HourlyCounts(480_000, ("a", "b", BUSY, RARE), stories, negative)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "MAX_PATHS", 8)


@given(st.text(max_size=30))
def test_a_series_is_of_a_company_or_of_a_topic(name: str) -> None:
    assert company_of(company_series(name)) == name
    assert series_labels(company_series(name)) == {"topic": None, "company": name}
    if not name.startswith("company:"):
        assert series_labels(name) == {"topic": name, "company": None}


def test_a_company_with_few_stories_is_no_series_while_a_topic_always_is() -> None:
    counts = history()
    few = counts.between(counts.first_hour, counts.first_hour + 2)
    assert learnable(counts).topics == ("a", "b", BUSY)
    assert learnable(few).topics == ("a", "b")
    assert int(counts.stories[3].sum()) < LEAST_STORIES


def test_companies_are_fitted_apart_from_topics() -> None:
    counts = learnable(history())
    both, topics = fit(counts), fit(counts.only(lambda series: company_of(series) is None))
    assert both.companies is not None
    assert {name: both.of(name) for name in ("a", "b")} == dict(topics.topics)
    assert both.of(BUSY).share == pytest.approx(0.5, abs=0.05)
    assert both.knows(BUSY) and both.knows("a") and not both.knows(RARE)
    assert Normal.from_json(both.to_json()) == both


def test_the_hours_of_a_company_may_all_be_left_out() -> None:
    counts = learnable(history())
    used = np.ones(counts.stories.shape, dtype=np.bool_)
    used[2] = False
    assert 0 < fit(counts, used).of(BUSY).share < 1


@pytest.mark.usefixtures("quick")
def test_only_known_companies_raise_alerts_and_they_share_the_budget() -> None:
    past = history()
    normal, promised = learn(learnable(past), 1.0, np.random.default_rng(0))
    states = {RARE: NEW}
    baseline = Baseline(past.end_hour - 48, 1000, promised, normal, states)
    seen = history(bad_hours=48)
    found = advance(baseline, seen, seen.end_hour, Terms(1.0, settle_hours=seen.end_hour))
    assert {alert.topic for alert in found.alerts} == {BUSY}
    assert set(found.standing) == {"a", "b", BUSY, RARE} and found.standing[RARE] == NEW


def test_a_rule_for_every_topic_leaves_companies_alone_and_one_for_a_company_finds_it() -> None:
    counts = history(bad_hours=48)
    every = Rule("every", 0.9, 10, 6)
    one = Rule("one", 0.9, 10, 6, topic=BUSY)
    found = {(alert.topic, alert.detector) for alert in apply_rules([every, one], counts)}
    assert found == {(BUSY, "rule:one")}
