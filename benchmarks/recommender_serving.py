"""How fast are recommendations with filters, rules and variety on, in shops of several sizes?

    python -m benchmarks.recommender_serving [--items 10000 100000] [--seconds 20]

A real server process (`trefoil recommender serve`, SQLite) with made-up items (recommender_shop.py)
whose vectors are put straight into the database, so nothing is encoded: unit vectors drawn around
those of their topics (cosine .5 to the centre), or anywhere with `--vectors random`, which no index
likes. 2,000 users with 1 to 50 events each, most of them on few items; a model trained on a small
shop whose neighbours are drawn for the large one: for each item as many as training keeps, of its
own topic (with `random` of any), the weights falling with the rank. Rules in force: a block, a
boost, a cap a brand and a pin. Every request names a user, filters by department and
price, asks for variety (diversity .3) and ten items with reasons; no answer is kept anywhere, so
users may come again.

The load comes from a process of its own: 1 caller, then 8, each with the next request when the
last is answered, then 200 a second at fixed times, timed from when each was due. CPU is that of
the server process alone, from /proc. Last, answers with a filter and without variety are held
against an exact ranking of the same shelf in this process: the recall of whatever index the
server ranks with.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.common import ROOT, save, table, verdict
from benchmarks.recommender_load import closed_loop, in_process, open_loop
from benchmarks.recommender_shop import TOPICS, MadeUp, make_items, write_items
from benchmarks.serving import free_port, resident_mb, wait_ready
from core.artifacts import Registry, read_manifest, write_artifact
from core.data.records import EventKind
from core.db.engine import session_factory
from core.db.migrations import migrated_engine, upgrade
from core.inference.encoder import EncoderConfig
from services.recommender.candidates import without_taken
from services.recommender.catalogue import NO_GROUP, Catalogue, Shelf
from services.recommender.collaborative import KEPT, Neighbours, Sequel
from services.recommender.diversity import best_first
from services.recommender.domain import DAY, item_text, text_digest
from services.recommender.event_store import EventStore, NewEvent
from services.recommender.filters import parse
from services.recommender.follow import Follower
from services.recommender.model import KIND, Embedding, load_model, save_model
from services.recommender.recommend import Request, may_stand, score_shelf
from services.recommender.rule_store import RuleStore
from services.recommender.rules import NO_RULES
from services.recommender.settings import Settings
from services.recommender.store import ItemStore
from services.recommender.tables import MIGRATIONS
from services.recommender.train import train

FOLDER: Final = ROOT / "var" / "bench" / "rec_serving"
SMALL: Final = 1_000
USERS: Final = 2_000
MOST_EVENTS: Final = 50
CALLERS: Final = (1, 8)
RATE: Final = 200.0
RECALL_REQUESTS: Final = 50
# Above this many items the bars are those of the approximate index.
LARGE: Final = 500_000
# In force on the home page alone, so that the others can be held against the bare ranking.
RULES: Final[list[dict[str, Any]]] = [
    {"scenarios": ["home"], "kind": "block", "filter": {"brand": "Aldan"}},
    {"scenarios": ["home"], "kind": "boost", "filter": {"tags": "sale"}, "factor": 1.5},
    {"scenarios": ["home"], "kind": "cap", "field": "brand", "most": 2},
    {
        "scenarios": ["home"],
        "kind": "pin",
        "filter": {"tags": "sale", "price": {"lte": 20}},
        "position": 3,
    },
]
_KINDS: Final[tuple[EventKind, ...]] = ("view", "view", "view", "click", "click", "purchase")
_BATCH: Final = 5_000


def main() -> None:
    """Measure each size and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each part")
    parser.add_argument("--vectors", choices=("topics", "random"), default="topics")
    asked = parser.parse_args()
    lines: list[dict[str, Any]] = []
    bars: list[dict[str, Any]] = []
    for count in asked.items:
        found = of_size(count, asked.seconds, asked.vectors == "topics")
        lines += found["lines"]
        bars += found["bars"]
    print()
    header = list(lines[0])
    table(header, [[line[key] for key in header] for line in lines])
    sizes = "_".join(str(count) for count in asked.items)
    usual = asked.items == parser.get_default("items") and asked.vectors == "topics"
    name = "recommender_serving" + ("" if usual else f"_{asked.vectors}_{sizes}")
    save(name, {"vectors": asked.vectors, "lines": lines, "bars": bars})


