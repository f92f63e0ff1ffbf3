"""Can a team talk to the bot and test it from a terminal, through the service itself?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select

from core.db.engine import make_engine
from core.errors import NotReady
from services.customer_service import tables
from services.customer_service.cli import group
from services.customer_service.settings import Settings
from services.customer_service.shell import run_shell
from services.customer_service.terminal import Clock, scratch, talking, with_model


def rows(settings: Settings, table: Any) -> int:
    engine = make_engine(settings.database_url)
    with engine.connect() as connection:
        count = connection.execute(select(func.count()).select_from(table)).scalar_one()
    engine.dispose()
    return int(count)


@pytest.fixture
def run(shop: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run a command of the service against the shop."""
    monkeypatch.setenv("TREFOIL_VAR", str(shop.var_dir))
    monkeypatch.setenv("TREFOIL_CUSTOMER_SERVICE_THREADS", "1")

    def invoke(*arguments: object, typed: str = "") -> Result:
        return CliRunner().invoke(group, [str(a) for a in arguments], input=typed)

    yield invoke


def typed(settings: Settings, *lines: str) -> list[str]:
    said: list[str] = []
    with talking(settings) as talk:
        run_shell(talk, lines, say=lambda line: said.append(click.unstyle(line)))
    return said


def test_the_shell_answers_as_the_service_does_and_keeps_the_conversation(shop: Settings) -> None:
    said = typed(shop, "hello bot", "where is my order LY-100200")
    assert "bot> Hello! How can I help?" in said
    assert "bot> Order LY-100200 is under My account." in said
    assert any("answer · order_status" in x and "order_number=LY-100200" in x for x in said)
    assert rows(shop, tables.turns) == 2


def test_a_number_presses_a_button_and_any_other_is_a_message(shop: Settings) -> None:
    said = typed(shop, "hello bot", "1", "/new", "1")
    assert "     1) where is my order" in said
    assert "bot> Tell me the order number." in said
    engine = make_engine(shop.database_url)
    with engine.connect() as connection:
        messages = connection.execute(select(tables.turns.c.message)).scalars().all()
    engine.dispose()
    assert messages == ["hello bot", "where is my order", "1"]


def test_why_tells_guesses_and_evidence(shop: Settings) -> None:
    said = typed(shop, "/why", "hello bot", "/why")
    assert "nothing was said yet" in said
    assert any(line.startswith("  intents: greeting ") for line in said)
    assert any("which means something from" in line for line in said)


def test_an_error_is_said_and_the_next_line_is_answered(shop: Settings) -> None:
    said = typed(shop.replace(max_message_chars=20), "x" * 21, "hello bot")
    assert any("may have 20 characters, had 21" in line for line in said)
    assert "bot> Hello! How can I help?" in said


def test_nothing_after_quit_is_read(shop: Settings) -> None:
    assert not any(line.startswith("bot>") for line in typed(shop, "/quit", "hello bot"))


def test_sources_are_shown(shop: Settings) -> None:
    said = typed(shop, "how do I delete my account")
    assert any("[Delete your account] https://shop.example/help/delete-account" in x for x in said)


def test_what_articles_say_cannot_steer_the_terminal(shop: Settings) -> None:
    from services.customer_service.shell import shown

    reply = {
        "action": "answer", "intent": None, "confidence": 0.0, "slots": {"a": "\x9b2J"},
        "text": "one\x1b]0;title\x07", "buttons": [{"title": "\x1b[A", "payload": "x"}],
        "sources": [{"title": "\r", "url": "\x08", "quote": "\x1bc"}],
    }  # fmt: skip
    lines = [click.unstyle(line) for line in shown(reply)]
    assert not any(c in line for line in lines for c in "\x1b\x9b\x07\x08\r")


def test_the_shell_reads_lines_from_a_script(run: Any) -> None:
    result = run("shell", typed="hello bot\n\nwhere is my order\n")
    assert result.exit_code == 0, result.output
    assert "you> hello bot\nbot> Hello! How can I help?" in result.output


def test_a_scratch_shell_leaves_nothing_behind(run: Any, shop: Settings) -> None:
    result = run("shell", "--scratch", typed="hello bot\n")
    assert "bot> Hello! How can I help?" in result.output
    assert rows(shop, tables.turns) == 0


def test_without_a_model_the_mend_is_told(make_settings: Any) -> None:
    with talking(make_settings()) as talk, pytest.raises(NotReady):
        run_shell(talk, ["hello"], say=lambda line: None)


