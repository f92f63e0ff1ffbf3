"""Does the customer-service sample hold what its README and the service need of it?"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

DATA = Path(__file__).resolve().parents[2] / "shared_data" / "customer_service"
OUT_OF_SCOPE = "oos"
LANGUAGES = {"en", "zh"}
CHINESE = re.compile(r"[\u3400-\u9fff]")
# A Chinese character is a token of its own, as Chinese is written without spaces.
TOKEN = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")
CARD_NUMBER = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
EMAIL = re.compile(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)")

Row = dict[str, str]
Message = dict[str, Any]


@cache
def questions(name: str) -> list[Row]:
    with (DATA / name).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, strict=True))


@cache
def intents() -> dict[str, Any]:
    loaded = yaml.safe_load((DATA / "intents.yaml").read_text(encoding="utf-8"))
    return dict(loaded["intents"])


@cache
def conversations() -> dict[str, list[Message]]:
    grouped: dict[str, list[Message]] = defaultdict(list)
    with (DATA / "conversations.jsonl").open(encoding="utf-8") as handle:
        for line in handle:
            message = json.loads(line)
            grouped[message["conversation_id"]].append(message)
    return dict(grouped)


def article_paths() -> list[Path]:
    return sorted((DATA / "articles").glob("*.md"))


def article(path: Path) -> tuple[dict[str, Any], str]:
    match = re.fullmatch(r"---\n(.*?)\n---\n(.*)", path.read_text(encoding="utf-8"), re.DOTALL)
    assert match, f"{path.name} does not open with front matter between two lines of ---"
    return yaml.safe_load(match[1]), match[2]


def normalised(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text.lower()).split())


def tokens(text: str) -> frozenset[str]:
    return frozenset(TOKEN.findall(text.lower()))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / (len(one | other) or 1)


def chinese_share(flags: list[bool]) -> float:
    return sum(flags) / len(flags)


@pytest.mark.parametrize("name", ["train.csv", "test.csv"])
def test_questions_have_text_a_known_intent_and_a_language(name: str) -> None:
    known = set(intents()) | {OUT_OF_SCOPE}
    for line, row in enumerate(questions(name), start=2):
        assert set(row) == {"text", "intent", "lang"}, f"{name} line {line}: {row}"
        assert normalised(row["text"]), f"{name} line {line} holds no word"
        assert row["text"] == row["text"].strip(), f"{name} line {line} has blanks at an end"
        assert row["intent"] in known, f"{name} line {line}: {row['intent']}"
        assert row["lang"] in LANGUAGES, f"{name} line {line}: {row['lang']}"
        assert (row["lang"] == "zh") == bool(CHINESE.search(row["text"])), f"{name} line {line}"


@pytest.mark.parametrize("name", ["train.csv", "test.csv"])
def test_about_a_tenth_of_the_questions_is_chinese(name: str) -> None:
    assert 0.07 <= chinese_share([row["lang"] == "zh" for row in questions(name)]) <= 0.16


def test_training_has_at_least_thirty_intents_with_twenty_five_questions_each() -> None:
    counts = Counter(row["intent"] for row in questions("train.csv"))
    counts.pop(OUT_OF_SCOPE, None)
    assert len(counts) >= 30
    assert min(counts.values()) >= 25, counts.most_common()[-1]


def test_test_set_has_450_questions_of_which_a_third_is_out_of_scope() -> None:
    counts = Counter(row["intent"] for row in questions("test.csv"))
    total = counts.total()
    assert total >= 450
    assert 1 / 3 <= counts[OUT_OF_SCOPE] / total <= 0.4


def test_test_set_asks_for_each_intent_eight_times_or_more() -> None:
    counts = Counter(row["intent"] for row in questions("test.csv"))
    assert {intent: counts[intent] for intent in intents() if counts[intent] < 8} == {}


def test_out_of_scope_questions_come_in_both_languages() -> None:
    rows = [row for row in questions("test.csv") if row["intent"] == OUT_OF_SCOPE]
    assert 0.07 <= chinese_share([row["lang"] == "zh" for row in rows]) <= 0.16


@pytest.mark.parametrize("name", ["train.csv", "test.csv"])
def test_no_question_stands_twice_in_a_file(name: str) -> None:
    counts = Counter(normalised(row["text"]) for row in questions(name))
    assert [text for text, count in counts.items() if count > 1] == []


def test_no_test_question_is_also_a_training_question() -> None:
    trained = {normalised(row["text"]) for row in questions("train.csv")}
    held_out = [row["text"] for row in questions("test.csv")]
    assert [text for text in held_out if normalised(text) in trained] == []


def test_no_test_question_is_nearly_a_training_question() -> None:
    trained = [(row["text"], tokens(row["text"])) for row in questions("train.csv")]
    held_out = [(row["text"], tokens(row["text"])) for row in questions("test.csv")]
    pairs = [
        (text, near)
        for text, words in held_out
        for near, known in trained
        if jaccard(words, known) >= 0.9
    ]
    assert pairs == []


def test_each_intent_of_the_training_questions_is_answered_in_both_languages() -> None:
    trained = {row["intent"] for row in questions("train.csv")} - {OUT_OF_SCOPE}
    assert trained == set(intents())
    for intent, entry in intents().items():
        for language in LANGUAGES:
            answers = entry["answers"].get(language, [])
            assert answers, f"{intent} has no answer in {language}"
            assert all(isinstance(answer, str) and answer.strip() for answer in answers), intent


def test_there_are_fifty_articles_of_which_about_a_tenth_is_chinese() -> None:
    languages = [article(path)[0]["lang"] for path in article_paths()]
    assert len(languages) >= 50
    assert set(languages) == LANGUAGES
    assert 0.07 <= chinese_share([language == "zh" for language in languages]) <= 0.16


@pytest.mark.parametrize("path", article_paths(), ids=lambda path: path.stem)
def test_an_article_has_front_matter_and_two_to_five_sections(path: Path) -> None:
    front, body = article(path)
    assert set(front) == {"title", "url", "lang", "tags"}
    assert isinstance(front["title"], str) and front["title"].strip()
    assert front["url"] == f"https://lampyris.example/help/{path.stem}"
    assert front["tags"] and all(isinstance(tag, str) for tag in front["tags"])
    assert (front["lang"] == "zh") == bool(CHINESE.search(body))
    assert 2 <= len(re.findall(r"(?m)^## \S", body)) <= 5
    length = len(CHINESE.findall(body)) if front["lang"] == "zh" else len(body.split())
    assert 120 <= length <= 350


def test_article_titles_are_distinct() -> None:
    titles = Counter(article(path)[0]["title"] for path in article_paths())
    assert [title for title, count in titles.items() if count > 1] == []


def test_there_are_eighty_conversations_of_which_about_a_tenth_is_chinese() -> None:
    assert len(conversations()) >= 80
    first_words = [messages[0]["text"] for messages in conversations().values()]
    assert 0.07 <= chinese_share([bool(CHINESE.search(text)) for text in first_words]) <= 0.16


def test_each_conversation_is_three_to_ten_messages_in_order_of_time() -> None:
    for key, messages in conversations().items():
        assert 3 <= len(messages) <= 10, key
        assert messages[0]["role"] == "customer", key
        times = [datetime.fromisoformat(message["time"]) for message in messages]
        assert all(time.tzinfo for time in times), key
        assert all(earlier < later for earlier, later in pairwise(times)), key


def test_each_message_carries_the_promised_keys() -> None:
    keys = {"conversation_id", "role", "text", "time", "resolved", "rating"}
    for key, messages in conversations().items():
        assert all(set(message) == keys for message in messages), key
        assert {message["role"] for message in messages} == {"customer", "agent"}, key
        assert all(message["text"].strip() for message in messages), key
        assert len({(message["resolved"], message["rating"]) for message in messages}) == 1, key
        assert isinstance(messages[0]["resolved"], bool), key
        assert messages[0]["rating"] in {None, 1, 2, 3, 4, 5}, key


def test_some_conversations_were_not_resolved() -> None:
    unresolved = [key for key, messages in conversations().items() if not messages[0]["resolved"]]
    assert len(unresolved) >= 10


def luhn_valid(number: str) -> bool:
    digits = [int(digit) for digit in reversed(re.sub(r"\D", "", number))]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def test_conversations_hold_card_numbers_and_addresses_of_nobody_for_redaction_to_find() -> None:
    texts = [message["text"] for messages in conversations().values() for message in messages]
    cards = [card for text in texts for card in CARD_NUMBER.findall(text) if luhn_valid(card)]
    domains = {domain for text in texts for domain in EMAIL.findall(text)}
    assert len(cards) >= 2
    assert "example.com" in domains
    assert domains <= {"example.com", "lampyris.example"}
