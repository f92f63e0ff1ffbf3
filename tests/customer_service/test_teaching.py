"""What a team teaches is in the next message, in every process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from core.artifacts import Registry
from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from core.errors import Conflict, InvalidInput, TooLarge
from services.customer_service import examples as bounds
from services.customer_service.app import create_app
from services.customer_service.domain import Candidate, Reading
from services.customer_service.examples import ExampleStore, key_of
from services.customer_service.nearness import Bar
from services.customer_service.prototypes import Match, Prototypes, taught_reading
from services.customer_service.settings import Settings
from services.customer_service.tables import MIGRATIONS
from services.customer_service.understanding import KIND, IntentModel

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Chat = Callable[..., dict[str, Any]]
GIFTS = "/v1/admin/intents/gift_card"


def teach(client: TestClient, intent: str, *texts: str, method: str = "POST") -> Any:
    path = f"/v1/admin/intents/{intent}/examples"
    return client.request(method, path, json={"texts": list(texts)})


@pytest.fixture
def gifts(client: TestClient) -> str:
    """An intent that the model never saw, with an answer."""
    body = {"answers": {"en": ["Gift cards are on the last page."]}}
    assert client.put(GIFTS, json=body).status_code == 200
    return "gift_card"


def texts_of(response: Any) -> list[str]:
    assert response.status_code == 200, response.text
    return sorted(example["text"] for example in response.json()["examples"])


# --- over HTTP -----------------------------------------------------------------------------------


def test_an_example_of_a_new_intent_is_answered_in_the_next_message(
    client: TestClient, chat: Chat, gifts: str
) -> None:
    assert chat("may I pay with a voucher?")["intent"] != gifts
    assert teach(client, gifts, "May I pay with a voucher").status_code == 200
    answer = chat("may i pay with a voucher?")
    assert (answer["action"], answer["intent"], answer["confidence"]) == ("answer", gifts, 1.0)
    assert answer["text"] == "Gift cards are on the last page."
    assert len(answer["alternatives"]) == 3


def test_a_forgotten_example_speaks_no_more(client: TestClient, chat: Chat, gifts: str) -> None:
    teach(client, gifts, "may I pay with a voucher", "vouchers accepted")
    assert texts_of(teach(client, gifts, "Vouchers accepted!", method="DELETE")) == [
        "may I pay with a voucher"
    ]
    assert chat("vouchers accepted")["intent"] != gifts
    assert chat("may I pay with a voucher")["intent"] == gifts


def test_put_replaces_what_was_taught(client: TestClient, gifts: str) -> None:
    teach(client, gifts, "one", "two")
    assert texts_of(teach(client, gifts, "two", "three", method="PUT")) == ["three", "two"]
    assert texts_of(client.get(f"{GIFTS}/examples")) == ["three", "two"]
    assert client.get(GIFTS).json()["taught"] == 2
    assert not client.get(GIFTS).json()["trained"]


def test_a_text_means_one_intent(client: TestClient, gifts: str) -> None:
    teach(client, gifts, "may I pay with a voucher")
    response = teach(client, "refund", "MAY I PAY with a voucher?!")
    assert response.status_code == 409
    assert "'gift_card'" in response.json()["detail"]
    assert client.get("/v1/admin/intents/refund/examples").json()["examples"] == []


def test_a_message_taught_to_be_out_of_scope_is_answered_no_more(
    client: TestClient, chat: Chat
) -> None:
    assert chat("hello bot")["action"] == "answer"
    assert teach(client, "oos", "hello bot").status_code == 200
    assert chat("hello bot")["action"] != "answer"


def test_personal_data_are_no_part_of_an_example(
    client: TestClient, chat: Chat, gifts: str
) -> None:
    said = texts_of(teach(client, gifts, "send the voucher to anna@example.com"))
    assert said == ["send the voucher to [email]"]
    assert chat("send the voucher to bob@example.org")["intent"] == gifts


def test_an_intent_that_nobody_knows_is_not_taught(client: TestClient) -> None:
    response = teach(client, "nobody", "hello")
    assert response.status_code == 404
    assert "PUT its answers first" in response.json()["detail"]


def test_names_with_slashes_have_examples_too(client: TestClient, chat: Chat) -> None:
    body = {"answers": {"en": ["By bus."]}}
    client.put("/v1/admin/intents/faq/way", json=body)
    assert texts_of(teach(client, "faq/way", "how do I reach you")) == ["how do I reach you"]
    assert chat("how do I reach you")["intent"] == "faq/way"
    assert client.get("/v1/admin/intents/faq/way").json()["answers"] == {"en": ["By bus."]}


WRONG: list[Any] = [{}, {"texts": [""]}, {"texts": ["x" * 4001]}, {"texts": ["x"] * 501}, {"t": []}]


@pytest.mark.parametrize("body", WRONG)
def test_examples_of_another_shape_are_refused(client: TestClient, gifts: str, body: Any) -> None:
    assert client.post(f"{GIFTS}/examples", json=body).status_code == 422


def test_what_one_process_is_taught_another_answers_after_its_next_look(
    shop: Settings, client: TestClient, gifts: str
) -> None:
    slow = shop.replace(refresh_seconds=60.0)
    with TestClient(create_app(slow, now=lambda: NOW), base_url="http://localhost") as other:
        said = {"message": "may I pay with a voucher"}
        teach(client, gifts, "may I pay with a voucher")
        assert other.post("/v1/chat", json=said).json()["intent"] != gifts
        state = other.app.state  # type: ignore[attr-defined]
        assert state.taught.refresh(state.models.current())
        assert other.post("/v1/chat", json=said).json()["intent"] == gifts
        assert not state.taught.refresh(state.models.current()), "nothing changed since"


# --- feedback ------------------------------------------------------------------------------------


def opinion(client: TestClient, chat: Chat, message: str) -> int:
    """Somebody's thumbs down; its number."""
    answer = chat(message)
    about = {key: answer[key] for key in ("conversation_id", "message_id")}
    client.post("/v1/feedback", json={**about, "rating": "down"})
    entries: list[dict[str, Any]] = client.get("/v1/admin/feedback").json()["feedback"]
    return int(entries[-1]["id"])


