"""Which questions did customers ask in past conversations, and how did agents answer them?

    read      rows of conversation_id, role, text, time (optional: resolved, rating) → conversations
    bursts    messages of one side in a row are one; greetings and thanks alone are dropped
    pairs     a question and the agent's answer to it, both redacted

Pure but for reading the file. A row that cannot be used is left out and told; the others are taken.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from core.data.fields import fail, optional_text, optional_time, text_field
from core.data.readers import iterate_table
from core.data.tables import Row
from core.errors import DataError
from core.privacy import redact
from core.text import comparison_key, split_sentences, without_hidden
from services.customer_service.best_answer import Candidate
from services.customer_service.compose import join_sentences

Role = Literal["customer", "agent", "bot"]

# `assistant` is in neither: see `_role_of`.
_ROLES: Final[Mapping[str, Role]] = {
    **dict.fromkeys(("customer", "user", "client", "visitor", "contact", "requester"), "customer"),
    **dict.fromkeys(("agent", "operator", "support", "staff", "human", "representative"), "agent"),
    **dict.fromkeys(("bot", "chatbot", "robot", "automation"), "bot"),
}
_ASSISTANT: Final = "assistant"
_SILENT: Final = frozenset({"system", "note", "internal", "event"})
_TRUE: Final = frozenset({"true", "yes", "y", "1", "resolved", "solved", "closed"})
_FALSE: Final = frozenset({"false", "no", "n", "0", "unresolved", "open", "pending"})
_RATING_WORDS: Final = {"good": 1.0, "bad": 0.0}
# A customer who writes again after a day asks again.
_BURST_SECONDS: Final = 86_400.0

_SMALL_TALK_LIST: Final = (
    "hi hello hey hiya hallo hola bonjour merci danke gracias good morning afternoon evening day "
    "night dear there all everyone everybody anyone anybody team sir madam thanks thank thx ty "
    "you u cheers very much so a lot many again and for your the help quick answer reply ok okay "
    "k great perfect fine super nice cool awesome wonderful brilliant lovely alright right yes no "
    "yep yeah nope sure please pls bye goodbye ciao see oh ah hm hmm lol omg wow is are"
)
_SMALL_TALK: Final = frozenset(_SMALL_TALK_LIST.split())
_SMALL_TALK_ZH = re.compile(
    "早上好|下午好|晚上好|非常感谢|麻烦了|辛苦了|不用了|明白了|没问题|知道了|有人吗|在吗|你好|您好|"
    "谢谢|多谢|感谢|好的|再见|是的|请问|客服|收到|可以|哈哈|好|嗯|哦|行|啊|呀|了|您|你"
)
_YES_OR_NO = re.compile(r"\b(yes|no|yep|nope)\b|可以|是的|没问题|不行", re.IGNORECASE)
_COURTESY = re.compile(
    r"\b(how|what) (can|may) (i|we) (do|help)|\banything else\b|\bhave a (nice|good|great)\b"
    r"|\byou('re| are) welcome\b|\b(happy|glad) to (hear|help)|\bmy pleasure\b"
    r"|还有什么|有什么可以帮|不客气|祝您|很高兴",
    re.IGNORECASE,
)
_BEFORE_ASKING = re.compile(
    r"(of course|gladly|certainly|(i|we) (am|are) (very |so )?sorry|(i|we)'(m|re) (very |so )?sorry"
    r"|sorry|let me (check|look)|thank|非常抱歉|很抱歉|抱歉|当然)",
    re.IGNORECASE,
)
_SHORT_SENTENCE: Final = 60
_ASKS = re.compile(
    r"(?:(?:and|so|ok|okay|but|also|then|hi|hello)[ ,.!]+)*(who|what|when|where|which|why|how"
    r"|whose|can|could|do|does|did (i|you|we|they|he|she|it|the|my)|is|are|was|were|will|would|may"
    r"|should|has|have you|i (want|need)|i('d| would) like)\b",
    re.IGNORECASE,
)
_ASKS_ZH = re.compile("吗|呢|怎么|什么|哪|多久|多少|几|能不能|可不可以|是否|为什么|如何|我想|我要")


@dataclass(frozen=True, slots=True)
class Message:
    """`time` in Unix seconds, None where the file tells none; `line` in the file."""

    role: Role
    text: str
    time: float | None
    line: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages in order of time, else as in the file. `rating` from 0 to 1; None: not known."""

    conversation_id: str
    messages: tuple[Message, ...]
    resolved: bool | None = None
    rating: float | None = None


