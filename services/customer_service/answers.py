"""What may the bot say for an intent, and which slots does a message fill?

Pure. An `AnswerBook` holds what a company wrote (intents.yaml, or the admin interface), checked: an
answer that names a slot nobody defined never gets in (answers_reading.py). Languages are tags such
as "en" and "zh".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Final, Literal, get_args

from services.customer_service.amounts import amount_spans
from services.customer_service.calls import Call
from services.customer_service.dates import date_spans
from services.customer_service.forms import Form, FormField
from services.customer_service.slots import (
    Lookup,
    Moment,
    Span,
    email_spans,
    learned_spans,
    meant,
    pattern_spans,
)

PLACEHOLDER: Final = re.compile(r"\{([A-Za-z]\w*)\}")
_MAX_VALUE: Final = 200

Texts = Mapping[str, tuple[str, ...]]
Kind = Literal["pattern", "lookup", "learned", "email", "date", "amount", "text"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Slot:
    """A value that a message may hold; `ask`: how to ask for it, a language.

    `kind` says how it is found: by `pattern`, by a list (`lookup`: `values` as they are), by the
    model's tagger (`learned`), as an e-mail address, date or amount; `text` is the whole message
    that answers its question, and is never found. `synonyms`: what is found, case-folded and with
    single spaces → the value that it stands for. `currency`: of an amount that names none, a code
    of ISO 4217. `past`: a date without a year lies behind us.
    """

    name: str
    pattern: str = ""
    ask: Mapping[str, str] = field(default_factory=dict)
    synonyms: Mapping[str, str] = field(default_factory=dict)
    kind: Kind = "pattern"
    values: tuple[str, ...] = ()
    currency: str = ""
    past: bool = False
    _lookup: Lookup = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """The list is made ready once, and not for each message."""
        words = {**{v: v for v in self.values}, **self.synonyms} if self.kind == "lookup" else {}
        object.__setattr__(self, "_lookup", Lookup(words))

    def find(self, text: str, moment: Moment | None = None) -> str | None:
        """The value that the text means: of two the later one corrects the earlier, and one that
        is denied ("not 4711") is none. Without a `moment` no date that needs a clock is found."""
        return meant(text, self.spans(text, moment))

    def spans(self, text: str, moment: Moment | None = None) -> list[Span]:
        """All values in the text, in order."""
        match self.kind:
            case "pattern":
                found = pattern_spans(text, self.pattern, self.synonyms, _MAX_VALUE)
            case "lookup":
                found = self._lookup.spans(text)
            case "learned":
                found = learned_spans(moment, self.name, self.synonyms)
            case "email":
                found = email_spans(text)
            case "date":
                found = date_spans(text, moment, past=self.past)
            case "amount":
                found = amount_spans(text, self.currency)
            case "text":
                found = []
        return found


@dataclass(frozen=True, slots=True)
class QuickReply:
    """A button: `title` is shown, `payload` is the message that pressing it sends."""

    title: str
    payload: str


Replies = Mapping[str, tuple[QuickReply, ...]]


@dataclass(frozen=True, slots=True)
class Case:
    """What is said instead on `channel` ("" is any) while each of `slots` has the value named."""

    channel: str = ""
    slots: Mapping[str, str] = field(default_factory=dict)
    answers: Texts = field(default_factory=dict)
    without_slots: Texts = field(default_factory=dict)
    quick_replies: Replies = field(default_factory=dict)

    def holds(self, channel: str, values: Mapping[str, str]) -> bool:
        """Upper and lower case of a value are the same."""
        return self.channel in ("", channel) and all(
            name in values and values[name].casefold() == value.casefold()
            for name, value in self.slots.items()
        )


@dataclass(frozen=True, slots=True)
class Intent:
    """What is said for one intent. Texts are lists of variants by language.

    `answers` may hold {slot}; `without_slots` is said while such a slot is unknown. With `handoff`
    a person takes over after the answer. Of `cases`, the first that holds is said instead. What
    `form` asks for is known before the answer; `call` fills it from a company's webhook.
    """

    name: str
    description: Mapping[str, str] = field(default_factory=dict)
    answers: Texts = field(default_factory=dict)
    without_slots: Texts = field(default_factory=dict)
    quick_replies: Replies = field(default_factory=dict)
    handoff: bool = False
    cases: tuple[Case, ...] = ()
    form: Form | None = None
    call: Call | None = None

    @property
    def asks(self) -> Form | None:
        """What has to be known first: the form, else the slots that the call sends."""
        if self.form is None and self.call is not None and self.call.slots:
            return Form(tuple(FormField(slot) for slot in self.call.slots))
        return self.form

    @property
    def speaks(self) -> bool:
        """Whether there is any answer, be it in one case alone."""
        return bool(self.answers) or any(case.answers for case in self.cases)

    def in_case(self, channel: str, values: Mapping[str, str]) -> Intent:
        """The intent with what its first case that holds says; what that lacks, also in a language,
        stays."""
        for case in self.cases:
            if case.holds(channel, values):
                return replace(
                    self,
                    answers={**self.answers, **case.answers},
                    without_slots={**self.without_slots, **case.without_slots},
                    quick_replies={**self.quick_replies, **case.quick_replies},
                )
        return self

    def title(self, language: str) -> str:
        """What a button says: the description in this language, else in any, else the name."""
        chosen = self.description.get(language) or next(iter(self.description.values()), "")
        return chosen or self.name.replace("_", " ").capitalize()


@dataclass(frozen=True)
class AnswerBook:
    """All intents and slots by name."""

    intents: Mapping[str, Intent] = field(default_factory=dict)
    slots: Mapping[str, Slot] = field(default_factory=dict)

    @property
    def hands_off(self) -> dict[str, bool]:
        """Each intent that has an answer, and whether a person takes over after it."""
        return {i.name: i.handoff for i in self.intents.values() if i.speaks}

    @property
    def forms(self) -> dict[str, Form]:
        """The forms of intents that have an answer, by intent."""
        asking = {i.name: i.asks for i in self.intents.values() if i.speaks}
        return {name: form for name, form in asking.items() if form is not None}

    @property
    def free_slots(self) -> Set[str]:
        """The slots whose value is a whole message."""
        return {slot.name for slot in self.slots.values() if slot.kind == "text"}

    @property
    def learned_slots(self) -> Set[str]:
        """The slots that a model's tagger finds."""
        return {slot.name for slot in self.slots.values() if slot.kind == "learned"}

    def find_slots(self, text: str, moment: Moment | None = None) -> dict[str, str]:
        """The slot values that a message holds."""
        found = {name: slot.find(text, moment) for name, slot in self.slots.items()}
        return {name: value for name, value in found.items() if value is not None}

    def without_values(self, text: str, moment: Moment | None = None) -> str:
        """The message with all slot values taken out."""
        spans = [span for slot in self.slots.values() for span in slot.spans(text, moment)]
        kept, end = [], 0
        for span in sorted(spans, key=lambda span: span.start):
            kept.append(text[end : max(end, span.start)])
            end = max(end, span.end)
        return " ".join([*kept, text[end:]])


def placeholders(text: str) -> tuple[str, ...]:
    """Names of the slots that a template has a place for, in order."""
    return tuple(dict.fromkeys(PLACEHOLDER.findall(text)))
