"""Can `p_interest` be believed, on impression logs of a shop where the truth is known?

    python -m benchmarks.recommender_interest [--seeds 3] [--users 2000]

A simulated shop (recommender_shop.py): users have tastes over hidden topics, sessions show ten
items, half of them by a rough guess at the taste and half at random, the best guess first. An item
is looked at with a probability that falls with its position, and clicked on with a probability
that is known from taste and quality; a fifth of the clicks are bought. A model is trained on the
first 85 % of the sessions, as `trefoil recommender train` does. In the later ones each session is
ranked through `recommend()` by what was known as it began, and the `p_interest` of each item that
the user saw for the first time is held against the click.

Brier skill is 1 - Brier / Brier of the later share of clicks as a constant for all; ECE has 15 bins
of equal mass. Beside it: for all the share of clicks among first sights in the training log; the
same scores through the logistic curve without calibration; and the simulation's own probability,
which knows the position too: no forecast can do better, and its ECE is what so many pairs show by
chance.
Intervals: users drawn anew 300 times.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from benchmarks.common import save, table
from benchmarks.quality.common import MODELS, THREADS, Bar
from benchmarks.recommender_shop import TOPICS, MadeUp, make_items, write_items
from core.artifacts import read_manifest
from core.data.readers import read_events, read_items
from core.data.records import EventKind
from core.evaluation.calibration import binary_ece
from core.evaluation.intervals import bootstrap_statistic
from services.recommender.catalogue import Shelf
from services.recommender.domain import DAY, item_text, text_digest
from services.recommender.interests import Interaction
from services.recommender.learning.log import EventLog, read_log
from services.recommender.learning.shop import Shop, open_shop, shelf_at
from services.recommender.model import Model, load_model
from services.recommender.recommend import Request, recommend
from services.recommender.retrieval import Retriever
from services.recommender.train import train

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Statistic = Callable[[FloatArray, FloatArray], float]

ITEMS: Final = 800
SESSIONS_A_USER: Final = 11
SHOWN: Final = 10
DAYS: Final = 60
START: Final = 1_780_000_000.0
TRAINED: Final = 0.85
RESAMPLES: Final = 300
# Log odds of a click on an item that was looked at: for no taste, and what full taste adds.
NO_TASTE, FULL_TASTE = -3.5, 4.5
SKILL, ECE = Bar(0.0), Bar(0.03, 0.01, higher=False)
ROLES: Final = ("as served", "share of clicks", "not calibrated", "the truth")


@dataclass(frozen=True)
class Session:
    """What one user was shown, and did. `truth` (SHOWN,) is the chance of each click."""

    user: int
    at: float
    shown: IntArray
    clicked: npt.NDArray[np.bool_]
    bought: npt.NDArray[np.bool_]
    truth: FloatArray


@dataclass
class Pairs:
    """First sights of the later sessions: user, click, and what each role says."""

    user: list[int] = field(default_factory=list)
    clicked: list[bool] = field(default_factory=list)
    said: dict[str, list[float]] = field(default_factory=lambda: {role: [] for role in ROLES})


def main() -> None:
    """Simulate, train and judge for each seed, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--users", type=int, default=2_000)
    asked = parser.parse_args()
    entries: list[dict[str, Any]] = []
    for seed in range(asked.seeds):
        entries += of_seed(seed, asked.users)
    print()
    header = ("seed", "role", "pairs", "said", "clicked", "Brier skill", "95 %", "ECE", "95 %")
    table(header, [cells(entry) for entry in entries])
    ours = [entry for entry in entries if entry["role"] == ROLES[0]]
    bars = [
        bar("Brier skill, worst seed, low end", min(e["skill_ci"][0] for e in ours), SKILL),
        bar("ECE, worst seed", max(e["ece"] for e in ours), ECE),
        bar("ECE, mean of seeds", float(np.mean([e["ece"] for e in ours])), ECE),
    ]
    save("recommender_interest", {"users": asked.users, "entries": entries, "bars": bars})


