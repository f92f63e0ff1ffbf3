"""How much memory does each server hold, and how soon is it ready?

Run: python -m benchmarks.serving. Models that are missing are trained on the sample data first, as
the demo does. Each server is started alone in a process of its own; ready is the first 200 from
/readyz; memory is the resident set after 200 requests.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, save, table, verdict
from core.settings import ServiceSettings
from services.demo.history import moved_shop
from services.demo.steps import import_missing, prepare_databases, sample_services, train_missing

MAX_MEMORY_MB = 400
MAX_START_SECONDS = 3.0
STARTS = 3
REQUESTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "customer-service": ("/v1/chat", {"message": "where is my parcel?"}),
    "finance-sentiment": ("/v1/classify", {"texts": ["Shares fall after the profit warning"]}),
    "recommender": ("/v1/recommendations", {"user_id": "u0007", "n": 10}),
}


def main() -> None:
    prepare()
    results: dict[str, dict[str, Any]] = {}
    rows, bars = [], []
    for service, (path, body) in REQUESTS.items():
        runs = [measure(service, path, body) for _ in range(STARTS)]
        start = statistics.median(r["ready_s"] for r in runs)
        memory = max(r["memory_mb"] for r in runs)
        first = statistics.median(r["p50_ms"] for r in runs)
        results[service] = {"ready_s": start, "memory_mb": memory, "p50_ms": first, "runs": runs}
        rows.append([service, f"{start:.2f}", f"{memory:.0f}", f"{first:.1f}"])
    table(["", "ready s", "resident MB", "request p50 ms"], rows)
    print()
    for service, result in results.items():
        bars.append(
            verdict(
                f"{service} ready, seconds", result["ready_s"], MAX_START_SECONDS, at_least=False
            )
        )
        bars.append(
            verdict(f"{service} resident, MB", result["memory_mb"], MAX_MEMORY_MB, at_least=False)
        )
    save("serving", {"services": results, "bars": bars})


def prepare() -> None:
    """Models, databases and sample content, as in the demo."""
    folder = ServiceSettings().var_dir / "demo"
    moved_shop(ROOT / "shared_data" / "recommender", folder / "shop", datetime.now(UTC))
    services = sample_services(ROOT / "shared_data", folder / "shop")
    train_missing(services)
    prepare_databases(services, folder / "finance_sentiment.db")
    import_missing(services)


def measure(service: str, path: str, body: Mapping[str, Any]) -> dict[str, float]:
    """Start one server, call it 200 times, read its memory, stop it."""
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", service, "serve", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        ready = wait_ready(process, port, began)
        times = []
        for number in range(200):
            start = time.perf_counter()
            post(port, path, {**body, **varied(body, number)})
            times.append(time.perf_counter() - start)
        return {
            "ready_s": ready,
            "memory_mb": resident_mb(process.pid),
            "p50_ms": statistics.median(times) * 1e3,
        }
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def varied(body: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Another text each time, so that no cache answers."""
    if "message" in body:
        return {"message": f"{body['message']} it is order number {number}"}
    if "texts" in body:
        return {"texts": [f"{body['texts'][0]} of {number} million"]}
    return {"user_id": f"u{number:04d}"}


def wait_ready(process: subprocess.Popen[bytes], port: int, began: float) -> float:
    while time.perf_counter() - began < 60:
        if process.poll() is not None:
            said = (process.stderr.read() if process.stderr else b"").decode()[-500:]
            raise SystemExit(f"the server ended by itself: {said}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return time.perf_counter() - began
        except OSError:
            time.sleep(0.01)
    raise SystemExit("not ready after 60 s")


def post(port: int, path: str, body: Mapping[str, Any]) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        response.read()


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this benchmark reads /proc, which only Linux has")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