# --- the shop ------------------------------------------------------------------------------------


def of_size(count: int, seconds: float, by_topic: bool) -> dict[str, Any]:
    """One shop, its server, and all that is measured on it."""
    place = FOLDER / str(count)
    shutil.rmtree(place, ignore_errors=True)
    settings = Settings(var_dir=place, rate_limit="", database_url=f"sqlite:///{place / 'shop.db'}")
    rng = np.random.default_rng(0)
    made = make_items(count, rng)
    if not by_topic:
        made = MadeUp(made.items, np.zeros_like(made.topic))
    began = time.perf_counter()
    model = enlarged(small_model(), made, place / "model", rng)
    Registry(settings.models_dir, KIND).promote(model)
    fill(settings, model, made, rng)
    print(f"{count} items, made in {time.perf_counter() - began:.0f} s", flush=True)
    with served(settings) as (port, pid):
        lines = [loaded(count, port, pid, callers, seconds) for callers in CALLERS]
        lines.append(loaded(count, port, pid, max(CALLERS), seconds, rate=RATE))
        requests = [body(number, "bare", 0.0) for number in range(RECALL_REQUESTS)]
        answers = in_process(closed_loop, port, requests, 1, 600.0)
    lists = [answer.item_ids for answer in sorted(answers, key=lambda one: one.number)]
    share = recall(settings, model, lists)
    return {"lines": lines, "bars": bars_of(count, lines, share)}


def small_model() -> Path:
    """A model of a shop of SMALL items, trained once."""
    folder = FOLDER / "small"
    if not (folder / "model").is_dir():
        rng = np.random.default_rng(0)
        made = make_items(SMALL, rng)
        items = write_items_and_events(folder, made, rng)
        train(items, folder / "events.csv", folder / "model", threads=1)
    return folder / "model"


def write_items_and_events(folder: Path, made: MadeUp, rng: np.random.Generator) -> Path:
    """Files of a shop whose users keep to two topics each."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["user_id,item_id,event,timestamp"]
    for user in range(300):
        near = np.flatnonzero(np.isin(made.topic, rng.choice(len(TOPICS), 2, replace=False)))
        for moment in np.sort(rng.uniform(0, 30 * DAY, 15)):
            rows.append(f"u{user},i{rng.choice(near)},click,{1.78e9 + moment:.0f}")
    (folder / "events.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return write_items(folder / "items.csv", made.items)


def enlarged(small: Path, made: MadeUp, folder: Path, rng: np.random.Generator) -> Path:
    """The small shop's model with neighbours, drawn at random, for every item of the large one."""
    ids = [item.item_id for item in made.items]
    kept = min(KEPT, len(ids))
    members = [np.flatnonzero(made.topic == topic) for topic in range(len(TOPICS))]

    def drawn() -> tuple[Any, Any]:
        others = np.empty((len(ids), kept), dtype=np.int32)
        for own in members:
            others[own] = own[rng.integers(len(own) or 1, size=(len(own), kept))]
        weights = rng.random(others.shape, dtype=np.float32) / np.arange(1, kept + 1)
        return others, weights.astype(np.float32)

    model = load_model(small)
    neighbours = Neighbours(ids, *drawn(), Sequel(*drawn(), fade=0.8))
    with write_artifact(folder) as draft:
        shutil.copytree(small / "encoder", draft.path / "encoder")
        parts = save_model(draft.path, replace(model, neighbours=neighbours, seen=ids))
        told = read_manifest(small)
        draft.manifest = replace(told, files={}, seal="", settings={**told.settings, **parts})
    return folder


