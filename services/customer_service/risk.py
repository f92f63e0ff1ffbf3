"""When is an automatic answer safe enough, and what may be promised about it?

The promise: of the answers given automatically at most a share `risk` is wrong, an answered
out-of-scope question being wrong. It is kept in three steps on rows the model never saw.

1. A *decision score*: the chance that answering with the best intent is right, by a logistic
   regression on what the model says: the log-odds of its best probability, its in-scope score, how
   near the text is to a question known to be out of scope, and whether the encoder could not read
   it (then the others are on another scale). Right in-scope rows count 1, wrong ones 0,
   out-of-scope rows 0 and are re-weighted to a stated share of the traffic. An intent that is
   right less often than that says, beyond luck, has its chances lowered by the share that is
   missing, and is not answered at all where even its surest answers break the promise: one
   muddled intent would else hold back the answers of all. Most have too few rows to show it.
2. A *threshold* on it. Levels of coverage are tried from few answers to many; at each, an upper
   95 % bound on the share of wrong answers (bounds.py) must stay within the risk.
3. Where the rows are too few, or no level passes: a cautious default, and a note that says so.

On searching a threshold. Taking the best of many thresholds would spoil the 95 %: among many
bounds some are too low by chance. Here the order of the levels is fixed before any answer is
looked at, and the walk ends at the first level that fails, which keeps the chance of accepting a
bad one at 5 % (fixed-sequence testing; Angelopoulos et al. 2021, "Learn then Test"). The walk
begins where the bound could hold with some room for wrong answers. Not covered, and small: the few
weights of the score, and which intents are muddled, come from the same rows.

Pure numpy; nothing is read or written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from core.errors import InvalidInput
from services.customer_service.bounds import wrong_share_upper
from services.customer_service.rule import (
    PLAIN,
    Booleans,
    DecisionRule,
    Floats,
    Integers,
    Signals,
    Weights,
    features_of,
    sigmoid,
)

DEFAULT_RISK: Final = 0.05
DEFAULT_OOS_SHARE: Final = 0.2
CONFIDENCE: Final = 0.95
MIN_ROWS: Final = 100
# Share of in-scope rows that may fall under the floor where no out-of-scope row was given.
FLOOR_QUANTILE: Final = 0.02
_LEVELS: Final = 100
_CURVE_POINTS: Final = 50
# An intent of fewer rows cannot show that it is wrong too often.
_LEAST_OF_INTENT: Final = 20
# The walk begins where the bound without a single wrong answer is this part of the risk.
_HEADROOM: Final = 0.7


@dataclass(frozen=True)
class HeldOut:
    """Rows the model never saw: what it says of them, and (n,) whether the best intent is the right
    one and whether one of the best two is (neither for an out-of-scope row)."""

    signals: Signals
    right: Booleans
    pair_right: Booleans

    def __len__(self) -> int:
        return len(self.signals)


@dataclass(frozen=True)
class CurvePoint:
    """One level: answering scores ≥ `threshold` answers a share `coverage` of in-scope rows; of the
    answers a share `risk` is wrong, at most `upper` with 95 % confidence."""

    threshold: float
    coverage: float
    risk: float
    upper: float


@dataclass(frozen=True)
class FittedDecision:
    """The rule and the evidence for it. `promised`: whether the threshold keeps the risk."""

    rule: DecisionRule
    promised: bool
    note: str
    risk: float
    oos_share: float
    held_out_rows: int
    oos_rows: int
    point: CurvePoint | None
    curve: tuple[CurvePoint, ...]

    def settings(self, intents: Sequence[str]) -> dict[str, Any]:
        """For the manifest's `settings["decision"]`; `intents` are the names by number."""
        return {
            "weights": self.rule.weights._asdict(),
            "pair_weights": self.rule.pair_weights._asdict(),
            "threshold": self.rule.threshold,
            "trust": {intents[number]: trust for number, trust in self.rule.trust.items()},
            "in_scope_floor": self.rule.in_scope_floor,
            "risk": self.risk,
            "oos_share": self.oos_share,
            "promised": self.promised,
            "note": self.note,
            "held_out_rows": self.held_out_rows,
            "held_out_oos_rows": self.oos_rows,
            "at_threshold": None if self.point is None else asdict(self.point),
            "risk_coverage": [asdict(point) for point in self.curve],
        }


