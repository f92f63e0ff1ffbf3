"""What people write: an interest in what it says, and nothing for the item it stands under."""

from __future__ import annotations

from threading import Event

import numpy as np
import pytest
from fastapi.testclient import TestClient

from core.db.engine import make_engine, session_factory
from services.recommender.app import create_app
from services.recommender.comments import READ, CommentStore, text_of
from services.recommender.domain import DAY, text_digest
from services.recommender.event_store import NewEvent, popularity
from services.recommender.interests import (
    Interaction,
    Interests,
    Said,
    comments_of,
    interests_of,
)
from services.recommender.model import load_model
from services.recommender.settings import Settings
from services.recommender.vectors import TextTower
from services.recommender.worker import Worker
from tests.recommender.conftest import AFTER, Clock, Database
from tests.recommender.test_api import ask, click
from tests.recommender.test_store import ENCODER, NOW, embedding, event

ROWS = {"a": 0, "b": 1}


def said(text: str = "dry and warm", width: int = 16) -> Said:
    return Said(text, np.eye(1, width, dtype=np.float32)[0], readable=True)


def comment(item_id: str = "a", value: float | None = None, age: float = 0.0) -> Interaction:
    return Interaction(item_id, "comment", NOW - age, value, said())


# --- what a comment is worth ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stars", "of_item", "words"), [(None, 0, 1), (5.0, 1, 1), (3.0, 1, 1), (2.0, 0, 0)]
)
def test_stars_speak_for_the_item_and_words_for_themselves(
    stars: float | None, of_item: int, words: int
) -> None:
    history = [comment(value=stars)]
    assert len(interests_of(history, ROWS.get, NOW, None)) == of_item
    assert len(comments_of(history, ROWS.get, NOW, None)) == words


def test_a_bad_review_takes_away_what_the_user_did_with_the_item() -> None:
    history = [Interaction("a", "click", NOW), comment(value=1.0)]
    assert len(interests_of(history, ROWS.get, NOW, None)) == 0


def test_words_fade_like_events_and_wait_for_their_vector() -> None:
    unread = Interaction("a", "comment", NOW, None, Said("later", None, readable=False))
    history = [comment(), comment("gone", age=10 * DAY), unread]
    fresh, old = comments_of(history, ROWS.get, NOW, half_life_days=10.0)
    assert (fresh.row, old.row) == (0, -1)
    assert fresh.weight == pytest.approx(np.log1p(1.5))
    assert old.weight == pytest.approx(np.log1p(0.75))


# --- the match -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tower(model_folder) -> TextTower:
    return load_model(model_folder).tower


def test_words_pull_what_is_like_them_and_never_their_own_item(tower: TextTower) -> None:
    texts = ["tent for hiking in the rain", "oven for baking in the sun", "rope for hiking"]
    width = tower.basis.shape[0]
    nothing = np.zeros((3, width), np.float32)
    vectors = tower.vectors(nothing, np.zeros(3, bool), texts).plain
    about_tents = Said(texts[0], nothing[0], readable=False)
    history = [Interaction("a", "comment", NOW, None, about_tents)]
    none = Interests(np.empty(0, np.int64), np.empty(0))
    heard = tower.hear(none, comments_of(history, {}.get, NOW, None))
    first, second, _ = tower.plain.match(vectors, heard)
    assert first > second
    own = tower.hear(none, comments_of(history, {"a": 0}.get, NOW, None))
    assert np.argmin(tower.plain.match(vectors, own)) == 0


def test_the_share_of_what_was_written_is_missing_from_the_items(tower: TextTower) -> None:
    vectors = np.eye(3, tower.width, dtype=np.float32)
    did = Interests(np.array([0, 1]), np.array([1.0, 0.5]))
    rows = np.array([0, 1, 2])
    assert tower.plain.shares(vectors, rows, did).sum(axis=1) == pytest.approx(np.ones(3))
    width = tower.basis.shape[0]
    words = [Interaction("b", "comment", NOW, None, said(width=width))]
    heard = tower.hear(did, comments_of(words, ROWS.get, NOW, None))
    sums = tower.plain.shares(vectors, rows, heard).sum(axis=1)
    assert sums[1] == pytest.approx(1.0)  # it was written about that one
    assert sums[0] < 1 and sums[2] < 1


