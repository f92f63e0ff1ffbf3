"""Does the monitor keep its promise on false alarms, and how soon does it see a surge?

Simulated as the bar states: 10 topics, 12 stories an hour each, 20 % of them negative,
overdispersion .02, one false alarm a week accepted over all; each of 20 seeds learns from 8 weeks
of its own and is then watched for 26 calm weeks, and through surges to 40 % and to 60 % that last
two days. Also at 4 and 40 stories an hour, at overdispersion .10, and where all topics lean one
way on the same day (overdispersion .02 by the day on top). The service's own functions learn,
weigh and watch.

Beside them in the same run, each with the threshold at which it raises as many false alarms on the
same calm weeks: a binomial test of the hour (bunching ignored), EARS C2 on the hourly number of
negative stories (mean and deviation of the seven days before, two days' gap) and a fixed threshold
on the negative share of the last six hours. Their alerts end as ours do.

    python -m benchmarks.surges [--seeds 20] [--only 12,0.02] [--split .7,.15,.15]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.common import save, table, verdict
from core.evaluation.intervals import bootstrap_interval
from services.finance_sentiment import promise
from services.finance_sentiment.baseline import HISTORY_HOURS, Normal
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts, IntArray
from services.finance_sentiment.evidence import (
    HOUR,
    MIN_OVERDISPERSION,
    Expected,
    FloatArray,
)
from services.finance_sentiment.promise import Promise, learn
from services.finance_sentiment.surge import OFF, SingleArray, rise_counts, walk_paths

TOPICS = 10
SHARE = 0.2
BUDGET = 1.0
WATCHED_WEEKS = 26
# A surge comes after ten calm days, in which C2 finds its mean, and lasts two.
LEAD, LASTS = 240, 48
# Surges of each size that each topic of each seed lives through.
SURGES = 5
SURGE_SHARES = (0.4, 0.6)
FIRST_HOUR = 480_000 - 480_000 % HOURS_A_WEEK
NAMES = tuple(f"topic {number}" for number in range(TOPICS))

Score = Callable[[Normal, IntArray, IntArray], FloatArray]


@dataclass(frozen=True)
class Scenario:
    """Stories an hour, overdispersion of the hour, and of the day (shared by all topics)."""

    volume: float
    overdispersion: float
    by_day: float = 0.0

    @property
    def name(self) -> str:
        lean = f", days lean {self.by_day:g}" if self.by_day else ""
        return f"{self.volume:g} an hour, overdispersion {self.overdispersion:g}{lean}"


SCENARIOS = (
    Scenario(12, 0.02),
    Scenario(4, 0.02),
    Scenario(40, 0.02),
    Scenario(4, 0.10),
    Scenario(12, 0.10),
    Scenario(40, 0.10),
    Scenario(12, 0.02, by_day=0.02),
)


def stream(
    scenario: Scenario, rng: np.random.Generator, shares: FloatArray
) -> tuple[IntArray, IntArray]:
    """(stories, negative), each (topics, hours), about `shares` (topics, hours)."""
    if scenario.by_day:
        days = -(-shares.shape[1] // 24)
        lean = beta(np.full((1, days), SHARE), scenario.by_day, rng)
        odds = lean / (1 - lean) * (1 - SHARE) / SHARE
        odds = np.repeat(odds, 24, axis=1)[:, : shares.shape[1]] * shares / (1 - shares)
        shares = odds / (1 + odds)
    stories = rng.poisson(scenario.volume, size=shares.shape).astype(np.int64)
    return stories, rng.binomial(stories, beta(shares, scenario.overdispersion, rng))


def beta(mean: FloatArray, rho: float, rng: np.random.Generator) -> FloatArray:
    """Shares around these means."""
    weight = (1 - rho) / rho
    return np.asarray(rng.beta(mean * weight, (1 - mean) * weight))


@dataclass
class Seed:
    """What one seed learned and then saw."""

    normal: Normal
    promise: Promise
    calm: tuple[IntArray, IntArray]
    surges: dict[float, tuple[IntArray, IntArray]]


def seed_of(scenario: Scenario, number: int, learned_hours: int) -> Seed:
    """Learn on so many hours; the calm weeks and the surges to watch."""
    rng = np.random.default_rng([number, int(scenario.volume), int(scenario.overdispersion * 1000)])
    past = HourlyCounts(
        FIRST_HOUR, NAMES, *stream(scenario, rng, np.full((TOPICS, learned_hours), SHARE))
    )
    normal, promised = learn(past, BUDGET, rng)
    calm = stream(scenario, rng, np.full((TOPICS, WATCHED_WEEKS * HOURS_A_WEEK), SHARE))
    surges = {}
    for share in SURGE_SHARES:
        shares = np.full((TOPICS * SURGES, LEAD + LASTS), SHARE)
        shares[:, LEAD:] = share
        surges[share] = stream(scenario, rng, shares)
    return Seed(normal, promised, calm, surges)


# --- detectors ---------------------------------------------------------------------------------


def ours(seed: Seed, seen: tuple[IntArray, IntArray]) -> FloatArray:
    """(3, paths, hours) of the service's evidence; path p belongs to topic p modulo TOPICS."""
    stories, negative = seen
    hours = FIRST_HOUR + np.arange(stories.shape[1])[None]
    found = np.zeros((3, *stories.shape))
    for row, topic in enumerate(NAMES):
        part = slice(row, None, TOPICS)
        expected = seed.normal.expected(topic)
        found[:, part] = expected.evidence(hours, stories[part], negative[part])
    return found


