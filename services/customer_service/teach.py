"""How does a person teach the running bot, and look after what it learns?

Examples are stored, and this process reads messages with them, before the call returns; other
processes do within a second (prototypes.py). What the worker trains of them (retrain.py) is looked
at here, made live, or taken back.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from core.artifacts import Registry, Version, read_manifest
from core.data.records import OUT_OF_SCOPE
from core.errors import Conflict, NotFound, NotReady
from core.inference.slot import ModelSlot
from services.customer_service.candidates import FOLDER, CandidateStore
from services.customer_service.content import ContentStore
from services.customer_service.examples import Example, ExampleStore, Origin
from services.customer_service.feedback import FeedbackStore
from services.customer_service.prototypes import Taught
from services.customer_service.understanding import IntentModel
from services.gate import headline


class Teacher:
    """Examples and feedback. All calls may block: they are made in a thread."""

    def __init__(
        self,
        store: ExampleStore,
        feedback: FeedbackStore,
        content: ContentStore,
        taught: Taught,
        models: ModelSlot[IntentModel],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._feedback = feedback
        self._content = content
        self._taught = taught
        self._models = models
        self._now = now

    def examples(self, intent: str) -> list[Example]:
        """Those of the intent, oldest first. NotFound where nobody knows such an intent."""
        self._check(intent)
        return self._store.of(intent)

    def count(self, intent: str) -> int:
        """How many examples the intent has."""
        return self._store.count(intent)

    def add(self, intent: str, texts: Sequence[str], *, origin: Origin = "taught") -> list[Example]:
        """Teach them; all examples of the intent. Conflict where a text is another intent's."""
        self._check(intent)
        self._store.add(intent, texts, origin, self._now())
        return self._after_change(intent)

    def put(self, intent: str, texts: Sequence[str]) -> list[Example]:
        """Make them the examples of the intent; Conflict as in `add`."""
        self._check(intent)
        self._store.put(intent, texts, "taught", self._now())
        return self._after_change(intent)

    def remove(self, intent: str, texts: Sequence[str]) -> list[Example]:
        """Forget them; what is left."""
        self._store.remove(intent, texts)
        return self._after_change(intent)

    def accept(self, feedback_id: int, intent: str) -> dict[str, Any]:
        """The message that the feedback is about becomes an example of the intent."""
        self._check(intent)
        found = self._feedback.accept(feedback_id, intent)
        self._refresh()
        return found

    def reject(self, feedback_id: int) -> dict[str, Any]:
        """Nothing is learnt from the feedback."""
        return self._feedback.reject(feedback_id)

    def _after_change(self, intent: str) -> list[Example]:
        self._refresh()
        return self._store.of(intent)

    def _refresh(self) -> None:
        self._taught.refresh(model_of(self._models))

    def _check(self, intent: str) -> None:
        model = model_of(self._models)
        known = intent == OUT_OF_SCOPE or (model is not None and intent in model.intents)
        if not known:
            try:
                self._content.intent(intent)
            except NotFound:
                raise NotFound(
                    f"nobody knows an intent {intent[:100]!r}",
                    mend="PUT its answers first: /v1/admin/intents/NAME.",
                ) from None


def model_of(models: ModelSlot[IntentModel]) -> IntentModel | None:
    """The live model, None while there is none."""
    try:
        return models.current()
    except NotReady:
        return None


class Promoter:
    """Versions and candidates. All calls may block."""

    def __init__(
        self, registry: Registry, candidates: CandidateStore, models: ModelSlot[IntentModel]
    ) -> None:
        self._registry = registry
        self._candidates = candidates
        self._models = models

    def versions(self) -> list[dict[str, Any]]:
        """All of them, newest first."""
        live = self._registry.active()
        return [
            _shown(version, live is not None and version.number == live.number)
            for version in reversed(self._registry.versions())
        ]

    def rollback(self) -> dict[str, Any]:
        """Make the version live that was so before. NotFound where there was none."""
        version = self._registry.rollback()
        self._models.refresh()
        return _shown(version, live=True)

    def candidates(self, *, limit: int, cursor: int) -> tuple[list[dict[str, Any]], int | None]:
        """A page, newest first."""
        return self._candidates.page(limit=limit, cursor=cursor)

    def candidate(self, number: int) -> dict[str, Any]:
        """One, with what it would change; NotFound."""
        return self._candidates.get(number)

    def promote(self, number: int) -> dict[str, Any]:
        """Make it live: a person has looked, so no gate is asked. Conflict where it is live
        already, failed, or had to make room."""
        found = self._candidates.get(number)
        folder = self._folder(found)
        if found["state"] != "kept" or not folder.is_dir():
            raise Conflict(
                f"candidate {number} is {found['state']}, expected one that is kept",
                mend="GET /v1/admin/candidates names those that wait.",
            )
        self._registry.promote(folder)
        self._candidates.set_state(number, "promoted")
        shutil.rmtree(folder, ignore_errors=True)
        self._models.refresh()
        return self._candidates.get(number)

    def _folder(self, candidate: dict[str, Any]) -> Path:
        return self._registry.root / FOLDER / Path(candidate["folder"] or "none").name


def _shown(version: Version, live: bool) -> dict[str, Any]:
    manifest = read_manifest(version.path)
    figure = headline(manifest.metrics)
    return {
        "number": version.number,
        "version": manifest.identity,
        "created_at": manifest.created_at,
        "live": live,
        "accuracy": None if figure is None else figure.value,
        "accuracy_ci": None if figure is None else [figure.low, figure.high],
        "note": str(manifest.settings.get("decision", {}).get("note", "")),
    }