def fill(settings: Settings, model: Path, made: MadeUp, rng: np.random.Generator) -> None:
    """Items with vectors, events and rules, through the service's own stores."""
    encoder_id = EncoderConfig.load(model / "encoder").encoder_id
    width = load_model(model).tower.basis.shape[0]
    now = datetime.now(UTC).timestamp()
    centres = unit(rng.normal(size=(len(TOPICS), width))) * (len(np.unique(made.topic)) > 1)
    upgrade(settings.database_url, MIGRATIONS)
    with migrated_engine(settings.database_url, MIGRATIONS, command="bench") as engine:
        stores = (session_factory(engine), session_factory(engine, read_only=True))
        items, events = ItemStore(*stores), EventStore(*stores)
        for start in range(0, len(made.items), _BATCH):
            batch = made.items[start : start + _BATCH]
            rows = unit(rng.normal(size=(len(batch), width)))
            rows = unit(rows * np.sqrt(3.0) + centres[made.topic[start : start + _BATCH]])
            vectors = {
                text_digest(item_text(item)): Embedding(row, 0.0)
                for item, row in zip(batch, rows.astype(np.float16), strict=True)
            }
            items.upsert(batch, now, encoder_id, vectors)
        for batch_of_events in in_batches(happened(made, now, rng)):
            events.add(batch_of_events, now)
        while events.fold():
            pass
        RuleStore(*stores).put(RULES, "bench", "", now)


def unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lengths: npt.NDArray[np.float64] = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / lengths


def happened(made: MadeUp, now: float, rng: np.random.Generator) -> Iterator[NewEvent]:
    """1 to MOST_EVENTS events of each user, in three topics, most of them on the first items."""
    topics = np.unique(made.topic)
    for user in range(USERS):
        own = np.flatnonzero(np.isin(made.topic, rng.choice(topics, min(3, len(topics)), False)))
        for number in range(int(rng.integers(1, MOST_EVENTS + 1))):
            item = own[int(len(own) * rng.random() ** 3)]
            kind = _KINDS[rng.integers(len(_KINDS))]
            at = now - float(rng.uniform(0, 60 * DAY))
            yield NewEvent(f"e{user}-{number}", f"u{user}", None, f"i{item}", kind, None, at)


def in_batches(found: Iterator[NewEvent]) -> Iterator[list[NewEvent]]:
    every = list(found)
    for start in range(0, len(every), _BATCH):
        yield every[start : start + _BATCH]


# --- the server and its load ---------------------------------------------------------------------


@contextmanager
def served(settings: Settings) -> Iterator[tuple[int, int]]:
    """(port, process id) of a server that is ready."""
    port = free_port()
    environment = {
        **os.environ,
        "TREFOIL_VAR": str(settings.var_dir),
        "TREFOIL_RECOMMENDER_DATABASE_URL": settings.database_url,
        "TREFOIL_RECOMMENDER_RATE_LIMIT": "",
    }
    command = [sys.executable, "-m", "services.cli", "recommender", "serve", "--port", str(port)]
    log = settings.var_dir / "server.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        began = time.perf_counter()
        wait_ready(process, port, began)
        print(f"ready after {time.perf_counter() - began:.1f} s, server {process.pid}", flush=True)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def body(number: int, scenario: str = "home", variety: float = 0.3) -> bytes:
    """The request of this number: another user, departments and price each time."""
    left_out = number % 4
    content = {
        "user_id": f"u{number * 7 % USERS}",
        "scenario": scenario,
        "n": 10,
        "filter": {
            "category": [f"department {d}" for d in range(4) if d != left_out],
            "price": {"lte": 20 + number % 60},
        },
        "diversity": variety,
    }
    return json.dumps(content).encode()


