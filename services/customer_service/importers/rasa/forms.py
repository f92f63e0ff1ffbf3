"""How does a form of Rasa become one of ours?

Its slots are asked for in their order, with `utter_ask_<form>_<slot>` where there is one. A slot
that intents fill ("yes" for true) is a choice: what the intents' examples say are other words for
its values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.customer_service.answers import Slot
from services.customer_service.fields import MAX_TEXTS
from services.customer_service.importers.rasa.domain import Domain, slot_name
from services.customer_service.importers.rasa.filling import Filling, RasaForm
from services.customer_service.importers.rasa.nlu import Nlu
from services.customer_service.importers.rasa.project import Project

# Characters of an example that is another word for a choice; a longer one says more than that.
_LONGEST: Final = 60
_MOST_WORDS: Final = 100


@dataclass(frozen=True)
class FormMaker:
    """`slots`: those that the project becomes; `language_of`: the language of a text."""

    project: Project
    domain: Domain
    nlu: Nlu
    slots: Mapping[str, Slot]
    language_of: Callable[[str], str]

    def all(self) -> dict[str, dict[str, Any]]:
        """Rasa's name of a form → the mapping that `parse_form` reads."""
        return {
            name: {"slots": [self._field(name, slot) for slot in form.slots]}
            for name, form in self.domain.forms.items()
        }

    def _field(self, form: str, slot: str) -> dict[str, Any]:
        name = self.domain.names.get(slot, slot_name(slot))
        own, any_form = f"utter_ask_{form}_{slot}", f"utter_ask_{slot}"
        response = self.domain.responses.get(own) or self.domain.responses.get(any_form)
        buttons = [b for variant in response.variants for b in variant.buttons] if response else []
        choices = self._choices(name, {payload: title for title, payload in buttons})
        if response is not None and buttons and not choices:
            reason = "its buttons: the question of a form has some where its answers are a list"
            self.project.leave_out(response.entry, reason)
        ask = self.domain.question(own, self.language_of)
        return {"slot": name, "ask": ask or None, "validate": choices or None}

    def _choices(self, name: str, titles: Mapping[str, str]) -> dict[str, list[str]]:
        """Value → other words for it, of a slot that intents fill, and entities beside them; none
        for another slot. `titles`: payload → title of the question's buttons."""
        filling = self.domain.spoken.get(name, Filling())
        if filling.text or name not in self.slots or self.slots[name].kind != "text":
            return {}
        title_of: dict[str | bool, str] = {}
        choices: dict[str, list[str]] = {}
        for intent, value in filling.intents:
            texts = (example.text for own, example in self.nlu.examples if own == intent)
            words = [text for text in texts if len(text) <= _LONGEST]
            # Nobody says "true": the button's title or the words of the first example do.
            said = titles.get(f"/{intent}") or next(iter(words), "")
            title = title_of.setdefault(value, said if isinstance(value, bool) else value)
            if title:
                choices.setdefault(title, []).extend(words)
        for entity in filling.entities:
            for words_of, value in self.nlu.entities.get(entity, []):
                if any(map(str.isalpha, value)):
                    choices.setdefault(value, []).append(words_of)
        return {
            value: list(dict.fromkeys(words))[:_MOST_WORDS]
            for value, words in list(choices.items())[:MAX_TEXTS]
        }


def describe(form: RasaForm, intent: str) -> str:
    """For the report."""
    return f"the form of {intent[:80]}, asks for {', '.join(form.slots)[:200]}"
