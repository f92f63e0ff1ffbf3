"""What is wrong in a company's files is left out and told; the rest gets in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import DataError
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
