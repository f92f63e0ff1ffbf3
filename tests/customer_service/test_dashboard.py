"""Do the dashboard's figures say what happened, and its promise what it would cost?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, Histogram
from sqlalchemy import Engine, insert

from core.db.engine import session_factory
from core.inference.encoder import Encoded
from services.customer_service.dashboard_figures import figures_of, latency_of, span_of
from services.customer_service.dashboard_gaps import Remembering, with_agents
from services.customer_service.dashboard_store import Counts, DashboardStore, Opinions
from services.customer_service.gaps import LoggedTurn
from services.customer_service.tables import conversations, feedback, handoffs, turns

Chat = Callable[..., dict[str, Any]]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
UTC_ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")


def turn(number: int, at: datetime, action: str, intent: str | None = None) -> dict[str, Any]:
    return {
        "conversation_id": f"c{number % 3}",
        "message_id": f"m{number}",
        "message": "x",
        "metadata": {},
        "action": action,
        "intent": intent,
        "locale": "en",
        "reply": {},
        "needed_slots": [],
        "created_at": at,
    }


def opinion(number: int, rating: str, state: str = "quarantine") -> dict[str, Any]:
    return {
        "conversation_id": f"c{number % 3}",
        "message_id": f"m{number}",
        "rating": rating,
        "state": state,
        "created_at": NOW,
        "updated_at": NOW,
    }


@pytest.fixture
def store(engine: Engine) -> DashboardStore:
    """Seven messages in three conversations; the first came long ago."""
    at = [NOW - timedelta(days=9), *(NOW - timedelta(minutes=50 * n) for n in range(6, 0, -1))]
    done = ["answer", "answer", "answer", "retrieve", "handoff", "answer", "call"]
    meant = ["refund", "refund", "greeting", None, "greeting", "refund", "order_status"]
    heads = [
        {"conversation_id": f"c{n}", "channel": "w", "locale": "en", "created_at": at[0]}
        for n in range(3)
    ]
    waiting = {
        "conversation_id": "c1",
        "state": "waiting",
        "reason": "unsure",
        "language": "en",
        "since": at[4],
        "told": False,
    }
    with session_factory(engine).begin() as session:
        session.execute(insert(conversations), heads)
        rows = [turn(n, *each) for n, each in enumerate(zip(at, done, meant, strict=True))]
        session.execute(insert(turns), rows)
        session.execute(insert(handoffs), [waiting])
        marks = [opinion(1, "down"), opinion(5, "up"), opinion(2, "down", "rejected")]
        session.execute(insert(feedback), [*marks, opinion(0, "down"), opinion(4, "down")])
    return DashboardStore(session_factory(engine, read_only=True))


def test_the_database_counts_what_came_since_a_moment(store: DashboardStore) -> None:
    counts = store.counts(NOW - timedelta(days=1))
    assert sum(counts.hours.values()) == 6
    assert counts.hours[(datetime(2026, 3, 1, 7, tzinfo=UTC), "answer")] == 2
    assert (counts.conversations, counts.with_person) == (3, 1)
    assert (counts.reasons, counts.standing) == ({"unsure": 1}, {"waiting": 1})
    assert counts.intents == [("refund", 2), ("greeting", 1), ("order_status", 1)]
    assert counts.opinions == {"refund": Opinions(right=1, wrong=1)}, (
        "neither a rejected thumb counts, nor one on a hand-over or on an older answer"
    )


def counted(hours: dict[tuple[datetime, str], int]) -> Counts:
    return Counts(hours, 4, 1, {}, {}, [("refund", 3)], {"refund": Opinions(1, 1)})


def test_the_hours_of_a_day_are_those_of_the_clock_on_the_wall() -> None:
    span = span_of(2, NOW, BERLIN)
    assert span.starts == (date(2026, 2, 28), date(2026, 3, 1))
    assert span.since == datetime(2026, 2, 27, 23, tzinfo=UTC)
    late = datetime(2026, 2, 28, 23, tzinfo=UTC)
    found = figures_of(counted({(late, "answer"): 5}), span)
    assert found["series"]["answer"] == [0, 5], "23:00 in London is the next day in Berlin"
    assert found["messages"] == 5


def test_one_day_is_shown_by_the_hour() -> None:
    span = span_of(1, NOW, BERLIN)
    assert len(span.starts) == 24
    assert (span.since, span.starts[-1]) == (NOW - timedelta(hours=23), NOW)
    found = figures_of(counted({(NOW, "handoff"): 2}), span)
    assert found["series"]["handoff"][-1] == 2
    assert found["starts"][-1] == "2026-03-01T12:00:00+00:00"


def test_the_share_of_wrong_answers_comes_with_its_interval_or_not_at_all() -> None:
    found = figures_of(counted({}), span_of(7, NOW, UTC_ZONE))["opinions"]
    assert found["share"] == 0.5
    assert found["low"] < 0.1 < 0.9 < found["high"]
    nothing = Counts({}, 0, 0, {}, {}, [], {})
    found = figures_of(nothing, span_of(7, NOW, UTC_ZONE))["opinions"]
    assert found == {"judged": 0, "wrong": 0, "share": None, "low": None, "high": None}


def test_the_time_to_answer_is_read_from_the_histogram_of_this_process() -> None:
    histogram = Histogram(
        "seconds", "", ("method", "route"), buckets=(0.1, 1.0), registry=CollectorRegistry()
    )
    assert latency_of(histogram)["p50"] is None
    histogram.labels("GET", "/v1/chat").observe(50)
    for seconds in (0.05, 0.06, 0.5, 0.6):
        histogram.labels("POST", "/v1/chat").observe(seconds)
    found = latency_of(histogram)
    assert (found["answers"], found["p50"]) == (4, 0.1)
    assert found["p95"] == pytest.approx(0.91)
    histogram.labels("POST", "/v1/chat").observe(50)
    assert latency_of(histogram)["p95"] == 1.0, "beyond all buckets the last bound is told"


def test_what_an_agent_said_next_is_the_reply_to_a_message() -> None:
    def logged(name: str, minute: int, reply: str = "") -> LoggedTurn:
        at = NOW + timedelta(minutes=minute)
        return LoggedTurn(name, "m", "handoff", "t", at, agent_reply=reply)

    said = [("a", NOW + timedelta(minutes=m), f"at {m}") for m in (1, 2, 6)]
    found = with_agents([logged("a", 0), logged("b", 0), logged("a", 5, "known")], said)
    assert [turn.agent_reply for turn in found] == ["at 1", "", "known"]
    assert with_agents([], said) == []


def test_a_text_is_read_once_however_often_it_is_grouped() -> None:
    read: list[str] = []

    def encode(texts: Sequence[str]) -> Encoded:
        read.extend(texts)
        rows = np.array([[len(text)] for text in texts], dtype=np.float32)
        return Encoded(rows, np.zeros(len(texts), dtype=np.float32))

    remembering = Remembering(encode)
    assert remembering(["a", "bb", "a"]).embeddings.tolist() == [[1.0], [2.0], [1.0]]
    assert remembering(["ccc", "bb"]).embeddings.tolist() == [[3.0], [2.0]]
    assert read == ["a", "bb", "ccc"]


# --- over HTTP -----------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_days_asked_for(client: TestClient, chat: Chat) -> None:
    chat("/greeting", conversation_id="a")
    chat("/talk_to_human", conversation_id="b")
    found = client.get("/v1/admin/figures?days=7").json()
    assert (found["messages"], found["conversations"], found["with_person"]) == (2, 2, 1)
    assert (found["waiting"], found["reasons"]) == (1, {"asked": 1})
    assert found["intents"][0] == {"intent": "greeting", "messages": 1, "up": 0, "down": 0}
    assert found["latency"]["answers"] == 2
    assert len(found["starts"]) == 7
    for wrong in ("0", "91", "x"):
        assert client.get(f"/v1/admin/figures?days={wrong}").status_code == 422


def test_a_stricter_promise_answers_less_and_can_be_kept_and_taken_back(
    client: TestClient,
) -> None:
    found = client.get("/v1/admin/promise").json()
    choices = found["choices"]
    assert [choice["risk"] for choice in choices] == sorted(choice["risk"] for choice in choices)
    kept = [choice["point"]["coverage"] for choice in choices if choice["promised"]]
    assert kept == sorted(kept)
    now = next(choice for choice in choices if choice["risk"] == found["risk"])
    assert now["point"] == found["at_threshold"], "what was fitted then is fitted again"
    body = {"risk": 0.02, "version": found["version"]}
    changed = client.post("/v1/admin/promise", json=body).json()
    assert (changed["risk"], changed["number"]) == (0.02, 2)
    assert client.post("/v1/admin/promise", json=body).status_code == 409, "it is live no more"
    assert client.post("/v1/admin/models/rollback").json()["number"] == 1
    assert client.get("/v1/admin/promise").json()["version"] == found["version"]


def test_what_could_not_be_answered_comes_in_groups_and_is_taught(
    client: TestClient, chat: Chat
) -> None:
    for number in range(3):
        chat("poem about banana bread", conversation_id=f"gap-{number}")
    found = client.get("/v1/admin/gaps?days=30").json()
    assert (found["turns"], found["unanswered"]) == (3, 3)
    gap = found["gaps"][0]
    assert (gap["count"], gap["taught"]) == (3, None)
    body = {"intent": "poems", "texts": gap["examples"], "answer": "We sell poems too."}
    taught = client.post("/v1/admin/intents", json={**body, "title": "Poems"}).json()
    assert taught == {"intent": "poems", "examples": 1, "new": True}
    assert chat("Poem about banana bread!", conversation_id="next")["text"] == "We sell poems too."
    assert client.get("/v1/admin/gaps?days=30").json()["gaps"][0]["taught"] == "poems"
    known = {one["name"]: one for one in client.get("/v1/admin/intents").json()["intents"]}
    assert known["poems"]["description"] == {"en": "Poems"}
    assert known["greeting"]["trained"] and not known["poems"]["trained"]


def test_a_new_intent_without_an_answer_or_with_anothers_example_is_refused_whole(
    client: TestClient,
) -> None:
    body = {"intent": "poems", "texts": ["a poem please"]}
    refused = client.post("/v1/admin/intents", json=body)
    assert refused.status_code == 422
    assert "a new intent needs an answer" in refused.json()["detail"]
    first = {"intent": "greeting", "texts": ["a poem please"]}
    assert client.post("/v1/admin/intents", json=first).status_code == 200
    assert client.post("/v1/admin/intents", json={**body, "answer": "Yes."}).status_code == 409
    assert client.get("/v1/admin/intents/poems").status_code == 404, "nothing was stored"