def binomial(normal: Normal, stories: IntArray, negative: IntArray) -> FloatArray:
    """−log P of the hour's negative stories, without overdispersion."""
    flat = Expected(
        np.full(HOURS_A_WEEK, normal.pooled.share),
        np.ones(HOURS_A_WEEK),
        MIN_OVERDISPERSION,
        1000.0,
    )
    found = flat.evidence(np.arange(stories.shape[1])[None], stories, negative)
    return np.asarray(found[HOUR])


def ears_c2(_: Normal, stories: IntArray, negative: IntArray) -> FloatArray:
    """(x − mean) / deviation of the seven days that ended two days before; 0 before those."""
    window, gap = HOURS_A_WEEK, 48
    padded = np.pad(negative.astype(np.float64), ((0, 0), (1, 0)))
    sums, squares = np.cumsum(padded, axis=1), np.cumsum(padded**2, axis=1)
    score = np.zeros(stories.shape)
    at = np.arange(window + gap, stories.shape[1])
    low, high = at - window - gap, at - gap
    mean = (sums[:, high] - sums[:, low]) / window
    variance = (squares[:, high] - squares[:, low]) / window - mean**2
    score[:, at] = (negative[:, at] - mean) / np.sqrt(np.maximum(variance, 0.25))
    return score


def fixed(_: Normal, stories: IntArray, negative: IntArray) -> FloatArray:
    """Negative share of the last six hours with at least six stories, in percent."""
    n, k = (np.cumsum(np.pad(values, ((0, 0), (6, 0))), axis=1) for values in (stories, negative))
    n, k = n[:, 6:] - n[:, :-6], k[:, 6:] - k[:, :-6]
    return np.asarray(np.where(n >= 6, 100 * k / np.maximum(n, 1), 0.0))


RIVALS: dict[str, Score] = {"binomial test": binomial, "EARS C2": ears_c2, "fixed": fixed}


def paths(evidence: list[FloatArray]) -> SingleArray:
    """(hours, 3, paths of all seeds)."""
    joined = np.concatenate(evidence, axis=1).astype(np.float32)
    return np.ascontiguousarray(joined.transpose(2, 0, 1))


def as_rival(score: Score, seeds: list[Seed], seen: list[Any], base: SingleArray) -> SingleArray:
    """The same alerts' life with another score in the place of the hour's."""
    scores = [score(seed.normal, *counts) for seed, counts in zip(seeds, seen, strict=True)]
    found = base.copy()
    found[:, HOUR] = np.concatenate(scores).astype(np.float32).T
    return found


# --- figures -----------------------------------------------------------------------------------


def false_alarms(evidence: SingleArray, limits: Any) -> IntArray:
    """(sets, paths) of alerts."""
    return rise_counts(evidence, limits, burn_in=0)[1]


def first_alerts(evidence: SingleArray, limits: Any) -> tuple[FloatArray, int]:
    """Hours from the start of each surge to the end of the hour that raised an alert (NaN: none
    while it lasted), and how many surges are left out since an alert was up already."""
    width = evidence.shape[2]
    delay = np.full(width, np.nan)
    was_up = np.zeros(width, dtype=np.bool_)
    # An alert of the last calm day may still be up; its surge says nothing of the delay.
    for hour, (_, began) in enumerate(walk_paths(evidence, limits)):
        if LEAD - 24 <= hour < LEAD:
            was_up |= began[0]
        elif hour >= LEAD:
            delay = np.where(began[0] & np.isnan(delay), hour - LEAD + 1, delay)
    return delay[~was_up], int(was_up.sum())


def same_rate(evidence: SingleArray, wanted: float) -> float:
    """The threshold of a rival at which it raises `wanted` alerts, the least that are not more."""
    low, high = 0.0, float(evidence[:, HOUR].max()) + 1
    for _ in range(3):
        tried = np.linspace(low, high, 12)
        limits = np.stack([np.full(12, OFF), tried, np.full(12, OFF)], axis=1)
        counts = false_alarms(evidence, limits).sum(axis=1)
        # At low thresholds alerts never end, so that there are few: look from the top.
        position = max(1, 12 - int((counts[::-1] <= wanted).cumprod().sum()))
        position = min(position, 11)
        low, high = float(tried[position - 1]), float(tried[position])
    return high