def test_accepted_feedback_becomes_an_example(client: TestClient, chat: Chat, gifts: str) -> None:
    number = opinion(client, chat, "may I pay with a voucher")
    response = client.post(f"/v1/admin/feedback/{number}/accept", json={"intent": gifts})
    assert (response.status_code, response.json()["state"]) == (200, "accepted")
    [example] = client.get(f"{GIFTS}/examples").json()["examples"]
    assert example["origin"] == "feedback"
    assert chat("may I pay with a voucher")["intent"] == gifts


def test_rejected_feedback_teaches_nothing(client: TestClient, chat: Chat, gifts: str) -> None:
    number = opinion(client, chat, "may I pay with a voucher")
    assert client.post(f"/v1/admin/feedback/{number}/reject").json()["state"] == "rejected"
    assert client.get(f"{GIFTS}/examples").json()["examples"] == []


def test_feedback_in_conflict_stays_where_it_was(
    client: TestClient, chat: Chat, gifts: str
) -> None:
    number = opinion(client, chat, "may I pay with a voucher")
    teach(client, gifts, "may I pay with a voucher")
    accept = f"/v1/admin/feedback/{number}/accept"
    assert client.post(accept, json={"intent": "refund"}).status_code == 409
    assert client.get("/v1/admin/feedback").json()["feedback"][0]["state"] == "quarantine"
    assert client.post("/v1/admin/feedback/999/reject").status_code == 404


def test_feedback_alone_teaches_nothing(client: TestClient, chat: Chat, shop: Settings) -> None:
    opinion(client, chat, "may I pay with a voucher")
    engine = make_engine(shop.database_url)
    store = ExampleStore(session_factory(engine), session_factory(engine, read_only=True))
    assert store.read()[1] == []


# --- which intent a message takes ----------------------------------------------------------------


class Searcher:
    encoder_id = "e"


class Model:
    """A model of two intents whose training rows lie on the first two axes."""

    searcher = Searcher()
    example_bar = Bar(0.8, 0.97)

    class nearness:
        @staticmethod
        def nearest_other(embedding: np.ndarray, label: int | None) -> float:
            return max(float(embedding[n]) for n in range(2) if n != label)

    @staticmethod
    def class_of(intent: str) -> int | None:
        return {"a": 0, "b": 1}.get(intent)


def vector(*values: float) -> np.ndarray:
    row = np.array(values, np.float32)
    return row / np.linalg.norm(row)


EXAMPLES = Prototypes(
    1,
    "e",
    {key_of("known words"): "new"},
    ("new", "a"),
    np.stack([vector(0, 0, 1), vector(1, 0, 1)]),
)


def found(embedding: np.ndarray | None, text: str = "other words") -> Match | None:
    return EXAMPLES.find(text, embedding, Model())  # type: ignore[arg-type]


def test_near_enough_takes_the_examples_intent_with_the_chance_of_the_bar() -> None:
    assert found(vector(0, 0.1, 1)) == Match("new", 0.97)


def test_not_near_enough_takes_nothing() -> None:
    assert found(vector(0, 0, -1)) is None


