"""Past conversations become questions with the answers that agents gave, without personal data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from core.errors import DataError
from services.customer_service.conversations import (
    Conversation,
    Message,
    Pair,
    Role,
    asks,
    is_small_talk,
    make_pairs,
    read_conversations,
    without_courtesies,
)

SAMPLE = Path(__file__).parents[2] / "shared_data" / "customer_service" / "conversations.jsonl"


def written(path: Path, *rows: dict[str, Any]) -> Path:
    lines = [json.dumps({"conversation_id": "c", "role": "customer", **row}) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def spoken(*said: str) -> Conversation:
    """Messages such as `customer: Where is it?`, a minute apart."""
    messages = []
    for number, line in enumerate(said):
        role, _, text = line.partition(": ")
        messages.append(Message(cast(Role, role), text, 60.0 * number, number + 1))
    return Conversation("c", tuple(messages), resolved=True, rating=1.0)


def pairs(*said: str) -> list[tuple[str, str]]:
    return [(p.question, p.answer.text) for p in make_pairs([spoken(*said)]).pairs]


# --- read ----------------------------------------------------------------------------------------


def test_messages_are_read_in_order_of_time_with_what_is_known_of_the_end(tmp_path: Path) -> None:
    path = written(
        tmp_path / "c.jsonl",
        {"text": "second", "time": "2026-03-01T12:00:09Z", "rating": 4, "resolved": "yes"},
        {"text": "first", "time": "2026-03-01T13:00:01+01:00"},
        {"text": "other", "time": 5, "conversation_id": "d", "resolved": False},
    )
    read = read_conversations(path)
    first, other = read.conversations
    assert [message.text for message in first.messages] == ["first", "second"]
    assert (first.resolved, first.rating) == (True, 0.75)
    assert (other.resolved, other.rating) == (False, None)
    assert read.left_out == ()


def test_without_times_the_order_of_the_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("conversation_id,role,text\n1,user,b\n1,operator,a\n", encoding="utf-8")
    (found,) = read_conversations(path).conversations
    assert [(message.role, message.text) for message in found.messages] == [
        ("customer", "b"),
        ("agent", "a"),
    ]


@pytest.mark.parametrize(
    ("beside", "role"), [("user", "agent"), ("bot", "agent"), ("operator", "bot"), ("Agent", "bot")]
)
def test_an_assistant_is_the_agent_unless_a_person_is_named_too(
    tmp_path: Path, beside: str, role: str
) -> None:
    path = written(
        tmp_path / "c.jsonl", {"role": beside, "text": "x"}, {"role": "Assistant", "text": "y"}
    )
    (found,) = read_conversations(path).conversations
    assert found.messages[1].role == role


@pytest.mark.parametrize(
    ("ratings", "best", "worst"),
    [([1, 5], 1.0, 0.0), ([0, 1], 1.0, 0.0), ([0, 10], 1.0, 0.0), (["good", "bad"], 1.0, 0.0),
     ([100, 20], 1.0, 0.2), ([0, 4], 0.8, 0.0)],
)  # fmt: skip
def test_ratings_of_any_scale_become_0_to_1(
    tmp_path: Path, ratings: list[object], best: float, worst: float
) -> None:
    rows = [
        {"text": "x", "rating": rating, "conversation_id": str(number)}
        for number, rating in enumerate(ratings)
    ]
    found = read_conversations(written(tmp_path / "c.jsonl", *rows)).conversations
    assert sorted(c.rating or 0.0 for c in found) == pytest.approx([worst, best])


def test_a_row_that_cannot_be_used_is_left_out_and_told_by_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path / "c.jsonl",
        {"text": "good"},
        {"text": "x", "role": "ghost"},
        {"text": " "},
        {"text": "x", "time": "yesterday"},
        {"text": "x", "rating": "great"},
        {"text": "x", "resolved": "perhaps"},
        {"text": "x", "role": "system"},
    )
    read = read_conversations(path)
    assert [len(c.messages) for c in read.conversations] == [1]
    assert [line for line, _ in read.left_out] == [2, 3, 4, 5, 6]
    assert read.left_out[0][1].startswith("`role`: expected customer, agent or bot, found 'ghost'")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("conversation_id,role\n1,user\n", "column `text` missing"),
        ("conversation_id,role,text\n1,ghost,x\n", "line 2: `role`: expected customer"),
        ("conversation_id,role,text\n", "no rows"),
        ("conversation_id;role;text\n1;user;x\n", "semicolons"),
    ],
)
def test_a_file_without_a_usable_message_is_refused(
    tmp_path: Path, content: str, part: str
) -> None:
    path = tmp_path / "c.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=part):
        read_conversations(path)


# --- pairs ---------------------------------------------------------------------------------------


def test_a_burst_is_one_question_and_a_greeting_alone_is_none() -> None:
    assert pairs(
        "customer: hi", "customer: where is my order?", "customer: it is LY-518220",
        "agent: Hello! How can I help?", "agent: It is on its way.", "customer: thanks!",
    ) == [("where is my order? it is LY-518220", "It is on its way.")]  # fmt: skip


def test_a_burst_ends_after_a_day() -> None:
    late = Message("customer", "And where is my refund?", 90_000.0, 2)
    answer = Message("agent", "On its way.", 90_060.0, 3)
    first = Message("customer", "Do you deliver to Bergen?", 0.0, 1)
    made = make_pairs([Conversation("c", (first, late, answer))])
    assert [pair.question for pair in made.pairs] == ["And where is my refund?"]
    assert made.unanswered == 1


def test_a_later_message_is_a_question_only_if_it_is_worded_as_one() -> None:
    assert pairs(
        "customer: my screen is broken",
        "agent: Please send a photograph.",
        "customer: done, uploaded",
        "agent: A new one is on its way.",
        "customer: how long does it take",
        "agent: Two days.",
    ) == [
        ("my screen is broken", "Please send a photograph."),
        ("how long does it take", "Two days."),
    ]


def test_an_answer_that_only_asks_back_is_passed_over_for_the_next() -> None:
    assert pairs(
        "customer: change my address please", "agent: Of course. Which order is it?",
        "customer: LY-100200", "agent: Changed, it was not packed.",
    ) == [("change my address please", "Changed, it was not packed.")]  # fmt: skip
    assert pairs("customer: my speaker has a dent", "agent: Would you rather have a new one?") == [
        ("my speaker has a dent", "Would you rather have a new one?")
    ]


def test_a_bots_words_are_no_answer_and_part_two_questions() -> None:
    said = spoken(
        "customer: where is it?", "bot: I did not get that.",
        "customer: where is my order?", "agent: Under My account.",
    )  # fmt: skip
    made = make_pairs([said])
    assert [pair.question for pair in made.pairs] == ["where is my order?"]
    assert made.unanswered == 1


def test_personal_data_is_replaced_in_question_and_answer() -> None:
    made = make_pairs(
        [spoken("customer: I am a@example.com, is it sent?", "agent: Sent to a@example.com.")]
    )
    assert made.pairs[0].question == "I am [email], is it sent?"
    assert made.pairs[0].answer.text == "Sent to [email]."
    assert made.replaced == {"email": 2}


@pytest.mark.parametrize(
    "text",
    ["hi", "Thanks a lot!", "ok great, thank you very much", ":)", "你好", "好的，谢谢", "👍"],
)
def test_small_talk_is_known(text: str) -> None:
    assert is_small_talk(text)


@pytest.mark.parametrize("text", ["hi, refund?", "LY-204518", "你好，怎么退货", "no parcel yet"])
def test_what_says_something_is_no_small_talk(text: str) -> None:
    assert not is_small_talk(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Hello! It is there. Is there anything else?", "It is there."),
        ("Yes. It is there.", "Yes. It is there."),
        ("您好！可以。请告诉我订单号。还有什么可以帮您？", "可以。请告诉我订单号。"),
        ("You're welcome!", ""),
    ],
)
def test_courtesies_of_agents_are_dropped(text: str, kept: str) -> None:
    assert without_courtesies(text) == kept


@pytest.mark.parametrize(
    ("text", "question"),
    [("and how long?", True), ("so can I keep it", True), ("I want my money", True),
     ("多久到账", True), ("did both, no light", False), ("it is LY-1", False), ("好的", False)],
)  # fmt: skip
def test_questions_are_told_by_their_words(text: str, question: bool) -> None:
    assert asks(text) == question


def test_the_sample_gives_pairs_without_its_personal_data() -> None:
    read = read_conversations(SAMPLE)
    made = make_pairs(read.conversations)
    assert read.left_out == ()
    assert len(made.pairs) >= 150
    assert {"email", "card", "iban", "phone"} <= set(made.replaced)

    def texts(pair: Pair) -> str:
        return pair.question + pair.answer.text

    assert not [pair for pair in made.pairs if "@" in texts(pair) or "4111" in texts(pair)]