def of_seed(seed: int, users: int) -> list[dict[str, Any]]:
    """One shop from its first session to the figures."""
    rng = np.random.default_rng(seed)
    made = make_items(ITEMS, rng)
    sessions = simulate(made, users, rng)
    cut = round(TRAINED * len(sessions))
    folder = MODELS / f"rec_interest_{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    items = write_items(folder / "items.csv", made.items)
    write_events(folder / "known.csv", sessions[:cut])
    write_events(folder / "all.csv", sessions)
    model = folder / "model"
    train(items, folder / "known.csv", model, seed=seed, threads=THREADS)
    pairs = served(model, folder, sessions, cut)
    own = read_manifest(model).metrics.get("p_interest")
    print(f"seed {seed}: {len(pairs.user)} pairs; the manifest's own: {own}", flush=True)
    return [judged(seed, role, pairs) for role in ROLES]


def simulate(made: MadeUp, users: int, rng: np.random.Generator) -> list[Session]:
    """All sessions in order of time."""
    taste = rng.dirichlet(np.full(len(TOPICS), 0.2), size=users)
    quality = rng.normal(0.0, 0.6, len(made.items))
    eager = rng.gamma(2.0, 0.5, size=users)
    count = users * SESSIONS_A_USER
    who = rng.choice(users, size=count, p=eager / eager.sum())
    when = np.sort(rng.uniform(0.0, DAYS * DAY, size=count)) + START
    examined = 1.0 / np.sqrt(np.arange(1, SHOWN + 1))
    sessions = []
    for user, at in zip(who.tolist(), when.tolist(), strict=True):
        affinity = taste[user][made.topic]
        guess = affinity + rng.normal(0.0, 0.5, len(affinity))
        best = np.argsort(-guess)[: SHOWN // 2]
        others = rng.choice(np.delete(np.arange(len(guess)), best), SHOWN - len(best), False)
        shown = np.concatenate([best, others])
        shown = shown[np.argsort(-guess[shown])]
        odds = NO_TASTE + FULL_TASTE * affinity[shown] + quality[shown]
        truth = examined / (1.0 + np.exp(-odds))
        clicked = rng.random(SHOWN) < truth
        bought = clicked & (rng.random(SHOWN) < 0.2)
        sessions.append(Session(user, at, shown, clicked, bought, truth))
    return sessions


def events_of(session: Session) -> list[tuple[int, EventKind, float]]:
    """(item, kind, moment) of everything in a session, in order of time."""
    found: list[tuple[int, EventKind, float]] = []
    marks = zip(session.shown.tolist(), session.clicked, session.bought, strict=True)
    for place, (item, clicked, bought) in enumerate(marks):
        found.append((item, "impression", session.at))
        if clicked:
            found.append((item, "click", session.at + 5.0 * (place + 1)))
        if bought:
            found.append((item, "purchase", session.at + 120.0 + place))
    return sorted(found, key=lambda event: event[2])


def write_events(path: Path, sessions: Sequence[Session]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "event", "timestamp"])
        for session in sessions:
            for item, kind, moment in events_of(session):
                writer.writerow([f"u{session.user}", f"i{item}", kind, moment])


