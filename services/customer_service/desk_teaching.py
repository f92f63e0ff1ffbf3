"""How does an agent make an answer of what a customer asked, so that the bot gives it next time?

An agent may give a new intent its answer and its examples, and any intent more examples. To change
what an intent says already, to all customers, is for an admin.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from core.data.records import OUT_OF_SCOPE
from core.errors import Conflict, Forbidden, InvalidInput, NotFound
from core.web import Caller
from services.customer_service.admin import Admin
from services.customer_service.answers import Intent
from services.customer_service.answers_reading import as_mapping
from services.customer_service.examples import ExampleStore, keyed
from services.customer_service.teach import Teacher
from services.customer_service.teaching_schemas import TeachIn

_log = logging.getLogger(__name__)


class DeskTeacher:
    """All calls may block: they are made in a thread."""

    def __init__(self, admin: Admin, teacher: Teacher, examples: ExampleStore) -> None:
        self._admin, self._teacher, self._examples = admin, teacher, examples

    def intents(self) -> list[dict[str, Any]]:
        """What there is, by name: to choose from."""
        return self._admin.intents()

    def teach(self, caller: Caller, said: TeachIn) -> dict[str, Any]:
        """The intent gets the examples, and the answer in its language unless it is empty; live in
        the next message.

        Conflict where a text is another intent's, Forbidden where an agent would change an answer,
        InvalidInput where a new intent has none; then nothing is stored.
        """
        known = self._known(said.intent)
        self._check_free(said.intent, said.texts)
        answer = said.answer.strip()
        if answer:
            if known and known.answers.get(said.language) and not caller.may("admin"):
                raise Forbidden(
                    f"the intent {said.intent!r} has an answer in this language",
                    mend="Leave the answer out to add examples alone, or ask an admin.",
                )
            self._admin.put_intent(said.intent, _with_answer(known, said, answer))
        elif known is None and said.intent != OUT_OF_SCOPE:
            raise InvalidInput("a new intent needs an answer", mend="Write what the bot shall say.")
        found = self._teacher.add(said.intent, said.texts, origin="desk")
        _log.info("taught at the desk", extra={"agent": caller.name, "intent": said.intent})
        return {"intent": said.intent, "examples": len(found), "new": known is None}

    def _known(self, intent: str) -> Intent | None:
        try:
            return self._admin.intent(intent)
        except NotFound:
            return None

    def _check_free(self, intent: str, texts: Sequence[str]) -> None:
        """Before anything is stored: an intent without examples would be left otherwise."""
        wanted = keyed(texts)
        for key, other in self._examples.intents_of(wanted.values()).items():
            if other != intent:
                raise Conflict(
                    f"{wanted[key][:60]!r} is an example of the intent {other!r} already",
                    mend="Leave it out, or teach that intent.",
                )


def _with_answer(known: Intent | None, said: TeachIn, answer: str) -> dict[str, Any]:
    """The intent as the admin interface takes it."""
    whole = {} if known is None else as_mapping(known)
    whole["answers"] = {**whole.get("answers", {}), said.language: [answer]}
    if not whole.get("description"):
        title = said.title.strip() or said.intent.replace("_", " ")
        whole["description"] = {said.language: title}
    return whole
