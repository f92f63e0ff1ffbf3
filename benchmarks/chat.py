"""How long does a whole turn of the support bot take over HTTP, and how many a second does it bear?

Run: python -m benchmarks.chat. The real server in a process of its own, SQLite as it is by default:
50 intents of BANKING77 and 1,000 passages of FeedbackQA as articles. The load comes from a third
process over kept connections, a text never twice: 50 requests a second at fixed times, whatever the
answers take (an answer is timed from when its request was due), then as many as 16 callers get
through. Turns are counted by the action they got. Last, 20 swaps of the model under load.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import ROOT, public_data, save, table, verdict
from benchmarks.load import Answer, closed_loop, open_loop
from benchmarks.serving import free_port, resident_mb, wait_ready
from core.artifacts import MANIFEST, Registry, read_manifest, write_artifact
from core.db.engine import session_factory
from core.db.migrations import migrated_engine
from core.inference.export import export_base_encoder
from core.progress import Progress
from services.customer_service.answers_reading import parse_intent
from services.customer_service.articles import make_article
from services.customer_service.content import ContentStore
from services.customer_service.promise import restate
from services.customer_service.settings import Settings
from services.customer_service.tables import MIGRATIONS
from services.customer_service.train import train
from services.customer_service.understanding import KIND

FOLDER = ROOT / "var" / "bench" / "chat"
INTENTS, ARTICLES, RATE, CALLERS, SWAPS = 50, 1000, 50, 16, 20
MAX_P50 = {"fp32": {"answer": 15, "retrieve": 30}, "int8": {"answer": 8, "retrieve": 30}}
MAX_P99 = 60
MIN_RATE = {"fp32": 120, "int8": 200}
MAX_MEMORY_MB = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each part")
    asked = parser.parse_args()
    banking, feedback = public_data("banking77"), public_data("feedbackqa")
    if banking is None or feedback is None:
        return
    models = models_of(banking)
    questions = [text for text, _ in rows_of(banking / "test.csv", labels_of(banking))]
    known = {passage["passage_id"] for passage in passages(feedback)}
    searches = [
        row["query"]
        for row in read(feedback / "queries.csv")
        if row["relevant_passage_id"] in known
    ]
    lines, bars = [], []
    for precision, folder in models.items():
        found = measure(precision, folder, feedback, questions, searches, asked.seconds)
        lines += found["lines"]
        bars += found["bars"]
    header = ["precision", "load", "action", "turns", "p50 ms", "p95", "p99", "a second"]
    print()
    table(header, [[line[key] for key in header] for line in lines])
    save("chat", {"lines": lines, "bars": bars})


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def labels_of(banking: Path) -> set[str]:
    return set(sorted({row["intent"] for row in read(banking / "train.csv")})[:INTENTS])


def rows_of(path: Path, labels: set[str]) -> list[tuple[str, str]]:
    return [(row["text"], row["intent"]) for row in read(path) if row["intent"] in labels]


def models_of(banking: Path) -> dict[str, Path]:
    """One model in both precisions: the same heads over the int8 and over the fp32 encoder."""
    chosen = FOLDER / "model"
    if not chosen.is_dir():
        data = FOLDER / "train.csv"
        FOLDER.mkdir(parents=True, exist_ok=True)
        with data.open("w", encoding="utf-8", newline="") as file:
            rows = rows_of(banking / "train.csv", labels_of(banking))
            csv.writer(file).writerows([("text", "intent"), *rows])
        train(data, chosen, preset="fast", progress=Progress())
    precision = json.loads((chosen / "encoder" / "encoder.json").read_text())["precision"]
    if precision == "fp32":
        return {"fp32": chosen}
    full = FOLDER / "model_fp32"
    with write_artifact(full) as draft:
        shutil.copytree(chosen, draft.path, dirs_exist_ok=True)
        (draft.path / MANIFEST).unlink()
        shutil.rmtree(draft.path / "encoder")
        export_base_encoder(draft.path / "encoder")
        draft.manifest = replace(read_manifest(chosen), files={}, seal="")
    return {"fp32": full, "int8": chosen}


def passages(feedback: Path) -> list[dict[str, Any]]:
    """Those that are articles here."""
    lines = (feedback / "passages.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:ARTICLES]]


def fill(settings: Settings, labels: Sequence[str], feedback: Path) -> None:
    """Answers and articles, straight into the store."""
    now = datetime.now(UTC)
    intents = [
        parse_intent(name, {"answers": {"en": [f"This is what to do about {name}."]}}, {})
        for name in labels
    ]
    articles = []
    for number, passage in enumerate(passages(feedback)):
        title = passage["page_title"] or passage["section"] or "Untitled"
        body = f"## {passage['section']}\n\n{passage['text']}"
        articles.append(make_article(f"a{number}", title=title[:500], body=body))
    with migrated_engine(settings.database_url, MIGRATIONS, command="bench") as engine:
        store = ContentStore(session_factory(engine), session_factory(engine, read_only=True))
        store.put_answers(intents, (), now)
        store.put_articles(articles, now)


def measure(
    precision: str,
    model: Path,
    feedback: Path,
    questions: Sequence[str],
    searches: Sequence[str],
    seconds: float,
) -> dict[str, Any]:
    """All parts against one server."""
    place = FOLDER / precision
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    environment = {
        "TREFOIL_CUSTOMER_SERVICE_DATABASE_URL": f"sqlite:///{place / 'chat.db'}",
        "TREFOIL_CUSTOMER_SERVICE_MODELS_DIR": str(place / "models"),
    }
    os.environ.update(environment)
    settings = Settings()
    registry = Registry(settings.models_dir, KIND)
    registry.promote(model)
    fill(settings, sorted(labels_of_model(model)), feedback)
    port = free_port()
    with (place / "server.log").open("wb") as log:  # a pipe that nobody reads would stop it
        command = ["-m", "services.cli", "customer-service", "serve", "--port", str(port)]
        server = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=log)
    try:
        wait_ready(server, port, time.perf_counter())
        wait_searched(port, searches[-600:])
        found = parts(precision, port, questions, searches, seconds)
        found["bars"] += swaps(precision, port, server.pid, registry, model, questions, seconds)
        return found
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def labels_of_model(model: Path) -> set[str]:
    settings = read_manifest(model).settings["classifier"]
    return set(settings["heads"]["intent"]["labels"])


def wait_searched(port: int, searches: Sequence[str]) -> None:
    """Until the passages have their vectors and an article is found."""
    for text in searches:
        [answer] = closed_loop(port, [text], 1, 5.0)
        if answer.action == "retrieve":
            return
        time.sleep(0.5)
    raise SystemExit("no article was found within five minutes")


def in_process(load: Any, *arguments: Any) -> list[Answer]:
    """What the load generator brings back from a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        answers: list[Answer] = pool.apply(load, arguments)
    return answers