def measure(scenario: Scenario, seeds: int, learned_hours: int) -> dict[str, Any]:
    """All figures of one scenario."""
    known = [seed_of(scenario, number, learned_hours) for number in range(seeds)]
    calm = paths([ours(seed, seed.calm) for seed in known])
    surging = {
        share: paths([ours(seed, seed.surges[share]) for seed in known]) for share in SURGE_SHARES
    }
    own = np.array([seed.promise.thresholds for seed in known])
    limits = np.repeat(own, TOPICS, axis=0).T[None]
    per_seed = false_alarms(calm, limits)[0].reshape(seeds, TOPICS).sum(axis=1) / WATCHED_WEEKS
    low, high = bootstrap_interval(per_seed, np.random.default_rng(0))
    wide = np.repeat(own, TOPICS * SURGES, axis=0).T[None]
    realised = float(per_seed.mean())
    result: dict[str, Any] = {
        "scenario": scenario.name,
        "promised": BUDGET,
        "realised": realised,
        "realised_ci": [low, high],
        "thresholds": own.mean(axis=0).tolist(),
        "aimed_at": float(np.mean([seed.promise.aimed_at for seed in known])),
        "detectors": {"ours": {f"{s:g}": delays(e, wide) for s, e in surging.items()}},
    }
    for name, score in RIVALS.items():
        rival = as_rival(score, known, [seed.calm for seed in known], calm)
        limit = same_rate(rival, realised * WATCHED_WEEKS * seeds)
        chosen = [[OFF, limit, OFF]]
        found = {
            f"{s:g}": delays(as_rival(score, known, [k.surges[s] for k in known], e), chosen)
            for s, e in surging.items()
        }
        rate = float(false_alarms(rival, chosen).sum()) / (WATCHED_WEEKS * seeds)
        result["detectors"][name] = {"threshold": limit, "realised": rate, **found}
    return result


def delays(evidence: SingleArray, limits: Any) -> dict[str, float]:
    """Share found while the surge lasts, and the mean delay of those in hours."""
    delay, left_out = first_alerts(evidence, limits)
    found = ~np.isnan(delay)
    return {
        "found": float(found.mean()),
        "mean_delay_hours": float(delay[found].mean()) if found.any() else float("nan"),
        "surges": len(delay),
        "left_out": left_out,
    }


def show(result: dict[str, Any]) -> None:
    """One scenario's table."""
    low, high = result["realised_ci"]
    print(
        f"\n{result['scenario']}: promised {result['promised']:g} a week, "
        f"realised {result['realised']:.2f} (95 % {low:.2f}–{high:.2f}), "
        f"thresholds {', '.join(f'{t:.2f}' for t in result['thresholds'])}"
    )
    rows = []
    for name, found in result["detectors"].items():
        figures = [
            f"{found[f'{share:g}'][key]:.{digits}f}"
            for share in SURGE_SHARES
            for key, digits in (("found", 3), ("mean_delay_hours", 1))
        ]
        rows.append([name, f"{found.get('realised', result['realised']):.2f}", *figures])
    header = ("detector", "a week", "20→40 found", "delay h", "20→60 found", "delay h")
    table(header, rows)


def bars(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The stated bars, on the first scenario."""
    to_40, to_60 = (result["detectors"]["ours"][f"{share:g}"] for share in SURGE_SHARES)
    return [
        verdict("realised ÷ promised", result["realised"] / BUDGET, 1.2, at_least=False),
        verdict("20→40 found", to_40["found"], 0.95),
        verdict("20→40 mean delay, floor", to_40["mean_delay_hours"], 12, at_least=False),
        verdict("20→40 mean delay, goal", to_40["mean_delay_hours"], 8, at_least=False),
        verdict("20→60 mean delay, floor", to_60["mean_delay_hours"], 4, at_least=False),
        verdict("20→60 mean delay, goal", to_60["mean_delay_hours"], 3, at_least=False),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", type=int, help="number of the one scenario, from 0")
    parser.add_argument(
        "--learned-hours", type=int, default=HISTORY_HOURS, help="less than eight weeks, to try"
    )
    parser.add_argument("--split", help="shares of the budget, to try others")
    asked = parser.parse_args()
    if asked.split:
        share, hour, count = map(float, asked.split.split(","))
        promise.SPLIT = (share, hour, count)
    chosen = SCENARIOS if asked.only is None else SCENARIOS[asked.only : asked.only + 1]
    results, held = [], []
    for scenario in chosen:
        results.append(measure(scenario, asked.seeds, asked.learned_hours))
        show(results[-1])
        if scenario == SCENARIOS[0]:
            held = bars(results[0])
        if asked.only is None:
            # After each: a run that is cut short leaves what it has.
            save("surges", {"seeds": asked.seeds, "bars": held, "results": results})


if __name__ == "__main__":
    main()