def test_another_model_can_be_tried(shop: Settings, other_artifact: Path) -> None:
    with talking(shop) as talk:
        before = talk.model().version
    with with_model(shop, other_artifact) as settings, talking(settings) as talk:
        assert talk.model().version != before


def test_a_scratch_service_knows_what_the_real_one_was_taught(shop: Settings) -> None:
    with scratch(shop) as own:
        assert own.database_url != shop.database_url
        assert [rows(own, t) for t in (tables.intents, tables.articles)] == [4, 3]
        folder = own.var_dir
    assert not folder.exists()


def test_a_scratch_service_of_files_knows_only_these(shop: Settings, shop_files: Path) -> None:
    with scratch(shop, answers=shop_files / "intents.yaml") as own:
        assert [rows(own, t) for t in (tables.intents, tables.articles)] == [4, 0]


def test_a_scratch_service_tells_no_help_desk(shop: Settings) -> None:
    chatwoot = {"chatwoot_url": "http://desk.example", "chatwoot_token": "t" * 20}
    with scratch(shop.replace(**chatwoot, chatwoot_secret="s" * 20)) as own:
        assert not (own.chatwoot_url or own.chatwoot_token or own.chatwoot_secret)


def test_a_scratch_service_asks_nobody_outside_unless_it_is_told_to(shop: Settings) -> None:
    outside = {"action_urls": ("http://shop.example",), "generation_url": "http://m.example"}
    with scratch(shop.replace(**outside)) as own:
        assert (own.action_urls, own.generation_url) == ((), "")
    with scratch(shop.replace(**outside), outside=True) as own:
        assert (own.action_urls, own.generation_url) == (
            ("http://shop.example",),
            "http://m.example",
        )


def test_the_clock_of_tests_goes_on_by_the_minute() -> None:
    clock = Clock()
    before = clock.now()
    assert clock.now() == before
    clock.go_on()
    assert (clock.now() - before).total_seconds() == 60


_GOOD = """
- name: an order
  steps:
    - user: where is my order
      action: answer
      intent: order_status
    - user: LY-100200
      bot: Order LY-100200 is under My account.
      slots: {order_number: LY-100200}
"""


def test_tests_that_hold_end_well_and_leave_nothing_behind(
    run: Any, shop: Settings, tmp_path: Path
) -> None:
    (tmp_path / "good.yaml").write_text(_GOOD, encoding="utf-8")
    result = run("test", "--tests", tmp_path / "good.yaml", "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "1 of 1 conversations as expected" in result.output
    assert json.loads((tmp_path / "out" / "results.json").read_text())["failed"] == 0
    assert (tmp_path / "out" / "junit.xml").is_file()
    assert rows(shop, tables.turns) == 0


def test_a_test_that_does_not_hold_ends_with_status_1(run: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        _GOOD.replace("intent: order_status", "intent: refund"), encoding="utf-8"
    )
    result = run("test", "--tests", tmp_path, "--output", tmp_path / "out")
    assert result.exit_code == 1
    assert "expected: refund" in result.output


def test_labelled_questions_give_pictures_and_errors(
    run: Any, questions: Path, tmp_path: Path
) -> None:
    (tmp_path / "good.yaml").write_text(_GOOD, encoding="utf-8")
    data = tmp_path / "test.csv"
    data.write_text(
        "text,intent\nhello bot,greeting\nwhere is my order,refund\nhi bot,oos\npoem,oos\n"
    )
    out = tmp_path / "out"
    arguments = ("--data", data, "--train", questions)
    result = run("test", "--tests", tmp_path / "good.yaml", "--output", out, *arguments)
    assert result.exit_code == 0, result.output
    for name in ("confusion_matrix", "confidence_histogram", "risk_coverage"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert json.loads((out / f"{name}.json").read_text())
    errors = json.loads((out / "errors.json").read_text())
    (wrong,) = errors["wrong_intent"]
    assert (wrong["line"], wrong["truth"], wrong["predicted"]) == (3, "refund", "order_status")
    assert wrong["nearest"][0]["label"] == "order_status"
    assert [each["text"] for each in errors["answered_out_of_scope"]] == ["hi bot"]
    service = json.loads((out / "risk_coverage.json").read_text())["service"]
    assert service["rows"] == 4
    assert service["accuracy_in_scope"] == 0.5
