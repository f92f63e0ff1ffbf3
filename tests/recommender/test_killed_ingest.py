"""The server is killed while it takes events: none that was acknowledged is lost, and none that is
sent again counts twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from fastapi.testclient import TestClient
from sqlalchemy import select

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from services.recommender.app import create_app
from services.recommender.settings import Settings
from services.recommender.tables import MIGRATIONS, events
from tests.recommender.conftest import Server

BATCH = 20
KILLED_AFTER = 15
SENDERS = 3


def batch(sender: int, number: int) -> list[dict[str, Any]]:
    common = {"session_id": f"s{sender}", "item_id": "a", "event": "view"}
    return [{**common, "event_id": f"{sender}-{number}-{n}"} for n in range(BATCH)]


def wait_for(server: Server) -> None:
    """Connects again, later and later, while nobody listens yet."""
    patient = httpx.HTTPTransport(retries=8)
    with httpx.Client(transport=patient, timeout=60) as client:
        client.get(f"{server.address}/healthz").raise_for_status()


def test_a_killed_server_loses_no_acknowledged_event_and_doubles_none(
    database_url: str, tmp_path: Path, start_server: Callable[[str, Path], Server]
) -> None:
    upgrade(database_url, MIGRATIONS)
    server = start_server(database_url, tmp_path / "var")
    acknowledged: list[tuple[int, int]] = []
    unanswered: list[tuple[int, int]] = []

    def send(sender: int) -> None:
        with httpx.Client(base_url=server.address, timeout=30) as client:
            for number in range(1_000):
                try:
                    answer = client.post("/v1/events", json=batch(sender, number))
                except httpx.TransportError:
                    unanswered.append((sender, number))
                    return
                assert answer.json()["accepted"] == BATCH, answer.text
                acknowledged.append((sender, number))
                if len(acknowledged) == KILLED_AFTER:
                    server.kill()

    senders = [threading.Thread(target=send, args=(n,)) for n in range(SENDERS)]
    try:
        wait_for(server)
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    finally:
        server.kill()
    assert len(acknowledged) >= KILLED_AFTER and len(unanswered) == SENDERS
    engine = make_engine(database_url)
    kept = event_ids(engine)
    assert len(kept) == len(set(kept))
    for told in acknowledged:
        assert {event["event_id"] for event in batch(*told)} <= set(kept)
    # A batch is stored whole or not at all, and what nobody answered is sent again.
    for told in unanswered:
        there = {event["event_id"] for event in batch(*told)} & set(kept)
        assert len(there) in (0, BATCH)
    resend(database_url, tmp_path, [*acknowledged, *unanswered])
    kept = event_ids(engine)
    engine.dispose()
    assert len(kept) == len(set(kept)) == BATCH * (len(acknowledged) + len(unanswered))
    assert numbers_are_whole(database_url)


def resend(url: str, folder: Path, told: list[tuple[int, int]]) -> None:
    """The same batches again, to an app in this process, on what the killed one left behind."""
    chosen = Settings(var_dir=folder / "var", database_url=url, threads=1, rate_limit="")
    with TestClient(create_app(chosen)) as client:
        for one in told:
            answer = client.post("/v1/events", json=batch(*one)).json()
            assert answer["accepted"] + answer["repeated"] == BATCH


def event_ids(engine: Any) -> list[str]:
    with session_factory(engine, read_only=True)() as session:
        return list(session.execute(select(events.c.event_id)).scalars())


def numbers_are_whole(url: str) -> bool:
    """Whether events are numbered without a gap: a server that follows them misses none."""
    engine = make_engine(url)
    with session_factory(engine, read_only=True)() as session:
        numbers = list(session.execute(select(events.c.seq).order_by(events.c.seq)).scalars())
    engine.dispose()
    return numbers == list(range(1, len(numbers) + 1))
