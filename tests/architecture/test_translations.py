"""Does every text of a page exist in Chinese, with the same places for values?"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / "core" / "web"
FOLDERS = [
    SHARED,
    *(
        ROOT / "services" / name
        for name in ("demo", "customer_service", "finance_sentiment", "recommender")
    ),
]
# t("…"), t('…') and t(`…`) in templates and modules; a text with a value in it is no constant.
CALL = re.compile(r"""(?<![\w.])t\(\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`$]*`)""")
COMMENT = re.compile(r"^\s*(//|/?\*).*$", re.MULTILINE)
PLACE = re.compile(r"\{(\w+)\}")


def texts_of(folder: Path) -> dict[str, str]:
    """English → Chinese, of a folder alone."""
    file = folder / "texts_zh.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def used_in(folder: Path) -> dict[str, str]:
    """The texts that templates and modules ask for, and a file that does."""
    found = {}
    for file in sorted([*folder.glob("templates/*.html"), *folder.glob("static/*.js")]):
        code = COMMENT.sub("", file.read_text(encoding="utf-8"))
        for quoted in CALL.findall(code):
            text = re.sub(r"\\(.)", r"\1", quoted[1:-1])
            found[text] = str(file.relative_to(ROOT))
    return found


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_text_of_the_pages_is_there_in_chinese(folder: Path) -> None:
    known = texts_of(SHARED) | texts_of(folder)
    assert {text: file for text, file in used_in(folder).items() if text not in known} == {}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_translation_has_the_places_of_its_original(folder: Path) -> None:
    unlike = {
        english: chinese
        for english, chinese in texts_of(folder).items()
        if set(PLACE.findall(english)) != set(PLACE.findall(chinese))
    }
    assert unlike == {}


def test_the_search_finds_texts_in_modules_and_templates() -> None:
    assert "API key" in used_in(SHARED)
    assert "Skip to content" in used_in(SHARED)