@dataclass(frozen=True)
class ReadConversations:
    """`left_out`: (line, reason)."""

    conversations: tuple[Conversation, ...]
    left_out: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the answer it got, redacted. `line` is that of the question."""

    question: str
    answer: Candidate
    line: int


@dataclass
class Pairs:
    """`unanswered`: questions that no agent answered; `replaced`: personal data by kind."""

    pairs: list[Pair] = field(default_factory=list)
    unanswered: int = 0
    replaced: Counter[str] = field(default_factory=Counter)


# --- read ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    conversation_id: str
    role: str
    text: str
    time: float | None
    resolved: bool | None
    rating: float | None
    line: int


def read_conversations(path: Path) -> ReadConversations:
    """Conversations of a CSV, JSONL, YAML or Parquet file, in order of their first message.

    DataError where the file cannot be read, a column is missing, or no row can be used.
    """
    lines: list[_Line] = []
    left_out: list[tuple[int, str]] = []
    columns = ("conversation_id", "role", "text")
    for row in iterate_table(path, columns, ("time", "resolved", "rating")):
        try:
            lines.append(_line(path, row))
        except DataError as error:
            left_out.append((row.line, error.message.removeprefix(f"{path}, line {row.line}: ")))
    named = {_ROLES.get(line.role) for line in lines}
    # Who answers is called assistant in many exports; beside a person it is the bot.
    assistant: Role = "bot" if "agent" in named else "agent"
    by_id: dict[str, list[_Line]] = defaultdict(list)
    for line in lines:
        by_id[line.conversation_id].append(line)
    low, high = _rating_scale([line.rating for line in lines if line.rating is not None])
    found = [_conversation(own, assistant, low, high) for own in by_id.values()]
    if not any(conversation.messages for conversation in found):
        reason = f"; line {left_out[0][0]}: {left_out[0][1]}" if left_out else ""
        raise DataError(
            f"no message of a customer, agent or bot in it{reason}",
            path,
            mend="The column role says who wrote: customer, agent or bot.",
        )
    return ReadConversations(tuple(found), tuple(left_out))


def _line(path: Path, row: Row) -> _Line:
    role = optional_text(path, row, "role").casefold()
    if role not in _ROLES and role not in _SILENT and role != _ASSISTANT:
        fail(path, row, "role", "customer, agent or bot")
    return _Line(
        text_field(path, row, "conversation_id"),
        role,
        # Not `normalize`: an answer keeps the punctuation of its script.
        " ".join(without_hidden(text_field(path, row, "text")).split()),
        optional_time(path, row, "time"),
        _flag(path, row),
        _rating(path, row),
        row.line,
    )


def _flag(path: Path, row: Row) -> bool | None:
    value = row.get("resolved")
    word = "" if value is None else str(value).strip().casefold()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    return None if not word else fail(path, row, "resolved", "true or false")


def _rating(path: Path, row: Row) -> float | None:
    value = row.get("rating")
    word = "" if value is None else str(value).strip().casefold()
    if not word:
        return None
    if word in _RATING_WORDS:
        return _RATING_WORDS[word]
    try:
        number = float(word)
    except ValueError:
        fail(path, row, "rating", "a number, good or bad")
    if not 0 <= number <= 100:
        fail(path, row, "rating", "a number from 0 to 100")
    return number


def _rating_scale(ratings: Sequence[float]) -> tuple[float, float]:
    """The scale that all ratings of a file fit on: 0 to 1, 1 to 5, 0 to 5, 0 to 10 or 0 to 100."""
    low, high = min(ratings, default=0.0), max(ratings, default=1.0)
    if high <= 1 and low < 1:
        return 0.0, 1.0
    if high <= 5:
        return (1.0, 5.0) if low >= 1 else (0.0, 5.0)
    return (0.0, 10.0) if high <= 10 else (0.0, 100.0)


def _conversation(lines: Sequence[_Line], assistant: Role, low: float, high: float) -> Conversation:
    messages = [
        Message(_ROLES.get(line.role, assistant), line.text, line.time, line.line)
        for line in lines
        if line.role not in _SILENT
    ]
    if all(message.time is not None for message in messages):
        messages.sort(key=lambda message: message.time or 0.0)
    ratings = [line.rating for line in lines if line.rating is not None]
    flags = [line.resolved for line in lines if line.resolved is not None]
    return Conversation(
        lines[0].conversation_id,
        tuple(messages),
        flags[-1] if flags else None,
        (ratings[-1] - low) / (high - low) if ratings else None,
    )


# --- pairs ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Burst:
    role: Role
    text: str
    time: float | None
    line: int


def make_pairs(conversations: Iterable[Conversation]) -> Pairs:
    """Each question that an agent answered, with the answer; personal data replaced in both.

    A question is what a customer writes before any agent has spoken, and later what is worded as
    one. Its answer is the agent's next burst; one that only asks back is passed over where another
    comes before the customer's next question.
    """
    made = Pairs()
    for conversation in conversations:
        bursts = _bursts(conversation.messages)
        asked = _questions(bursts)
        for position, end in zip(asked, [*asked[1:], len(bursts)], strict=True):
            answers = [b for b in bursts[position:end] if b.role == "agent"]
            if not answers:
                made.unanswered += 1
                continue
            answer = next((b for b in answers if not _only_asks_back(b.text)), answers[0])
            question = bursts[position]
            known = Candidate(
                _redacted(answer.text, made.replaced),
                conversation.resolved,
                conversation.rating,
                answer.time,
            )
            made.pairs.append(Pair(_redacted(question.text, made.replaced), known, question.line))
    return made


def _redacted(text: str, replaced: Counter[str]) -> str:
    result = redact(text)
    replaced.update(kind for kind, _, _ in result.found)
    return result.text


def _bursts(messages: Sequence[Message]) -> list[_Burst]:
    """Messages of one side in a row as one, without those that are small talk alone."""
    bursts: list[_Burst] = []
    for message in messages:
        text = message.text
        if message.role == "agent":
            text = without_courtesies(text)
        elif is_small_talk(text):
            text = ""
        if not text:
            continue
        last = bursts[-1] if bursts else None
        if last is not None and last.role == message.role and not _later(last, message):
            joined = join_sentences([last.text, text])
            bursts[-1] = _Burst(last.role, joined, message.time, last.line)
        else:
            bursts.append(_Burst(message.role, text, message.time, message.line))
    return bursts


def _later(burst: _Burst, message: Message) -> bool:
    if burst.time is None or message.time is None:
        return False
    return message.time - burst.time > _BURST_SECONDS


def _questions(bursts: Sequence[_Burst]) -> list[int]:
    asked: list[int] = []
    agent_spoke = False
    for position, burst in enumerate(bursts):
        agent_spoke = agent_spoke or burst.role == "agent"
        if burst.role == "customer" and (not agent_spoke or asks(burst.text)):
            asked.append(position)
    return asked


def is_small_talk(text: str) -> bool:
    """Whether a message holds nothing but greetings, thanks, yes and no, or signs."""
    rest = _SMALL_TALK_ZH.sub(" ", comparison_key(text))
    words = [word for word in rest.split() if any(c.isalnum() for c in word)]
    return all(word in _SMALL_TALK for word in words)


def without_courtesies(text: str) -> str:
    """An agent's message without greetings and offers of further help; "" where nothing is left."""
    return join_sentences([s for s in split_sentences(text) if not _courtesy(s)])


def _courtesy(sentence: str) -> bool:
    if len(sentence) <= _SHORT_SENTENCE and _COURTESY.search(sentence):
        return True
    # "Yes." is small talk from a customer, and the point of an answer.
    return is_small_talk(sentence) and not _YES_OR_NO.search(sentence)


def asks(text: str) -> bool:
    """Whether a message is worded as a question or a wish, in English or Chinese."""
    return "?" in text or "？" in text or bool(_ASKS.match(text) or _ASKS_ZH.search(text))


def _only_asks_back(text: str) -> bool:
    sentences = split_sentences(text)
    return all(
        sentence.endswith(("?", "？"))
        or (len(sentence) <= _SHORT_SENTENCE and _BEFORE_ASKING.match(sentence))
        for sentence in sentences
    ) and any(sentence.endswith(("?", "？")) for sentence in sentences)