def served(model: Path, folder: Path, sessions: Sequence[Session], cut: int) -> Pairs:
    """What the later sessions were told; the shelf is a day old at most, the history is fresh."""
    trained = load_model(model)
    catalogue = read_items(folder / "items.csv")
    embeddings = [trained.prepared[text_digest(item_text(item))] for item in catalogue]
    shop = open_shop(catalogue, embeddings)
    log = read_log(catalogue, read_events(folder / "all.csv")).log
    share = share_before(sessions[:cut])
    retriever = Retriever(trained, THREADS)
    history: dict[int, list[Interaction]] = {}
    pairs, day = Pairs(), -1
    shelf: Shelf | None = None
    for number, session in enumerate(sessions):
        own = history.setdefault(session.user, [])
        if number >= cut:
            if int(session.at // DAY) != day:
                day, shelf = int(session.at // DAY), shelf_of(shop, trained, log, session.at)
            ask(pairs, trained, retriever, cast(Shelf, shelf), own, session, share)
        own += [Interaction(f"i{item}", kind, at) for item, kind, at in events_of(session)]
    return pairs


def share_before(sessions: Sequence[Session]) -> float:
    """Of what users saw for the first time, the share that they clicked on."""
    met: set[tuple[int, int]] = set()
    clicks: list[bool] = []
    for session in sessions:
        for item, clicked in zip(session.shown.tolist(), session.clicked.tolist(), strict=True):
            if (session.user, item) not in met:
                met.add((session.user, item))
                clicks.append(clicked)
    return float(np.mean(clicks))


def shelf_of(shop: Shop, trained: Model, log: EventLog, now: float) -> Shelf:
    return shelf_at(shop, trained.tower, trained.model_rows, log.before(now), now)


def ask(
    pairs: Pairs,
    trained: Model,
    retriever: Retriever,
    shelf: Shelf,
    own: Sequence[Interaction],
    session: Session,
    share: float,
) -> None:
    """Add the session's first sights."""
    ids = [f"i{item}" for item in session.shown.tolist()]
    request = Request(n=SHOWN, item_ids=ids, explain=False)
    found = recommend(trained, shelf, own, request, session.at, retriever=retriever)
    answer = {one.item_id: one for one in found}
    seen = {event.item_id for event in own}
    for place, item_id in enumerate(ids):
        if item_id not in seen:
            pairs.user.append(session.user)
            pairs.clicked.append(bool(session.clicked[place]))
            raw = 1.0 / (1.0 + np.exp(-answer[item_id].score))
            told = (answer[item_id].p_interest, share, raw, session.truth[place])
            for role, value in zip(ROLES, told, strict=True):
                pairs.said[role].append(float(value))


def judged(seed: int, role: str, pairs: Pairs) -> dict[str, Any]:
    """Figures of one role, with intervals over users."""
    said, clicked = np.array(pairs.said[role]), np.array(pairs.clicked, dtype=np.float64)
    order = np.argsort(pairs.user, kind="stable")
    users = np.array(pairs.user)[order]
    of_user = np.split(order, np.flatnonzero(np.diff(users)) + 1)

    def interval(statistic: Statistic) -> tuple[float, float]:
        def drawn(places: IntArray) -> float:
            rows = np.concatenate([of_user[place] for place in places])
            return statistic(said[rows], clicked[rows])

        rng = np.random.default_rng(seed)
        return bootstrap_statistic(len(of_user), drawn, rng, resamples=RESAMPLES)

    entry: dict[str, Any] = {"seed": seed, "role": role, "pairs": len(said)}
    entry |= {"said": float(said.mean()), "clicked": float(clicked.mean())}
    for name, statistic in (("skill", skill), ("ece", error)):
        entry |= {name: statistic(said, clicked), f"{name}_ci": interval(statistic)}
    return entry


def skill(said: FloatArray, clicked: FloatArray) -> float:
    base = clicked.mean()
    return 1.0 - float(np.mean((said - clicked) ** 2) / (base * (1.0 - base)))


def error(said: FloatArray, clicked: FloatArray) -> float:
    return binary_ece(said, clicked)


def cells(entry: dict[str, Any]) -> list[str]:
    found = [str(entry["seed"]), entry["role"], str(entry["pairs"])]
    found += [f"{entry[name]:.4f}" for name in ("said", "clicked")]
    for name in ("skill", "ece"):
        found += [f"{entry[name]:.4f}", "{:.4f}–{:.4f}".format(*entry[f"{name}_ci"])]
    return found


def bar(name: str, value: float, wanted: Bar) -> dict[str, Any]:
    verdict = wanted.verdict(value)
    print(f"{name}: {value:.4f}  {verdict}")
    return {
        "name": name,
        "value": value,
        "floor": wanted.floor,
        "goal": wanted.goal,
        "verdict": verdict,
    }


if __name__ == "__main__":
    main()