def fit_decision(
    in_scope: HeldOut,
    out_of_scope: HeldOut | None,
    *,
    risk: float = DEFAULT_RISK,
    oos_share: float = DEFAULT_OOS_SHARE,
) -> FittedDecision:
    """Score and threshold from held-out rows; `out_of_scope` is None where there are none.

    `risk` in (0, 1), `oos_share` of the traffic in [0, 1).
    """
    _check(risk, oos_share)
    outside = out_of_scope if out_of_scope is not None and len(out_of_scope) else None
    sample = _Sample.of(in_scope, outside, oos_share)
    enough = len(in_scope) >= MIN_ROWS
    weights, trust = _fit_score(sample, risk) if enough else (PLAIN, {})
    bare = DecisionRule(
        weights=weights,
        trust=trust,
        threshold=0.0,
        # The floor is a stand-in for the out-of-scope rows that were not given.
        in_scope_floor=_floor(in_scope) if outside is None else None,
        pair_weights=fit_weights(sample.pair_features, sample.pair_right, sample.weight)
        if enough
        else PLAIN,
    )
    reached = _walk(sample, bare, risk) if enough else None
    threshold = 1 - risk if reached is None else reached.threshold
    point = _point(sample, bare, threshold) if len(in_scope) else None
    return FittedDecision(
        rule=replace(bare, threshold=threshold),
        promised=reached is not None,
        note=_note(point, reached is not None, len(in_scope), risk, outside, oos_share),
        risk=risk,
        oos_share=0.0 if outside is None else oos_share,
        held_out_rows=len(in_scope),
        oos_rows=0 if outside is None else len(outside),
        point=point,
        curve=_curve(sample, bare),
    )


@dataclass(frozen=True)
class _Sample:
    """All rows with their weight in the traffic; `inside` marks the in-scope ones."""

    features: Floats
    pair_features: Floats
    in_scope: Floats
    intent: Integers
    right: Booleans
    pair_right: Booleans
    weight: Floats
    inside: Booleans

    @classmethod
    def of(cls, in_scope: HeldOut, out: HeldOut | None, oos_share: float) -> _Sample:
        parts = [in_scope] if out is None else [in_scope, out]
        each = 0.0 if out is None else oos_share / (1 - oos_share) * len(in_scope) / len(out)
        inside = np.repeat([True, False][: len(parts)], [len(part) for part in parts])
        signals = [part.signals for part in parts]
        return cls(
            np.concatenate([features_of(s.probability, s) for s in signals]),
            np.concatenate([features_of(s.pair_probability, s) for s in signals]),
            np.concatenate([s.in_scope for s in signals]),
            np.concatenate([s.intent for s in signals]),
            np.concatenate([p.right for p in parts]) & inside,
            np.concatenate([p.pair_right for p in parts]) & inside,
            np.where(inside, 1.0, each),
            inside,
        )


def _fit_score(sample: _Sample, risk: float) -> tuple[Weights, dict[int, float]]:
    """The weights, and how far an intent that stands out for the worse is to be trusted: not at
    all where even the surest of its answers would break the promise."""
    weights = fit_weights(sample.features, sample.right, sample.weight)
    muddled = _muddled(sample, sigmoid(sample.features @ np.array(weights)))
    others = ~np.isin(sample.intent, muddled)
    if not muddled or others.sum() < MIN_ROWS:
        return weights, {}
    # Without them, for they told the weights that the model's own certainty means little.
    weights = fit_weights(sample.features[others], sample.right[others], sample.weight[others])
    chance = sigmoid(sample.features @ np.array(weights))
    trust = {}
    for number in muddled:
        mine = sample.inside & (sample.intent == number)
        share = min(float(sample.right[mine].sum() / chance[mine].sum()), 1.0)
        trust[number] = share if share > 1 - risk else 0.0
    return weights, trust


def _muddled(sample: _Sample, chance: Floats) -> list[int]:
    """Numbers of the intents that are right less often than `chance` (n,) says, beyond what luck
    does to one of all that are looked at (one-sided 95 %, Bonferroni). Judged by in-scope rows: if
    questions out of scope resemble one intent, its rows are not to blame, and the score knows."""
    numbers, rows = np.unique(sample.intent[sample.inside], return_counts=True)
    tried = numbers[rows >= _LEAST_OF_INTENT]
    limit = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / max(len(tried), 1))
    found = []
    for number in tried:
        mine = sample.inside & (sample.intent == number)
        p = chance[mine]
        missing = float((p - sample.right[mine]).sum())
        if missing > limit * float(np.sqrt((p * (1 - p)).sum())):
            found.append(int(number))
    return found


# Which way each weight but the constant must point: a surer model must never count against an
# answer, nor the nearness of a question out of scope for it. Unreadable text may go either way.
_DIRECTION: Final = (1, 1, -1, 0)


def fit_weights(features: Floats, right: Booleans, weight: Floats) -> Weights:
    """By weighted logistic regression of `right` (n,) on `features` (n, 5).

    A weight that would point the wrong way is left out.
    """
    kept = list(range(len(_DIRECTION)))
    while True:
        weights = np.zeros(len(_DIRECTION) + 1)
        weights[[*kept, -1]] = _logistic_regression(features[:, kept], right, weight)
        wrong = [k for k in kept if weights[k] * _DIRECTION[k] < 0]
        if not wrong:
            return Weights(*(float(w) for w in weights))
        kept.remove(wrong[0])


