"""The support bot's server is killed in the middle of turns: what was answered is kept, and what is
sent again is answered once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

MESSAGES = 60
KILLED_AFTER = 15


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(var: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A support bot that answers at `port` until it is killed or the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "customer-service", "serve", "--port", str(port)],
        env={**os.environ, "TREFOIL_VAR": str(var), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, "the server ended by itself"
            assert time.monotonic() < deadline, "the server does not get ready"
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                continue  # nobody listens yet
        yield process
    finally:
        process.kill()
        process.wait(20)


def ask(client: httpx.Client, number: int) -> dict[str, Any] | None:
    """The answer to message `number`, None where the server was gone."""
    body = {
        "message": f"where is my order LY-2045{number:02d}",
        "conversation_id": f"killed-{number % 4}",
        "message_id": f"m-{number}",
    }
    try:
        answer = client.post("/v1/chat", json=body)
    except httpx.TransportError:
        return None
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def test_a_killed_server_loses_no_answered_turn_and_answers_none_twice(
    trained_services: Path,
) -> None:
    port = free_port()
    answered: dict[int, dict[str, Any]] = {}
    with (
        server(trained_services, port) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
        ThreadPoolExecutor(4) as callers,
    ):

        def call(number: int) -> None:
            said = ask(client, number)
            if said is not None:
                answered[number] = said
                if len(answered) == KILLED_AFTER:
                    process.send_signal(signal.SIGKILL)

        list(callers.map(call, range(MESSAGES)))
    assert KILLED_AFTER <= len(answered) < MESSAGES

    with (
        server(trained_services, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        again = {number: ask(client, number) for number in range(MESSAGES)}
        assert {n: again[n] for n in answered} == answered
        for conversation in range(4):
            path = f"/v1/conversations/killed-{conversation}?limit=200"
            turns = client.get(path).json()["turns"]
            kept = sorted(turn["message_id"] for turn in turns)
            assert kept == sorted(f"m-{n}" for n in range(MESSAGES) if n % 4 == conversation)