def loaded(
    count: int, port: int, pid: int, callers: int, seconds: float, rate: float | None = None
) -> dict[str, Any]:
    """One line of the table."""
    in_process(closed_loop, port, [body(n) for n in range(200)], callers, 5.0)  # warm
    before = cpu_seconds(pid)
    if rate is None:
        bodies = [body(number) for number in range(int(1_000 * seconds))]
        answers = in_process(closed_loop, port, bodies, callers, seconds)
    else:
        bodies = [body(number) for number in range(int(rate * seconds))]
        answers = in_process(open_loop, port, bodies, callers, rate)
    spent = cpu_seconds(pid) - before
    p50, p95, p99 = np.percentile([a.milliseconds for a in answers], [50, 95, 99])
    return {
        "items": count,
        "load": f"{callers} callers" if rate is None else f"{rate:.0f} a second",
        "requests": len(answers),
        "a second": round(len(answers) / max(a.ended for a in answers), 1),
        "p50 ms": round(float(p50), 2),
        "p95 ms": round(float(p95), 2),
        "p99 ms": round(float(p99), 2),
        "CPU ms": round(1e3 * spent / len(answers), 2),
        "resident MB": round(resident_mb(pid)),
        "items an answer": round(float(np.mean([len(a.item_ids) for a in answers])), 2),
    }


def cpu_seconds(pid: int) -> float:
    """User and system time of the process so far."""
    parts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


# --- what it is held against ---------------------------------------------------------------------


def recall(settings: Settings, model: Path, lists: Sequence[Sequence[str]]) -> float:
    """Share of the exact answers that the server's hold; the rules' items aside."""
    trained = load_model(model)
    encoder_id = EncoderConfig.load(model / "encoder").encoder_id
    now = datetime.now(UTC).timestamp()
    shares = []
    with migrated_engine(settings.database_url, MIGRATIONS, command="bench") as engine:
        readers = session_factory(engine, read_only=True)
        catalogue = Catalogue(trained.tower, trained.model_rows)
        shelf = Follower(readers, catalogue, encoder_id, trained.prepared).shelf()
        events = EventStore(readers, readers)
        for number, given in enumerate(lists):
            request = json.loads(body(number))
            history = events.history(request["user_id"], None)
            wanted = Request(filter=parse(request["filter"]))
            mask = without_taken(may_stand(shelf, wanted, NO_RULES), shelf, history)
            scores = score_shelf(trained, shelf, history, now).scores
            exact = first_of_groups(shelf, best_first(scores, mask).tolist(), len(given))
            shares.append(len(exact & set(given)) / max(len(exact), 1))
    return float(np.mean(shares))


def first_of_groups(shelf: Shelf, rows: Sequence[int], count: int) -> set[str]:
    """The first `count` ids, one of each group."""
    found: dict[int, str] = {}
    for row in rows:
        group = int(shelf.group[row])
        # An item of no group is a group of its own, numbered below all codes.
        found.setdefault(group if group != NO_GROUP else -2 - row, shelf.ids[row])
        if len(found) == count:
            break
    return set(found.values())


def bars_of(count: int, lines: Sequence[dict[str, Any]], share: float) -> list[dict[str, Any]]:
    """The issue's, for this size."""
    bars = [verdict(f"{count} items, recall of the exact ranking", share, 0.95)]
    for line in lines[: len(CALLERS)]:
        name = f"{count} items, {line['load']}"
        if count <= LARGE:
            bars.append(verdict(f"{name}, p50 ms (goal 5)", line["p50 ms"], 8, at_least=False))
            bars.append(verdict(f"{name}, p95 ms (goal 15)", line["p95 ms"], 25, at_least=False))
        else:
            bars.append(verdict(f"{name}, p95 ms", line["p95 ms"], 60, at_least=False))
    if count <= LARGE:
        most = max(line["a second"] for line in lines)
        bars.append(verdict(f"{count} items, requests a second (goal 350)", most, 200))
    return bars


if __name__ == "__main__":
    main()
