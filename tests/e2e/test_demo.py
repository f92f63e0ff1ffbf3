"""The demo as a person meets it: it starts, answers, says what is wrong, and leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("CUSTOMER_SERVICE", "FINANCE_SENTIMENT", "RECOMMENDER", "START_PAGE")


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def environment(trained_services: Path, tmp_path: Path) -> dict[str, str]:
    """A copy of the run-time folder and ports of its own. Its demo ran until three hours ago, so
    that there is little of the past to make up."""
    var = tmp_path / "var"
    shutil.copytree(trained_services, var)
    (var / "demo").mkdir()
    stopped = datetime.now(UTC) - timedelta(hours=3)
    (var / "demo" / "history-until").write_text(stopped.isoformat())
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    return {
        **os.environ,
        "TREFOIL_VAR": str(var),
        "PYTHONUNBUFFERED": "1",
        **{f"TREFOIL_{name}_PORT": str(port) for name, port in ports.items()},
    }


@pytest.fixture
def demo(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The running demo, its announcement not read yet."""
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "demo", "--replay-port", str(free_ports(1)[0])],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    if process.poll() is None:
        process.kill()
        process.wait(20)


def announcement(process: subprocess.Popen[str]) -> str:
    """Everything the demo prints until it says how to stop it, or ends."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C stops everything" in line:
            break
    return "".join(lines)


def post(port: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        result: dict[str, Any] = json.loads(answer.read())
        return result


def processes_using(var: str) -> list[str]:
    """Command lines of all processes whose environment names this run-time folder."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if f"TREFOIL_VAR={var}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it ended meanwhile, or is not ours
    return found


def test_the_demo_answers_on_all_three_services_and_ctrl_c_leaves_no_process_behind(
    demo: subprocess.Popen[str], environment: dict[str, str]
) -> None:
    said = announcement(demo)
    assert "Ctrl-C stops everything" in said, said
    assert said.count("curl ") == 3

    chat = post(environment["TREFOIL_CUSTOMER_SERVICE_PORT"], "/v1/chat", {"message": "hello"})
    shelf = post(
        environment["TREFOIL_RECOMMENDER_PORT"], "/v1/recommendations", {"user_id": "x", "n": 3}
    )
    labels = post(
        environment["TREFOIL_FINANCE_SENTIMENT_PORT"], "/v1/classify", {"texts": ["Profit rises"]}
    )
    assert chat["text"]
    assert len(shelf["items"]) == 3
    assert labels

    front = f"http://127.0.0.1:{environment['TREFOIL_START_PAGE_PORT']}"
    assert f"Open {front} in a browser" in said
    with urllib.request.urlopen(f"{front}/state", timeout=30) as answer:
        state = json.loads(answer.read())
    assert len(state) == 3
    assert all(service["ready"] for service in state.values()), state

    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert "stopped" in rest
    assert processes_using(environment["TREFOIL_VAR"]) == []


def test_a_port_that_is_taken_is_told_in_one_line(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        finished = subprocess.run(
            [sys.executable, "-m", "services.cli", "demo"],
            cwd=ROOT,
            env={**environment, "TREFOIL_RECOMMENDER_PORT": port},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert finished.returncode == 1
    lines = finished.stderr.strip().splitlines()
    assert len(lines) == 1
    assert f"port {port}" in lines[0]
    assert "recommender" in lines[0]
