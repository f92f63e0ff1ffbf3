"""What is wrong in a company's files is left out and told; the rest gets in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from core.db.engine import make_engine, session_factory
from core.errors import DataError
from services.customer_service.answers import AnswerBook
from services.customer_service.cli import group
from services.customer_service.content import ContentStore
from services.customer_service.importers.answers import read_answers
from services.customer_service.importers.articles import read_articles
from services.customer_service.importers.run import run_import
from services.customer_service.settings import Settings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_one_wrong_intent_does_not_keep_out_the_others(tmp_path: Path) -> None:
    read = read_answers(
        written(
            tmp_path / "intents.yaml",
            "rules: {}\n"
            "slots: {n: {pattern: '\\d+'}, bad: {pattern: '('}}\n"
            "intents:\n"
            "  good: {answers: {en: ['Number {n}.']}}\n"
            "  wrong: {answers: {en: ['{nobody}']}}\n"
            "  5: {answers: {en: ['five']}}\n",
        )
    )
    assert [intent.name for intent in read.intents] == ["good"]
    assert [slot.name for slot in read.slots] == ["n"]
    assert [place for place, _ in read.left_out] == ["rules", "bad", "wrong", "5"]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("", "expected the sections"),
        ("- a\n- b", "expected the sections"),
        ("intents: [a]", "`intents`: expected entries by name, found list"),
        ("intents: {a: [", "not valid YAML"),
        (b"intents: {caf\xe9: {}}", "expected UTF-8"),
        ("a: !!python/object/apply:os.system ['true']", "not valid YAML"),
        ("[" * 400, "not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(
    tmp_path: Path, content: str | bytes, part: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_answers(written(tmp_path / "intents.yaml", content))
    assert part in str(caught.value)
    assert "intents.yaml" in str(caught.value)


def test_articles_are_named_by_their_path_and_bad_ones_are_told(tmp_path: Path) -> None:
    written(tmp_path / "a" / "one.md", "# One\n\nBody.")
    written(tmp_path / "a.one.md", "# The same id\n\nBody.")
    written(tmp_path / "latin.md", b"# Caf\xe9\n\nBody.")
    written(tmp_path / "nul.md", "# T\n\na\0b")
    written(tmp_path / "empty.md", "")
    written(tmp_path / "notes.txt", "not an article")
    read = read_articles(tmp_path)
    assert [article.article_id for article in read.articles] == ["a.one"]
    assert {place for place, _ in read.left_out} == {
        "a.one.md",
        "latin.md",
        "nul.md",
        "empty.md",
    } ^ ({"a.one.md", "a/one.md"} if read.articles[0].title == "The same id" else set())


def test_html_pages_stand_beside_markdown(tmp_path: Path) -> None:
    written(tmp_path / "one.md", "# One\n\nBody.")
    written(tmp_path / "two.html", "<html lang=nl><h1>Two</h1><h2>Part</h2><p>Text.</html>")
    written(tmp_path / "three.htm", "<p>No title.")
    written(tmp_path / "sub" / "four.HTML", "<title>Four</title><script>x</script>")
    read = read_articles(tmp_path)
    assert [(a.article_id, a.title, a.language) for a in read.articles] == [
        ("one", "One", "en"),
        ("two", "Two", "nl"),
    ]
    assert read.articles[1].body == "# Two\n\n## Part\n\nText."
    assert dict(read.left_out) == {
        "three.htm": "no title. Give the page an <h1> or a <title>.",
        "sub/four.HTML": "`body` must be a text that is not empty",
    }


def test_an_article_outside_the_folder_is_not_read(tmp_path: Path) -> None:
    secret = written(tmp_path / "secret.md", "# Secret\n\nBody.")
    written(tmp_path / "help" / "one.md", "# One\n\nBody.")
    (tmp_path / "help" / "two.md").symlink_to(secret)
    read = read_articles(tmp_path / "help")
    assert [article.article_id for article in read.articles] == ["one"]
    assert read.left_out == [("two.md", "a link that leads out of the folder")]


def test_a_folder_without_articles_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no Markdown"):
        read_articles(tmp_path)
    with pytest.raises(DataError, match="expected a folder"):
        read_articles(tmp_path / "nowhere")


def test_an_import_says_what_was_taken_and_can_be_repeated(
    make_settings: Callable[..., Settings], shop_files: Path
) -> None:
    def again() -> list[str]:
        report = run_import(
            make_settings(),
            answers=shop_files / "intents.yaml",
            articles=shop_files / "articles",
            now=lambda: NOW,
        )
        return report.lines()

    assert again() == [
        "slots: 2 new, 0 changed, 0 unchanged",
        "intents: 4 new, 0 changed, 0 unchanged",
        "articles: 3 new, 0 changed, 0 unchanged",
    ]
    assert again()[1] == "intents: 0 new, 0 changed, 4 unchanged"


def test_a_broken_file_changes_nothing(
    make_settings: Callable[..., Settings], shop_files: Path, tmp_path: Path
) -> None:
    settings = make_settings()
    broken = written(tmp_path / "broken.yaml", "intents: [")
    with pytest.raises(DataError):
        run_import(settings, answers=broken, articles=shop_files / "articles", now=lambda: NOW)
    report = run_import(settings, answers=None, articles=shop_files / "articles", now=lambda: NOW)
    assert report.lines() == ["articles: 3 new, 0 changed, 0 unchanged"]


def book_of(settings: Settings) -> AnswerBook:
    engine = make_engine(settings.database_url)
    try:
        return ContentStore(session_factory(engine), session_factory(engine)).book()
    finally:
        engine.dispose()


QUESTIONS = "question,answer,intent\nHi there,Welcome!,greeting\nOpen when?,At 9.,\nJoke?,,oos\n"


def test_questions_change_what_they_say_and_leave_the_rest_of_an_intent(
    make_settings: Callable[..., Settings], shop_files: Path, tmp_path: Path
) -> None:
    settings = make_settings()
    report = run_import(
        settings,
        answers=shop_files / "intents.yaml",
        articles=None,
        questions=written(tmp_path / "faq.csv", QUESTIONS),
        training_output=tmp_path / "out",
        now=lambda: NOW,
    )
    intents = book_of(settings).intents
    assert intents["greeting"].answers == {"en": ("Welcome!",), "zh": ("您好！",)}
    assert intents["greeting"].quick_replies["en"][0].title == "where is my order"
    assert intents["greeting"].title("en") == "Say hello"
    assert intents["open_when"].answers == {"en": ("At 9.",)}
    train = tmp_path / "out" / "train.csv"
    assert train.read_text(encoding="utf-8").splitlines() == [
        "text,intent",
        "Joke?,oos",
        "Hi there,greeting",
        "Open when?,open_when",
    ]
    assert not (tmp_path / "out" / "spans.jsonl").exists()
    assert report.lines() == [
        f"{train}: 3 questions of 2 intents",
        "intents with fewer than 5 questions, too few to be learnt well: greeting, open_when",
        "slots: 2 new, 0 changed, 0 unchanged",
        "intents: 5 new, 0 changed, 0 unchanged",
        f"next: trefoil customer-service train --data {train} --output model",
    ]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "nothing to import"),
        (["--articles", ".", "--training-output", "x"], "needs --questions or --rasa"),
    ],
)
def test_the_command_says_which_options_belong_together(options: list[str], reason: str) -> None:
    done = CliRunner().invoke(group, ["import", *options])
    assert done.exit_code == 2
    assert reason in done.output