def test_a_training_row_of_another_intent_that_is_nearer_wins() -> None:
    assert found(vector(0, 1.2, 1)) is None


def test_a_training_row_of_the_same_intent_is_no_rival() -> None:
    assert found(vector(1, 0, 0.6)) == Match("a", 0.97)


def test_the_same_words_are_certain_also_where_nothing_can_be_read() -> None:
    assert found(None, "Known words!") == Match("new", 1.0)
    assert found(None) is None


def test_vectors_of_another_encoder_are_not_compared() -> None:
    other = Prototypes(1, "other", EXAMPLES.exact, EXAMPLES.intents, EXAMPLES.vectors)
    assert other.find("x", vector(0, 0, 1), Model()) is None  # type: ignore[arg-type]


def test_the_others_share_what_is_left() -> None:
    before = Reading((Candidate("a", 0.6), Candidate("new", 0.4)), 0.5, 0.7, sure=False)
    after = taught_reading(before, Match("new", 0.9))
    assert [c.intent for c in after.ranked] == ["new", "a"]
    assert sum(c.probability for c in after.ranked) <= 1
    assert (after.chance, after.sure) == (0.9, True)


def test_the_trained_model_keeps_what_nearness_is_measured_by(model: IntentModel) -> None:
    assert model.nearness is not None
    assert len(model.nearness.embeddings) == len(model.nearness.labels)
    assert model.nearness.asking > 100
    assert model.nearness.asking_outside > 0


# --- the store, on both databases ----------------------------------------------------------------


@pytest.fixture
def store(database_url: str) -> Iterator[ExampleStore]:
    engine = make_engine(database_url)
    upgrade(engine, MIGRATIONS)
    yield ExampleStore(session_factory(engine), session_factory(engine, read_only=True))
    engine.dispose()


def test_the_version_rises_with_each_change_and_with_nothing_else(store: ExampleStore) -> None:
    versions = [store.version()]
    for change in (
        lambda: store.add("a", ["one", "two"], "taught", NOW),
        lambda: store.add("a", ["ONE"], "taught", NOW),
        lambda: store.put("a", ["two"], "taught", NOW),
        lambda: store.remove("b", ["two"]),
        lambda: store.remove("a", ["two"]),
    ):
        change()
        versions.append(store.version())
    assert [v - versions[0] for v in versions] == [0, 1, 1, 2, 2, 3]


def test_all_or_none_are_stored(store: ExampleStore) -> None:
    store.add("a", ["one"], "taught", NOW)
    with pytest.raises(Conflict, match="'a'"):
        store.add("b", ["two", "one"], "taught", NOW)
    with pytest.raises(InvalidInput, match="empty"):
        store.add("b", ["two", " \u200b "], "taught", NOW)
    with pytest.raises(TooLarge, match="1000 characters"):
        store.add("b", ["two", "x" * 1001], "taught", NOW)
    assert [e.text for e in store.read()[1]] == ["one"]


def test_there_is_an_end_to_examples(store: ExampleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_OF_INTENT", 2)
    store.add("a", ["one", "two"], "taught", NOW)
    with pytest.raises(TooLarge, match="room for 2 examples of an intent"):
        store.add("a", ["three"], "taught", NOW)
    monkeypatch.setattr(bounds, "MAX_EXAMPLES", 2)
    with pytest.raises(TooLarge, match="room for 2 examples,"):
        store.add("b", ["three"], "desk", NOW)


# --- versions ------------------------------------------------------------------------------------


def test_rollback_is_one_call_and_every_process_goes_back(
    shop: Settings, client: TestClient, chat: Chat, other_artifact: Path
) -> None:
    first = chat("hello bot")["model_version"]
    Registry(shop.models_dir, KIND).promote(other_artifact)
    with TestClient(create_app(shop, now=lambda: NOW), base_url="http://localhost") as other:
        answer = other.post("/v1/chat", json={"message": "hello bot"}).json()
        assert answer["model_version"] != first
        back = other.post("/v1/admin/models/rollback")
        assert (back.status_code, back.json()["version"]) == (200, first)
        assert eventually(lambda: version(other) == first)
        assert eventually(lambda: version(client) == first)
        assert [m["live"] for m in other.get("/v1/admin/models").json()["models"]] == [False, True]
        assert other.post("/v1/admin/models/rollback").status_code == 404


def version(client: TestClient) -> str:
    answer = client.post("/v1/chat", json={"message": "hello bot"}).json()
    return str(answer["model_version"])


def eventually(holds: Callable[[], bool], tries: int = 2000) -> bool:
    """Each try is a whole turn, so that a process has time for its next look."""
    return any(holds() for _ in range(tries))