# --- in the database -----------------------------------------------------------------------------


def test_a_history_brings_what_the_newest_comments_say(database: Database) -> None:
    told = [
        event(f"c{n}", kind="comment", text=f"text {n}", occurred_at=NOW + n)
        for n in range(READ + 1)
    ]
    database.events.add([*told, event("x", "b", occurred_at=NOW + 50)], NOW)
    store = CommentStore(database.readers)
    assert len(store.without_vector(ENCODER, 100)) == READ + 1
    database.items.put_vectors(ENCODER, {text_digest("text 5"): embedding()})
    assert len(store.without_vector(ENCODER, 100)) == READ
    history = database.events.history("u", None, ENCODER)
    assert [one.said.text for one in history[:-1] if one.said] == ["", *told_texts(told[1:])]
    encoded = [one for one in history if one.said and one.said.embedding is not None]
    assert [one.said.text for one in encoded if one.said] == ["text 5"]
    assert history[-1].said is None
    other = database.events.history("u", None, "e2")
    assert all(one.said is None or one.said.embedding is None for one in other)


def told_texts(events: list[NewEvent]) -> list[str | None]:
    return [one.text for one in events]


@pytest.mark.parametrize(
    ("kind", "text", "kept"),
    [("comment", " warm ", "warm"), ("comment", "  ", None), ("comment", None, None),
     ("click", "warm", None)],
)  # fmt: skip
def test_only_comments_say_something(kind: str, text: str | None, kept: str | None) -> None:
    assert text_of(kind, text) == kept  # type: ignore[arg-type]


def test_words_without_stars_make_no_item_popular(database: Database) -> None:
    database.events.add(
        [
            event("1", "words", kind="comment", text="It leaks."),
            event("2", "praised", kind="comment", text="Dry.", value=5.0),
            event("3", "scolded", kind="comment", text="It leaks.", value=1.0),
            event("4", "silent", kind="comment"),
        ],
        NOW,
    )
    for _ in range(2):
        with database.readers() as session:
            found = popularity(session, None)
        counted = {name: one.positives for name, one in found.items()}
        assert counted == {"words": 0, "praised": 1, "scolded": 0, "silent": 1}
        database.events.fold()


# --- over HTTP -----------------------------------------------------------------------------------


def scores(client: TestClient) -> dict[str, float]:
    return {one["item_id"]: one["score"] for one in ask(client, n=40, allow_repeats=True)}


def test_a_comment_is_heard_in_the_next_answer_and_does_not_lift_its_item(
    client: TestClient,
) -> None:
    click(client, "hiking-sun-tent")
    before = scores(client)
    about = "baking-sun-whisk"
    click(client, about, event="comment", text="terrible whisk for baking in the sun")
    after = scores(client)
    assert after[about] <= before[about]
    others = (set(after) & set(before)) - {about}
    assert max(abs(after[name] - before[name]) for name in others) > 0.01


def test_the_worker_reads_what_came_before_there_was_a_model(
    stocked: Settings, clock: Clock
) -> None:
    engine = make_engine(stocked.database_url)
    sessions, readers = session_factory(engine), session_factory(engine, read_only=True)
    told = NewEvent("c", "me", None, "hiking-sun-tent", "comment", None, AFTER, text="too heavy")
    store = Database(sessions, readers)
    store.events.add([told], AFTER)
    worker = Worker(stocked, sessions, readers, owner="w", now=clock, stop=Event())
    assert (worker.read_comments(), worker.read_comments()) == (1, 0)
    with TestClient(create_app(stocked, now=clock)) as client:
        encoder_id = client.app.state.parts.models.current().encoder_id  # type: ignore[attr-defined]
    [heard] = store.events.history("me", None, encoder_id)
    assert heard.said is not None and heard.said.embedding is not None
    engine.dispose()
