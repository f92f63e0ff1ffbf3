"""Do texts with spans come out as they were marked, and is a wrong mark named by its line?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.tagged import Span, TaggedText, labels_of, parse_marked, read_tagged
from core.errors import DataError


def jsonl(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "spans.jsonl"
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def entity(start: Any, end: Any, label: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


def test_json_lines_keep_text_and_spans_with_the_line(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path,
        {"text": " to Rome", "entities": [entity(4, 8, "city")]},
        {"text": "从北京到上海", "entities": [entity(4, 6, "city"), entity(1, 3, "city")]},
        {"text": "nothing here"},
    )
    assert read_tagged(path) == [
        TaggedText(" to Rome", (Span(4, 8, "city"),), 1),
        TaggedText("从北京到上海", (Span(1, 3, "city"), Span(4, 6, "city")), 2),
        TaggedText("nothing here", (), 3),
    ]


@pytest.mark.parametrize(
    ("entities", "said"),
    [
        ([entity(0, 9, "city")], "0 ≤ start < end ≤ 8"),
        ([entity(-1, 3, "city")], "0 ≤ start"),
        ([entity(3, 3, "city")], "was: 3 to 3"),
        ([entity(2, 3, "city")], "only spaces"),
        ([entity(0, 4, "city"), entity(3, 8, "place")], "must not overlap"),
        ([entity("3", 8, "city")], "whole numbers"),
        ([entity(True, 8, "city")], "whole numbers"),
        ([entity(3, 8, " ")], "label"),
        (["Rome"], "expected start, end"),
        ({"start": 1}, "expected a list"),
    ],
)
def test_a_wrong_span_is_named_by_its_line(tmp_path: Path, entities: Any, said: str) -> None:
    path = jsonl(tmp_path, {"text": "fine"}, {"text": "to Roma.", "entities": entities})
    with pytest.raises(DataError, match=said) as caught:
        read_tagged(path)
    assert caught.value.line == 2


def test_markdown_as_rasa_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "nlu.md"
    path.write_text(
        "## intent:book\n"
        "- from [Paris](city) to [Rome](city:FCO)\n"
        '- on [monday]{"entity": "day", "role": "start"}\n'
        "\n"
        "<!-- a remark -->\n"
        "## synonym:Rome\n"
        "- roma\n"
        "## intent:greet\n"
        "- hello [you] there\n",
        encoding="utf-8",
    )
    assert read_tagged(path) == [
        TaggedText("from Paris to Rome", (Span(5, 10, "city"), Span(14, 18, "city")), 2),
        TaggedText("on monday", (Span(3, 9, "day"),), 3),
        TaggedText("hello [you] there", (), 9),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("- to [Rome](city", "not closed"),
        ("- to [Rome]()", "no label"),
        ("- to [](city)", "0 ≤ start < end"),
        ("- to [Rome]{entity: city}", "no JSON"),
        ('- to [Rome]{"value": "x"}', "no label"),
    ],
)
def test_a_wrong_mark_is_named_by_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "nlu.md"
    path.write_text(f"- fine\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=said) as caught:
        read_tagged(path)
    assert caught.value.line == 2


def test_files_of_other_kinds_and_empty_ones_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "nlu.md"
    empty.write_text("# only a heading\n", encoding="utf-8")
    with pytest.raises(DataError, match="no texts"):
        read_tagged(empty)
    with pytest.raises(DataError, match=r"ending in one of \.jsonl"):
        read_tagged(tmp_path / "spans.csv")
    with pytest.raises(DataError, match="no such file"):
        read_tagged(tmp_path / "missing.md")


def test_labels_are_sorted_and_distinct() -> None:
    rows = [parse_marked("[a](x) [b](w)"), parse_marked("[c](x)")]
    assert labels_of(rows) == ("w", "x")


WORDS = st.text("abc é北", min_size=1, max_size=6).filter(str.strip)


@given(st.lists(st.tuples(WORDS, st.sampled_from(["", "city", "day"])), min_size=1, max_size=6))
def test_marks_are_taken_out_and_name_what_they_held(parts: list[tuple[str, str]]) -> None:
    marked = "".join(f"[{word}]({label})" if label else word for word, label in parts)
    tagged = parse_marked(marked)
    assert tagged.text == "".join(word for word, _ in parts)
    found = [(tagged.text[s.start : s.end], s.label) for s in tagged.spans]
    assert found == [(word, label) for word, label in parts if label]