def _logistic_regression(features: Floats, right: Booleans, weight: Floats) -> Floats:
    """Newton's method on standardised features, with a ridge of one row against separation.

    Returns the weights of the features as given, then the constant.
    """
    mean = np.average(features, axis=0, weights=weight)
    deviation = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weight))
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    x = np.column_stack([(features - mean) / deviation, np.ones(len(features))])
    y = right.astype(np.float64)
    ridge = np.diag([*np.ones(features.shape[1]), 1e-6])
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        p = sigmoid(x @ beta)
        gradient = x.T @ (weight * (y - p)) - ridge @ beta
        curvature = x.T @ (x * (weight * np.maximum(p * (1 - p), 1e-9))[:, None]) + ridge
        step = np.linalg.solve(curvature, gradient)
        beta += np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-8:
            break
    slopes = beta[:-1] / deviation
    return np.append(slopes, beta[-1] - slopes @ mean)


def _walk(sample: _Sample, rule: DecisionRule, risk: float) -> CurvePoint | None:
    """The level with the most answers that the walk reaches, None where it does not begin."""
    reached = None
    heaviest = float(sample.weight.max())
    inside = float(sample.inside.sum())
    for threshold in _levels(sample, rule):
        coverage = _answered(sample, rule, threshold)[sample.inside].mean()
        # Looks at no label: could the bound hold here at all?
        if wrong_share_upper(coverage * inside, 0.0, 0.0, heaviest) > _HEADROOM * risk:
            continue
        point = _point(sample, rule, threshold)
        if point.upper > risk:
            break
        reached = point
    return reached


def _levels(sample: _Sample, rule: DecisionRule) -> Floats:
    """Thresholds that answer 1 %, 2 %, … 100 % of the in-scope rows, highest first."""
    scores = _scores(sample, rule)[sample.inside]
    levels = np.quantile(scores, 1 - np.arange(1, _LEVELS + 1) / _LEVELS, method="lower")
    return np.unique(levels)[::-1]


def _curve(sample: _Sample, bare: DecisionRule) -> tuple[CurvePoint, ...]:
    """At most 50 points from few answers to all, for people to look at."""
    if len(sample.features) == 0:
        return ()
    levels = _levels(sample, bare)
    picked = np.linspace(0, len(levels) - 1, min(len(levels), _CURVE_POINTS)).round().astype(int)
    return tuple(_point(sample, bare, float(levels[i])) for i in np.unique(picked))


def _answered(sample: _Sample, rule: DecisionRule, threshold: float) -> Booleans:
    passed = _scores(sample, rule) >= threshold
    if rule.in_scope_floor is not None:
        passed &= sample.in_scope >= rule.in_scope_floor
    return np.asarray(passed)


def _scores(sample: _Sample, rule: DecisionRule) -> Floats:
    return sigmoid(sample.features @ np.array(rule.weights)) * rule.trusted(sample.intent)


def _point(sample: _Sample, rule: DecisionRule, threshold: float) -> CurvePoint:
    answered = _answered(sample, rule, threshold)
    right = float(sample.weight[answered & sample.right].sum())
    wrong = sample.weight[answered & ~sample.right]
    total = right + float(wrong.sum())
    return CurvePoint(
        threshold=float(threshold),
        coverage=float(answered[sample.inside].mean()),
        risk=float(wrong.sum()) / total if total else 0.0,
        upper=wrong_share_upper(
            right,
            float(wrong.sum()),
            float((wrong**2).sum()),
            float(sample.weight.max()),
            CONFIDENCE,
        ),
    )


def _note(
    point: CurvePoint | None,
    promised: bool,
    rows: int,
    risk: float,
    outside: HeldOut | None,
    oos_share: float,
) -> str:
    """What a person should know of the threshold, in a sentence or three."""
    traffic = (
        "among in-scope questions alone (no `oos` rows were given; a floor on the in-scope score "
        "stands in for them)"
        if outside is None
        else f"with {oos_share:.0%} of the questions out of scope"
    )
    measured = (
        ""
        if point is None
        else (
            f"on held-out questions {point.risk:.1%} of the automatic answers are wrong, at most "
            f"{point.upper:.1%} with 95 % confidence, {traffic}; {point.coverage:.0%} of the "
            f"in-scope questions are answered"
        )
    )
    if promised:
        return measured
    reason = (
        f"only {rows} held-out questions, {MIN_ROWS} are needed to promise a share of wrong answers"
        if rows < MIN_ROWS
        else f"no threshold keeps wrong answers within {risk:g} with 95 % confidence"
    )
    return (
        f"no promise: {reason}. As a cautious default only answers whose own chance of being right "
        f"is at least {1 - risk:g} are given{': ' if measured else ''}{measured}. More training "
        f"rows mend that, `oos` rows above all"
    )


def _floor(in_scope: HeldOut) -> float | None:
    if len(in_scope) == 0:
        return None
    return float(np.quantile(in_scope.signals.in_scope, FLOOR_QUANTILE))


def _check(risk: float, oos_share: float) -> None:
    if not 0 < risk < 1:
        raise InvalidInput(f"risk must be between 0 and 1 (exclusive), was: {risk}")
    if not 0 <= oos_share < 1:
        raise InvalidInput(f"oos_share must be in [0, 1), was: {oos_share}")
