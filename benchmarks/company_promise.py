"""Does one promise still hold when companies are watched beside topics, and what does that cost?

Simulated story by story: 10 topics of 12 stories an hour, 20 % negative, overdispersion .02 as in
benchmarks/surges.py. Half of the stories name a company out of 40, drawn with chances ∝ 1/rank (the
first has about 14 stories an hour, the last a third of one), and what happens to a company leans
all its stories of an hour one way (overdispersion .05 on top). So a story counts twice, in the
series of its topic and of its company, and series lean together. Each seed learns from 8 weeks,
with one false alarm a week accepted over all that is watched, and is then watched for 26 calm
weeks. The same stories without their companies stand beside it. A surge turns the tenth company
from 20 % to 60 % negative for two days.

    python -m benchmarks.company_promise [--seeds 6] [--companies 40]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.common import save, table, verdict
from benchmarks.surges import BUDGET, FIRST_HOUR, NAMES, SHARE, beta
from core.evaluation.intervals import bootstrap_interval
from services.finance_sentiment.alerts import Baseline, Terms, advance
from services.finance_sentiment.baseline import HISTORY_HOURS, learnable
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.promise import learn
from services.finance_sentiment.series import company_of, company_series

WATCHED_WEEKS = 26
VOLUME, BY_TOPIC, BY_COMPANY, NAMED = 12.0, 0.02, 0.05, 0.5
SURGING, SURGE_SHARE, LASTS = 9, 0.6, 48


@dataclass(frozen=True)
class Stream:
    """Counts of topics and of companies over the same stories."""

    topics: HourlyCounts
    both: HourlyCounts


def stream(hours: int, companies: int, surge: bool, rng: np.random.Generator) -> Stream:
    """So many hours; with a surge of one company in the last `LASTS` of them."""
    first = FIRST_HOUR
    stories = rng.poisson(VOLUME, size=(len(NAMES), hours))
    topic_share = beta(np.full(stories.shape, SHARE), BY_TOPIC, rng)
    lean = beta(np.full((companies, hours), SHARE), BY_COMPANY, rng)
    chance = 1 / np.arange(1, companies + 1)
    # One row a story: its topic, hour and company (-1: names none).
    topic = np.repeat(np.repeat(np.arange(len(NAMES)), hours), stories.ravel())
    hour = np.repeat(np.tile(np.arange(hours), len(NAMES)), stories.ravel())
    company = rng.choice(companies, size=len(hour), p=chance / chance.sum())
    company[rng.random(len(hour)) >= NAMED] = -1
    odds = topic_share[topic, hour] / (1 - topic_share[topic, hour])
    own = lean[company, hour] / (1 - lean[company, hour]) * (1 - SHARE) / SHARE
    odds = odds * np.where(company >= 0, own, 1.0)
    share = odds / (1 + odds)
    if surge:
        bad = (company == SURGING) & (hour >= hours - LASTS)
        share = np.where(bad, SURGE_SHARE, share)
    negative = rng.random(len(hour)) < share
    topics = np.zeros((2, len(NAMES), hours), np.int64)
    np.add.at(topics[0], (topic, hour), 1)
    np.add.at(topics[1], (topic, hour), negative)
    named = company >= 0
    of = np.zeros((2, companies, hours), np.int64)
    np.add.at(of[0], (company[named], hour[named]), 1)
    np.add.at(of[1], (company[named], hour[named]), negative[named])
    keys = tuple(company_series(f"company {n:02d}") for n in range(companies))
    both = np.concatenate([topics, of], axis=1)
    return Stream(
        HourlyCounts(first, NAMES, topics[0], topics[1]),
        HourlyCounts(first, NAMES + keys, both[0], both[1]),
    )


def watched(counts: HourlyCounts, seed: int) -> tuple[list[Any], float, float]:
    """(alerts, seconds that the walk took, the share's threshold). What was learned on the first
    eight weeks holds to the end, as in benchmarks/surges.py."""
    started = time.perf_counter()
    learned = counts.first_hour + HISTORY_HOURS
    history = learnable(counts.between(counts.first_hour, learned))
    normal, promise = learn(history, BUDGET, np.random.default_rng(seed))
    took = time.perf_counter() - started
    baseline = Baseline(learned, HISTORY_HOURS, promise, normal)
    # Nothing is learned again before the end.
    terms = Terms(BUDGET, settle_hours=counts.end_hour)
    walked = advance(baseline, counts, counts.end_hour, terms)
    return list(walked.alerts), took, baseline.threshold


def one_seed(seed: int, companies: int) -> dict[str, Any]:
    """Alerts a week in calm weeks, of topics alone and with companies, and the surge's delay."""
    rng = np.random.default_rng(seed)
    hours = HISTORY_HOURS + WATCHED_WEEKS * HOURS_A_WEEK
    calm = stream(hours, companies, False, rng)
    found: dict[str, Any] = {}
    for name, counts in (("topics alone", calm.topics), ("with companies", calm.both)):
        alerts, took, threshold = watched(counts, seed)
        since = FIRST_HOUR + HISTORY_HOURS
        new = [a for a in alerts if a.started_at.timestamp() / 3600 > since]
        found[name] = {
            "a week": len(new) / WATCHED_WEEKS,
            "of companies": sum(company_of(a.topic) is not None for a in new) / WATCHED_WEEKS,
            "seconds": took,
            "threshold": threshold,
        }
    turned = stream(HISTORY_HOURS + LASTS, companies, True, rng).both
    alerts, _, _ = watched(turned, seed)
    key = company_series(f"company {SURGING:02d}")
    start = turned.end_hour - LASTS
    delays = [a.started_at.timestamp() / 3600 - start for a in alerts if a.topic == key]
    found["delay"] = min((d for d in delays if d > 0), default=None)
    found["series"] = len(learnable(calm.both).topics)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--companies", type=int, default=40)
    asked = parser.parse_args()
    seeds = []
    for seed in range(asked.seeds):
        seeds.append(one_seed(seed, asked.companies))
        print(f"seed {seed}: {seeds[-1]}", flush=True)
    rows, realised = [], {}
    for name in ("topics alone", "with companies"):
        rates = np.array([seed[name]["a week"] for seed in seeds])
        low, high = bootstrap_interval(rates, np.random.default_rng(0))
        of = np.mean([seed[name]["of companies"] for seed in seeds])
        threshold = np.mean([seed[name]["threshold"] for seed in seeds])
        seconds = np.mean([seed[name]["seconds"] for seed in seeds])
        realised[name] = [float(rates.mean()), float(low), float(high)]
        rows.append(
            (name, f"{rates.mean():.2f} ({low:.2f}–{high:.2f})", f"{of:.2f}", f"{threshold:.1f}",
             f"{seconds:.0f}")
        )  # fmt: skip
    table(("watched", "false alarms a week", "of companies", "threshold", "s to learn"), rows)
    delays = [seed["delay"] for seed in seeds if seed["delay"] is not None]
    mean = f"{np.mean(delays):.1f} h" if delays else "never"
    print(f"company's surge to 60 %: found in {len(delays)} of {len(seeds)}, mean delay {mean}")
    bars = [verdict("realised ÷ promised", realised["with companies"][0] / BUDGET, 1.2,
                    at_least=False)]  # fmt: skip
    save("company_promise", {"companies": asked.companies, "bars": bars, "realised": realised,
                             "seeds": seeds})  # fmt: skip


if __name__ == "__main__":
    main()
