"""How does a person change an answer or an article while the service runs?

The change is stored and this process works with it before the call returns; other processes see
it within a second (live.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from core.errors import NotReady
from core.inference.encoder import TextEncoder
from core.inference.slot import ModelSlot
from services.customer_service.answers import Intent
from services.customer_service.answers_reading import parse_intent
from services.customer_service.articles import Article, make_article
from services.customer_service.content import ContentStore
from services.customer_service.examples import ExampleStore
from services.customer_service.live import Live
from services.customer_service.understanding import IntentModel


class Admin:
    """All calls may block: they are made in a thread."""

    def __init__(
        self,
        content: ContentStore,
        live: Live,
        models: ModelSlot[IntentModel],
        now: Callable[[], datetime],
        examples: ExampleStore,
    ) -> None:
        self._examples = examples
        self._content = content
        self._live = live
        self._models = models
        self._now = now

    def article(self, article_id: str) -> Article:
        """NotFound where there is none."""
        return self._content.article(article_id)

    def put_article(self, article_id: str, said: Mapping[str, Any]) -> Article:
        """InvalidInput says what is wrong with it."""
        article = make_article(
            article_id,
            title=said["title"],
            body=said["body"],
            url=said["url"],
            language=said["lang"],
            tags=said["tags"],
        )
        self._content.put_articles([article], self._now())
        self._live.refresh(searcher_of(self._models))
        return article

    def intent(self, name: str) -> Intent:
        """NotFound where there is none."""
        return self._content.intent(name)

    def intents(self) -> list[dict[str, Any]]:
        """What there is, by name: to choose from."""
        book = self._live.current().book
        return [
            {
                "name": name,
                "description": dict(book.intents[name].description),
                "languages": sorted(book.intents[name].answers),
                "handoff": book.intents[name].handoff,
                "trained": self.is_trained(name),
            }
            for name in sorted(book.intents)
        ]

    def put_intent(self, name: str, said: Mapping[str, Any]) -> Intent:
        """InvalidInput says what is wrong with it."""
        intent = parse_intent(name, said, self._content.book().slots)
        self._content.put_answers([intent], (), self._now())
        self._live.refresh(searcher_of(self._models))
        return intent

    def is_trained(self, name: str) -> bool:
        """Whether the live model knows the intent."""
        try:
            return name in self._models.current().intents
        except NotReady:
            return False

    def count_taught(self, name: str) -> int:
        """How many examples were taught of the intent since the training."""
        return self._examples.count(name)


def searcher_of(models: ModelSlot[IntentModel]) -> TextEncoder | None:
    """The search encoder of the live model, None while there is no model."""
    try:
        return models.current().searcher
    except NotReady:
        return None
