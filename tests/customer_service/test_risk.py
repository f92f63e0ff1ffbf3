"""The promise: what the threshold says of unseen traffic holds, and where it can't, it is said."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from core.errors import InvalidInput
from services.customer_service.risk import FittedDecision, HeldOut, fit_decision
from services.customer_service.rule import PLAIN, DecisionRule, Signals, Weights, log_odds

INTENTS = tuple("abcdefghij")


def traffic(rng: np.random.Generator, rows: int, *, in_scope: bool) -> HeldOut:
    """Rows whose probability means what it says (in scope), or means nothing (out of scope)."""
    odds = rng.normal(3.5, 2.0, rows) if in_scope else rng.normal(0.0, 1.2, rows)
    probability = 1 / (1 + np.exp(-odds))
    right = rng.random(rows) < probability
    best = np.maximum(probability, 1 - probability)
    signals = Signals(
        intent=rng.integers(0, len(INTENTS), rows),
        probability=best,
        pair_probability=np.minimum(best + 0.1, 1.0),
        in_scope=rng.normal(0.0 if in_scope else -3.0, 1.0, rows),
        readable=np.ones(rows, dtype=bool),
        nearest_oos=rng.normal(0.3 if in_scope else 0.4, 0.1, rows),
    )
    if not in_scope:
        return HeldOut(signals, np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool))
    return HeldOut(signals, right & (odds > 0), right)


def wrong_share(rule: DecisionRule, inside: HeldOut, outside: HeldOut, oos_share: float) -> float:
    """In traffic with that share out of scope: wrong ÷ answered."""
    a, b = rule.sure(inside.signals), rule.sure(outside.signals)
    weight = oos_share / (1 - oos_share) * len(inside) / len(outside)
    wrong = (a & ~inside.right).sum() + weight * b.sum()
    return float(wrong / max(a.sum() + weight * b.sum(), 1))


def test_the_promise_is_broken_in_at_most_one_of_twenty_draws() -> None:
    rng = np.random.default_rng(7)
    truth = traffic(rng, 30_000, in_scope=True), traffic(rng, 8_000, in_scope=False)
    broken = promised = 0
    for _ in range(30):
        inside = traffic(rng, 800, in_scope=True)
        decision = fit_decision(inside, traffic(rng, 100, in_scope=False), risk=0.08)
        promised += decision.promised
        broken += decision.promised and wrong_share(decision.rule, *truth, 0.2) > 0.08
    assert promised >= 25
    assert broken <= 3


@pytest.fixture(scope="module")
def fitted() -> FittedDecision:
    rng = np.random.default_rng(1)
    return fit_decision(
        traffic(rng, 1500, in_scope=True), traffic(rng, 150, in_scope=False), risk=0.05
    )


def test_the_bound_at_the_threshold_stays_within_the_risk(fitted: FittedDecision) -> None:
    assert fitted.promised
    assert fitted.point is not None
    assert fitted.point.upper <= 0.05
    assert "at most" in fitted.note


def test_a_larger_risk_answers_more() -> None:
    rng = np.random.default_rng(3)
    inside, outside = traffic(rng, 1500, in_scope=True), traffic(rng, 200, in_scope=False)
    points = [fit_decision(inside, outside, risk=risk).point for risk in (0.05, 0.1, 0.2)]
    coverages = [point.coverage for point in points if point is not None]
    assert coverages == sorted(coverages)
    assert coverages[0] < coverages[-1]


def confused(rng: np.random.Generator, rows: int) -> HeldOut:
    """In-scope rows; of what the model takes for the first intent, every third is another."""
    inside = traffic(rng, rows, in_scope=True)
    mistaken = (inside.signals.intent == 0) & (rng.random(rows) < 1 / 3)
    return replace(inside, right=inside.right & ~mistaken)


def test_a_muddled_intent_is_trusted_less_and_does_not_silence_the_others() -> None:
    rng = np.random.default_rng(6)
    inside, outside = confused(rng, 2000), traffic(rng, 200, in_scope=False)
    decision = fit_decision(inside, outside, risk=0.08)
    assert decision.promised
    assert decision.rule.trust == {0: 0.0}
    seen, strange = confused(rng, 20_000), traffic(rng, 8_000, in_scope=False)
    answered = decision.rule.sure(seen.signals)
    first = seen.signals.intent == 0
    assert not answered[first].any()
    assert answered[~first].mean() > 0.5
    assert wrong_share(decision.rule, seen, strange, 0.2) < 0.08


def test_where_no_intent_stands_out_all_are_trusted_alike(fitted: FittedDecision) -> None:
    assert fitted.rule.trust == {}


def test_the_curve_is_short_and_goes_from_few_answers_to_all(fitted: FittedDecision) -> None:
    coverage = [point.coverage for point in fitted.curve]
    assert len(fitted.curve) <= 50
    assert coverage == sorted(coverage)
    assert coverage[-1] == 1.0


def test_settings_survive_the_manifest(fitted: FittedDecision) -> None:
    kept = replace(fitted, rule=replace(fitted.rule, trust={3: 0.9}))
    said = json.loads(json.dumps(kept.settings(INTENTS), allow_nan=False))
    assert DecisionRule.from_settings(said, INTENTS) == kept.rule
    assert said["trust"] == {"d": 0.9}
    assert said["held_out_rows"] == 1500
    assert said["held_out_oos_rows"] == 150


def test_too_few_rows_promise_nothing_and_say_so() -> None:
    rng = np.random.default_rng(2)
    decision = fit_decision(traffic(rng, 60, in_scope=True), traffic(rng, 20, in_scope=False))
    assert not decision.promised
    assert decision.rule.threshold == pytest.approx(0.95)
    assert decision.rule.weights == PLAIN
    assert "only 60 held-out questions" in decision.note


def test_a_promise_that_cannot_be_kept_is_not_made() -> None:
    rng = np.random.default_rng(2)
    hopeless = traffic(rng, 400, in_scope=False)
    decision = fit_decision(hopeless, traffic(rng, 50, in_scope=False), risk=0.02)
    assert not decision.promised
    assert decision.rule.threshold == pytest.approx(0.98)
    assert decision.note.startswith("no promise")


def test_without_out_of_scope_rows_a_floor_stands_in_for_them() -> None:
    rng = np.random.default_rng(4)
    inside = traffic(rng, 500, in_scope=True)
    decision = fit_decision(inside, None, risk=0.1)
    floor = decision.rule.in_scope_floor
    assert floor is not None
    assert float((inside.signals.in_scope < floor).mean()) == pytest.approx(0.02, abs=0.005)
    assert "no `oos` rows" in decision.note


def test_a_surer_model_never_counts_against_an_answer() -> None:
    rng = np.random.default_rng(5)
    inside = traffic(rng, 600, in_scope=True)
    signals = replace(
        inside.signals,
        in_scope=-3.0 * inside.right + rng.normal(size=600),  # higher where it is wrong
        nearest_oos=inside.right + rng.normal(size=600),  # nearer where it is right
    )
    weights = fit_decision(replace(inside, signals=signals), None, risk=0.1).rule.weights
    assert weights.in_scope == 0
    assert weights.nearest_oos == 0
    assert weights.log_odds > 0


def test_no_held_out_row_at_all_is_no_crash() -> None:
    nothing = np.empty(0)
    no_flags = np.empty(0, dtype=bool)
    signals = Signals(nothing.astype(int), nothing, nothing, nothing, no_flags, nothing)
    empty = HeldOut(signals, no_flags, no_flags)
    decision = fit_decision(empty, None)
    assert decision.point is None
    assert decision.curve == ()


@pytest.mark.parametrize(("risk", "share"), [(0, 0.2), (1, 0.2), (0.05, -0.1), (0.05, 1)])
def test_impossible_figures_are_refused(risk: float, share: float) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidInput):
        fit_decision(traffic(rng, 100, in_scope=True), None, risk=risk, oos_share=share)


def test_log_odds_are_bounded() -> None:
    assert log_odds([0.0, 0.5, 1.0]).tolist() == [-12.0, 0.0, 12.0]


def test_the_floor_keeps_out_what_the_score_would_let_in() -> None:
    rule = DecisionRule(PLAIN, threshold=0.5, in_scope_floor=0.0)
    probability = np.array([0.9, 0.9, 0.4])
    signals = Signals(
        np.zeros(3, dtype=int),
        probability,
        probability,
        np.array([1.0, -1.0, 1.0]),
        np.ones(3, dtype=bool),
        np.zeros(3),
    )
    assert rule.sure(signals).tolist() == [True, False, False]


def test_one_of_two_is_never_less_likely_than_the_first() -> None:
    rule = DecisionRule(PLAIN, threshold=0.5, pair_weights=Weights(0.0, 0.0, 0.0, 0.0, -3.0))
    one = np.ones(1)
    signals = Signals(one.astype(int), 0.9 * one, 0.95 * one, 0 * one, one.astype(bool), 0 * one)
    assert rule.pair_chance(signals) == rule.chance(signals)
