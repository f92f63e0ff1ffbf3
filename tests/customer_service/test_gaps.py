"""What the bot could not answer comes in groups, with what there is to fill them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from core.data.readers import read_table
from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from core.errors import ModelNotFound
from core.inference.encoder import Encoded
from services.customer_service.answers import Intent
from services.customer_service.cli import group
from services.customer_service.clusters import word_vectors
from services.customer_service.domain import Action
from services.customer_service.gaps import (
    COLUMNS,
    LoggedTurn,
    Unanswered,
    agent_reply,
    find_gaps,
    in_portions,
    mine_gaps,
    unanswered,
)
from services.customer_service.phrases import phrase
from services.customer_service.settings import Settings
from services.customer_service.store import ConversationStore, Turn
from services.customer_service.tables import MIGRATIONS

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OWN_HANDOFF = phrase("handoff", "en", "en")
HANDS_OFF = {"talk_to_human": True, "refund": False}


def by_words(texts: Sequence[str]) -> Encoded:
    """An encoder that knows words alone; it cannot read Chinese."""
    unknown = np.array([float(not text.isascii()) for text in texts], dtype=np.float32)
    return Encoded(word_vectors(texts), unknown)


def logged(message: str, action: str, text: str = "?", **values: Any) -> LoggedTurn:
    return LoggedTurn(
        **{"conversation_id": "c", "created_at": NOW, "intent": None, **values},
        message=message,
        action=action,
        text=text,
    )


def asked(text: str, **values: Any) -> Unanswered:
    return Unanswered(
        **{"text": text, "person": False, "by_design": False, "replies": (), **values}
    )


# --- which turns ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "text", "is_gap"),
    [
        ("abstain", "", True),
        ("clarify", "", True),
        ("handoff", OWN_HANDOFF, True),
        ("retrieve", phrase("maybe", "en", "en") + " A drone needs it.", True),
        ("retrieve", phrase("maybe", "zh", "zh") + "无人机。", True),
        ("retrieve", "A drone needs it.", False),
        ("answer", "It is on its way.", False),
        ("ask_slot", "Which order?", False),
    ],
)
def test_a_turn_is_a_gap_where_there_was_no_answer_to_rely_on(
    action: str, text: str, is_gap: bool
) -> None:
    assert bool(unanswered([logged("drone licence", action, text)], HANDS_OFF)) == is_gap


@pytest.mark.parametrize("message", ["/talk_to_human", "hello!", "谢谢", "👍"])
def test_buttons_and_small_talk_are_no_questions(message: str) -> None:
    assert unanswered([logged(message, "abstain")], HANDS_OFF) == []


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("before", ["", "Your refund is on its way.\n\n"])
@pytest.mark.parametrize("after", ["", " We are back on Monday."])
def test_a_failed_webhook_is_no_unanswered_question(language: str, before: str, after: str) -> None:
    text = before + phrase("call_failed", language, language) + after
    turn = logged("where is my order", "handoff", text, intent="order_status")
    assert unanswered([turn], HANDS_OFF) == []


@pytest.mark.parametrize("text", [phrase("reading_along", "en", "en"), ""])
def test_what_is_said_while_a_person_has_the_conversation_is_no_gap(text: str) -> None:
    assert unanswered([logged("it still hums", "handoff", text)], HANDS_OFF) == []


def test_a_handover_to_which_a_form_came_stays_one() -> None:
    turn = logged("it hums", "handoff", phrase("give_up", "en", "en"), intent="repair")
    assert len(unanswered([turn], HANDS_OFF)) == 1


def test_a_message_went_to_a_person_if_its_conversation_did_then_or_later() -> None:
    found = unanswered(
        [
            logged("drone licence", "abstain"),
            logged("drone papers", "handoff", OWN_HANDOFF),
            logged("sell bicycles", "abstain"),
            logged("poem", "abstain", conversation_id="d"),
        ],
        HANDS_OFF,
    )
    assert [(message.text, message.person) for message in found] == [
        ("drone licence", True),
        ("drone papers", True),
        ("sell bicycles", False),
        ("poem", False),
    ]


def test_a_handover_that_an_intent_was_meant_to_make_is_told_apart() -> None:
    mine = logged("a human please", "handoff", "A colleague takes over.", intent="talk_to_human")
    lost = logged("drone licence", "handoff", OWN_HANDOFF, intent="talk_to_human")
    assert [m.by_design for m in unanswered([mine, lost], HANDS_OFF)] == [True, False]


def test_personal_data_is_replaced_in_messages_and_replies() -> None:
    turn = logged(
        "write to a@example.com about drones", "abstain", agent_reply="Sent to a@example.com."
    )
    (found,) = unanswered([turn], HANDS_OFF)
    assert found.text == "write to [email] about drones"
    assert found.replies[0].text == "Sent to [email]."


def test_an_agents_reply_counts_for_the_messages_before_it() -> None:
    turns = [
        logged("drone licence", "abstain"),
        logged("and for drones?", "handoff", OWN_HANDOFF, agent_reply="Above 250 grams, yes."),
    ]
    assert [m.replies[0].text for m in unanswered(turns, HANDS_OFF)] == [
        "Above 250 grams, yes."
    ] * 2


@pytest.mark.parametrize(
    ("metadata", "reply"), [({"agent_reply": "Yes."}, "Yes."), ({}, ""), ({"agent_reply": 5}, "")]
)
def test_a_reply_is_read_from_the_turns_metadata(metadata: dict[str, Any], reply: str) -> None:
    assert agent_reply(metadata) == reply


# --- groups --------------------------------------------------------------------------------------

INTENTS = [
    Intent("refund", description={"en": "Get my money back", "zh": "退款"}),
    Intent("order_status", description={"en": "Where is my order"}),
]


def test_the_largest_gap_comes_first_with_its_share_name_and_nearest_intent() -> None:
    messages = [
        asked("drone licence", person=True),
        asked("licence, drone"),
        asked("drone licence?"),
        asked("money back in cash"),
    ]
    first, second = find_gaps(messages, INTENTS, by_words)
    assert (first.count, first.share) == (3, 0.75)
    assert first.person_share == pytest.approx(1 / 3)
    assert set(first.name.split()) == {"drone", "licence"}
    assert set(first.examples) == {"drone licence", "licence, drone"}
    assert second.nearest_intent == "refund"
    assert second.similarity is not None and second.similarity > 0.3


def test_what_the_encoder_cannot_read_finds_its_intent_by_words() -> None:
    (gap,) = find_gaps([asked("退款到账")], INTENTS, by_words)
    assert gap.nearest_intent == "refund"
    assert gap.similarity is not None and 0 < gap.similarity <= 1


def test_handovers_that_were_meant_come_last_however_many() -> None:
    messages = [asked("a human please", by_design=True)] * 3 + [asked("drone licence")]
    assert [gap.count for gap in find_gaps(messages, [], by_words)] == [1, 3]


def test_the_best_reply_of_agents_is_the_draft_answer() -> None:
    found = unanswered(
        [
            logged(f"drone licence {'now' * number}", "abstain", conversation_id=str(number),
                   agent_reply=reply)
            for number, reply in enumerate(["I ask.", "Above 250 g: yes.", "Above 250 g: yes."])
        ],
        {},
    )  # fmt: skip
    drafts = {gap.draft_answer for gap in find_gaps(found, INTENTS, by_words)}
    assert "Above 250 g: yes." in drafts


def test_without_intents_there_is_no_nearest_one() -> None:
    (gap,) = find_gaps([asked("drone licence")], [], by_words)
    assert (gap.nearest_intent, gap.similarity, gap.draft_answer) == ("", None, "")


def test_the_same_messages_give_the_same_gaps() -> None:
    messages = [asked(text) for text in ("drone a", "drone b", "lamp c", "lamp d", "无人机")]
    assert find_gaps(messages, INTENTS, by_words) == find_gaps(messages, INTENTS, by_words)


def test_many_texts_are_encoded_in_portions_with_the_same_result() -> None:
    sizes: list[int] = []

    def counted(texts: Sequence[str]) -> Encoded:
        sizes.append(len(texts))
        return Encoded(np.ones((len(texts), 2), np.float32), np.zeros(len(texts), np.float32))

    assert in_portions(counted, 2)(["a", "b", "c"]).embeddings.shape == (3, 2)
    assert sizes == [2, 1]


# --- database and command ------------------------------------------------------------------------


def store(settings: Settings, turns: Sequence[tuple[str, Action, str, int]]) -> None:
    """Turns of one conversation each: message, action, answer, age in days."""
    engine = make_engine(settings.database_url)
    upgrade(engine, MIGRATIONS)
    kept = ConversationStore(session_factory(engine), session_factory(engine, read_only=True))
    for number, (message, action, text, days) in enumerate(turns):
        kept.add(
            Turn(
                conversation_id=f"c{number}",
                message_id="m",
                message=message,
                action=action,
                intent=None,
                locale="en",
                reply={"text": text},
                created_at=NOW - timedelta(days=days),
                metadata={"agent_reply": "=Ask us."},
            ),
            "web",
        )
    engine.dispose()


def test_the_turns_of_the_last_days_become_a_sheet(
    shop: Settings, tmp_path: Path, database_url: str
) -> None:
    settings = shop.replace(database_url=database_url)
    store(
        settings,
        [
            ("weather in paris", "abstain", "?", 1),
            ("weather in paris", "abstain", "?", 2),
            ("where is my order", "answer", "There.", 1),
            ("poem about the moon", "abstain", "?", 40),
        ],
    )
    lines = mine_gaps(settings, days=30, output=tmp_path / "gaps.csv", now=NOW)
    assert lines[0] == "3 messages in 30 days, 2 without an answer, 1 groups"
    assert lines[1].startswith("  1 ")
    assert "2 (100%)" in lines[1]
    (row,) = read_table(tmp_path / "gaps.csv", COLUMNS)
    assert (row["count"], row["examples"], row["draft_answer"]) == (
        "2",
        "weather in paris",
        "'=Ask us.",
    )


def test_no_gap_needs_no_model_and_a_gap_without_one_is_an_error(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings()
    store(settings, [("where is my order", "answer", "There.", 1)])
    assert mine_gaps(settings, days=30, output=None, now=NOW) == [
        "1 messages in 30 days, 0 without an answer, 0 groups"
    ]
    store(settings, [("x", "answer", "There.", 1), ("weather", "abstain", "?", 1)])
    with pytest.raises(ModelNotFound, match="trefoil models promote"):
        mine_gaps(settings, days=30, output=None, now=NOW)


def test_the_command_shows_what_customers_asked_over_http(
    shop: Settings, chat: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    actions = {chat(text)["action"] for text in ("horoscope Mongolia", "football score the moon")}
    assert actions <= {"abstain", "clarify", "handoff", "retrieve"}
    monkeypatch.setenv("TREFOIL_VAR", str(shop.var_dir))
    result = CliRunner().invoke(group, ["gaps", "--days", "36500"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("2 messages in 36500 days")


def test_mining_imports_no_training_library(run_python: Callable[..., str]) -> None:
    code = (
        "import sys, services.customer_service.gaps, services.customer_service.learning_cli;"
        "print(sorted({'torch', 'sklearn', 'scipy', 'pandas', 'transformers'} & set(sys.modules)))"
    )
    assert run_python(code) == "[]"
