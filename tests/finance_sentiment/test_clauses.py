"""Is what a story says of one company told from what it says of another?"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.text import normalize
from services.finance_sentiment.clauses import MAX_COMPANIES, clauses, told_apart
from services.finance_sentiment.companies import Company
from services.finance_sentiment.domain import Label
from services.finance_sentiment.entities import companies_of
from services.finance_sentiment.linking import CompanyLinker
from services.finance_sentiment.merging import Reading

NAMES = ("Marrow", "Vellmar", "Osterholt", "清禾银行", "星澜智途", "Arvenne")
LINKER = CompanyLinker([Company(name) for name in NAMES])


def apart(text: str) -> dict[str, str]:
    """Company → its clause, its sentiment by rule, or "" for the story's label."""
    return {one.company: one.clause or one.sentiment for one in told_apart(text, LINKER.link(text))}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Marrow rises", {"Marrow": ""}),
        ("No company here", {}),
        (
            "Marrow rises while Vellmar falls",
            {"Marrow": "Marrow rises", "Vellmar": "Vellmar falls"},
        ),
        ("Marrow, Vellmar and Osterholt rise", {"Marrow": "", "Vellmar": "", "Osterholt": ""}),
        (
            "Marrow falls, Vellmar and Osterholt rise",
            {
                "Marrow": "Marrow falls",
                "Vellmar": "Vellmar and Osterholt rise",
                "Osterholt": "Vellmar and Osterholt rise",
            },
        ),
        (
            "Analysts upgrade Marrow and downgrade Vellmar",
            {"Marrow": "Analysts upgrade Marrow", "Vellmar": "downgrade Vellmar"},
        ),
        ("Marrow and rival Vellmar rise", {"Marrow": "", "Vellmar": ""}),
        ("Marrow overtakes Vellmar in sales", {"Marrow": "positive", "Vellmar": "negative"}),
        ("Marrow sues Vellmar", {"Marrow": "neutral", "Vellmar": "negative"}),
        ("Marrow wins a contract from Vellmar", {"Marrow": "positive", "Vellmar": "negative"}),
        (
            "清禾银行利润大增，星澜智途却出现亏损",
            {"清禾银行": "清禾银行利润大增", "星澜智途": "星澜智途却出现亏损"},
        ),
        ("清禾银行与星澜智途双双被罚", {"清禾银行": "", "星澜智途": ""}),
        ("星澜智途起诉清禾银行侵权", {"星澜智途": "neutral", "清禾银行": "negative"}),
        ("清禾银行被星澜智途起诉", {"清禾银行": "negative", "星澜智途": "neutral"}),
        ("星澜智途销量超过Arvenne", {"星澜智途": "positive", "Arvenne": "negative"}),
    ],
)
def test_each_company_gets_what_is_said_of_it(text: str, said: dict[str, str]) -> None:
    assert apart(text) == said


def test_a_list_of_many_companies_is_no_story_of_each() -> None:
    many = CompanyLinker([Company(f"Zorro{n}") for n in range(MAX_COMPANIES + 1)])
    text = "; ".join(f"Zorro{n} rises" for n in range(MAX_COMPANIES + 1))
    assert {one.basis for one in told_apart(text, many.link(text))} == {"story"}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([*NAMES, " rises", ", ", " while ", "；", "而", " and ", ". ", "降"]),
        max_size=14,
    )
)
def test_clauses_hold_the_whole_text_and_each_company_once(parts: list[str]) -> None:
    text = normalize(" ".join(parts))
    mentions = LINKER.link(text)
    found = clauses(text, mentions)
    assert "".join(text[low:high] for low, high in found) == text
    told = [one.company for one in told_apart(text, mentions)]
    assert told == list(dict.fromkeys(m.company for m in mentions))


# --- one pass of the model ---------------------------------------------------------------------


def by_words(texts: Sequence[str]) -> Reading:
    """A model that knows two words, and cannot read a third."""
    asked.append(list(texts))
    labels = []
    for text in texts:
        sentiment = "negative" if "falls" in text else "positive"
        readable = "???" not in text
        said = sentiment if readable else None
        labels.append(Label("v1", said, None, 0.1, 0.2, 0.7, None, readable))
    return Reading(labels)


asked: list[list[str]] = []


def test_clauses_are_read_in_the_batch_of_the_stories() -> None:
    asked.clear()
    texts = ["Marrow rises while Vellmar falls", "Marrow falls", "nothing"]
    reading, found = companies_of(LINKER, texts, by_words)
    assert [len(batch) for batch in asked] == [5]
    assert [label.sentiment for label in reading.labels] == ["negative", "negative", "positive"]
    told = [[(one.company, one.sentiment, one.basis) for one in of] for of in found]
    assert told == [
        [("Marrow", "positive", "clause"), ("Vellmar", "negative", "clause")],
        [("Marrow", "negative", "story")],
        [],
    ]


def test_without_a_list_nothing_more_is_read() -> None:
    asked.clear()
    reading, found = companies_of(None, ["Marrow rises while Vellmar falls"], by_words)
    assert asked == [["Marrow rises while Vellmar falls"]] and found == [[]]
    assert len(reading.labels) == 1


def test_a_clause_that_cannot_be_read_falls_back_to_the_story() -> None:
    _, [found] = companies_of(LINKER, ["Marrow ??? while Vellmar falls"], by_words)
    told = {one.company: (one.sentiment, one.basis) for one in found}
    assert told == {"Marrow": (None, "story"), "Vellmar": ("negative", "clause")}


def test_of_a_story_that_cannot_be_read_no_verb_says_anything() -> None:
    _, [found] = companies_of(LINKER, ["Marrow sues Vellmar ???"], by_words)
    assert [(one.sentiment, one.basis) for one in found] == [(None, "story"), (None, "story")]
