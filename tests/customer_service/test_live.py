"""Every process works with what holds now, whoever changed it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from services.customer_service.answers import Intent
from services.customer_service.articles import make_article
from services.customer_service.content import ContentStore
from services.customer_service.live import Live
from services.customer_service.tables import MIGRATIONS

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Encoder:
    """Reads every text, and counts how many it was asked to read."""

    dimensions = 8

    def __init__(self, encoder_id: str = "one") -> None:
        self.encoder_id = encoder_id
        self.read: list[str] = []

    def encode(self, texts: Sequence[str]) -> Any:
        self.read += texts
        rows = [np.random.default_rng(len(text)).normal(size=8) for text in texts]
        embeddings = np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32)
        return SimpleNamespace(embeddings=embeddings)

    def tokenize(self, texts: Sequence[str]) -> Any:
        return [SimpleNamespace(unknown_share=0.0) for _ in texts]


def articles(count: int, body: str = "Some body.") -> list[Any]:
    return [make_article(f"a{n}", title=f"Title {n}", body=body) for n in range(count)]


@pytest.fixture
def content(sqlite_url: str) -> Iterator[ContentStore]:
    engine = make_engine(sqlite_url)
    upgrade(engine, MIGRATIONS)
    yield ContentStore(session_factory(engine), session_factory(engine, read_only=True))
    engine.dispose()


def test_a_change_made_by_another_process_is_seen_at_the_next_look(content: ContentStore) -> None:
    mine, other = Live(content), Live(content)
    mine.refresh(None)
    content.put_answers([Intent("hi", answers={"en": ("Hello",)})], [], NOW)
    other.refresh(None)
    assert mine.current().book.intents == {}
    assert mine.refresh(None)
    assert mine.current().book.hands_off == {"hi": False}


def test_nothing_is_built_anew_when_nothing_changed(content: ContentStore) -> None:
    live = Live(content)
    assert live.refresh(None)
    held = live.current()
    assert not live.refresh(None)
    assert live.current() is held


def test_a_few_new_passages_are_read_at_once_and_only_they(content: ContentStore) -> None:
    live, encoder = Live(content), Encoder()
    content.put_articles(articles(2), NOW)
    live.refresh(encoder)  # type: ignore[arg-type]
    live.catch_up(encoder)  # type: ignore[arg-type]
    encoder.read.clear()
    content.put_articles([make_article("new", title="New", body="Fresh.")], NOW)
    live.refresh(encoder)  # type: ignore[arg-type]
    assert encoder.read == ["New\nFresh."]
    assert live.current().knowledge.encoder_id == "one"


def test_many_are_read_in_the_background_while_words_already_find_them(
    content: ContentStore,
) -> None:
    live, encoder = Live(content), Encoder()
    content.put_articles(articles(100), NOW)
    live.refresh(encoder)  # type: ignore[arg-type]
    assert encoder.read == []
    assert live.current().knowledge.search("Title 7", None).passages
    assert live.catch_up(encoder)  # type: ignore[arg-type]
    assert live.current().knowledge.encoder_id == "one"
    assert not live.catch_up(encoder)  # type: ignore[arg-type]


def test_a_second_process_reads_nothing_that_was_read_before(content: ContentStore) -> None:
    first, second = Encoder(), Encoder()
    content.put_articles(articles(100), NOW)
    for encoder in (first, second):
        live = Live(content)
        live.refresh(encoder)  # type: ignore[arg-type]
        live.catch_up(encoder)  # type: ignore[arg-type]
    assert first.read
    assert second.read == []


def test_stopping_in_the_middle_keeps_what_was_read(content: ContentStore) -> None:
    live, encoder = Live(content), Encoder()
    content.put_articles(articles(100), NOW)
    live.refresh(encoder)  # type: ignore[arg-type]
    assert not live.catch_up(encoder, lambda: bool(encoder.read))  # type: ignore[arg-type]
    already = set(encoder.read)
    encoder.read.clear()
    live.catch_up(encoder)  # type: ignore[arg-type]
    assert already
    assert not already & set(encoder.read)


def test_another_encoder_takes_over_when_it_has_read_everything(content: ContentStore) -> None:
    live, old, new = Live(content), Encoder("old"), Encoder("new")
    content.put_articles(articles(100), NOW)
    live.refresh(old)  # type: ignore[arg-type]
    live.catch_up(old)  # type: ignore[arg-type]
    live.refresh(new)  # type: ignore[arg-type]
    assert live.current().encoder_id == "old"
    live.catch_up(new)  # type: ignore[arg-type]
    assert live.current().encoder_id == "new"
    assert live.current().knowledge.encoder_id == "new"