def parts(
    precision: str, port: int, questions: Sequence[str], searches: Sequence[str], seconds: float
) -> dict[str, Any]:
    lines, bars = [], []
    enough = int(RATE * seconds)
    for action, texts in (("answer", questions), ("retrieve", searches)):
        answers = in_process(open_loop, port, list(texts[:enough]), RATE)
        assert all(a.status == 200 for a in answers), "a request failed"
        times = [a.milliseconds for a in answers if a.action == action]
        lines.append(line(precision, f"{RATE} a second", action, times, len(answers) / seconds))
        name = f"{precision}, {RATE} a second, {action}"
        p50, p99 = np.percentile(times, [50, 99])
        bars.append(verdict(f"{name}, p50 ms", p50, MAX_P50[precision][action], at_least=False))
        bars.append(verdict(f"{name}, p99 ms", p99, MAX_P99, at_least=False))
    texts = [f"{t} ({k})" for k in range(9) for t in questions[enough:] or questions]
    began = time.perf_counter()
    answers = in_process(closed_loop, port, texts, CALLERS, seconds)
    rate = len(answers) / max(a.ended for a in answers)
    print(f"{len(answers)} turns in {time.perf_counter() - began:.1f} s", flush=True)
    times = [a.milliseconds for a in answers]
    lines.append(line(precision, f"{CALLERS} callers", "any", times, rate))
    bars.append(verdict(f"{precision}, turns a second", rate, MIN_RATE[precision]))
    return {"lines": lines, "bars": bars}


def line(
    precision: str, load: str, action: str, times: Sequence[float], rate: float
) -> Mapping[str, Any]:
    p50, p95, p99 = (f"{p:.1f}" for p in np.percentile(times, [50, 95, 99]))
    return {
        "precision": precision,
        "load": load,
        "action": action,
        "turns": len(times),
        "p50 ms": p50,
        "p95": p95,
        "p99": p99,
        "a second": f"{rate:.0f}",
    }


def swaps(
    precision: str,
    port: int,
    pid: int,
    registry: Registry,
    model: Path,
    questions: Sequence[str],
    seconds: float,
) -> list[dict[str, Any]]:
    """Another model goes live again and again while callers ask; memory and failures."""
    other = FOLDER / f"other_{precision}"
    restate(model, other, risk=0.10, oos_share=0.2)
    resident, failed = [], 0
    for number in range(SWAPS):
        registry.promote(other if number % 2 == 0 else model)
        texts = [f"{text} [{number}]" for text in questions]
        answers = in_process(closed_loop, port, texts, 4, max(2.0, seconds / 5))
        failed += sum(a.status != 200 for a in answers)
        assert len({a.version for a in answers}) <= 2, "more models than two were live"
        resident.append(resident_mb(pid))
    print("resident MB after each swap:", " ".join(f"{r:.0f}" for r in resident))
    # The first swaps fill what is kept: the peak of two models side by side, the caches.
    settled = resident[SWAPS // 4 :]
    drift = 100 * (max(settled) / min(settled) - 1)
    return [
        verdict(f"{precision}, failed requests in {SWAPS} swaps", failed, 0, at_least=False),
        verdict(f"{precision}, resident MB", max(resident), MAX_MEMORY_MB, at_least=False),
        verdict(f"{precision}, largest to smallest, per cent", drift, 10, at_least=False),
    ]


if __name__ == "__main__":
    main()
