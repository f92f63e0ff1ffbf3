"""What the knowledge base finds, how strong that is, and what is quoted."""

from __future__ import annotations

import numpy as np
import pytest

from services.customer_service.articles import Article, Passage, make_article
from services.customer_service.compose import (
    ScoredPassage,
    compose,
    join_sentences,
    plain,
)
from services.customer_service.contrast import CONTRAST
from services.customer_service.evidence import (
    NEVER,
    Bars,
    WordWeights,
    coverage,
    measure_needed,
    strength,
    words_of,
)
from services.customer_service.knowledge import Knowledge, Vectors

SHOP = [
    make_article("drones", title="Drones", body="A drone above 250 grams needs a registration."),
    make_article("cables", title="Cables", body="A cable for 100 watts is marked 100 W."),
    make_article("gifts", title="Gifts", body="We wrap a gift in green paper with a ribbon."),
    make_article(
        "zh", title="学生优惠", body="大学生可以领取学生优惠。优惠一年内有效。", language="zh"
    ),
]


def passage(text: str, *, key: str = "a#0", language: str = "en") -> Passage:
    return Passage(key, key.partition("#")[0], "Title", "/a", language, "", text)


# --- evidence ----------------------------------------------------------------------------------


def test_coverage_is_the_weighted_share_of_words() -> None:
    assert coverage({"drone": 3.0, "the": 1.0}, {"drone"}) == 0.75
    assert coverage({}, {"drone"}) == 0.0


def test_an_unreadable_question_is_judged_by_its_words_alone() -> None:
    assert strength(None, 0.4) == 0.4
    assert strength(0.6, 0.4) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("plural", "singular"),
    [("cables", "cable"), ("batteries", "battery"), ("glass", "glass"), ("bus", "bus")],
)
def test_plurals_count_as_their_singular(plural: str, singular: str) -> None:
    assert words_of(plural) == {singular}


def test_words_that_any_question_holds_weigh_little() -> None:
    weights = WordWeights([words_of(article.body) for article in SHOP * 50])
    weighed = weights.weigh(words_of("how do I register a zeppelin"))
    assert weighed["how"] < weighed["zeppelin"] / 2
    chinese = weights.weigh(words_of("怎么办"))
    assert chinese["怎么"] < weighed["zeppelin"] / 2


def test_nothing_to_search_is_never_evidence() -> None:
    needed = measure_needed(
        CONTRAST, np.ones(len(CONTRAST), bool), np.zeros((len(CONTRAST), 0)), [], WordWeights([])
    )
    assert needed.readable == Bars(NEVER, NEVER)


# --- search ------------------------------------------------------------------------------------


def test_without_vectors_words_find_the_passage() -> None:
    found = Knowledge(SHOP).search("registration of a drone above 250 grams", None)
    assert found.passages[0].passage.article_id == "drones"
    assert found.evidence >= found.bars.some


def test_a_script_without_spaces_is_found_too() -> None:
    found = Knowledge(SHOP).search("学生优惠怎么领取", None)
    assert found.passages[0].passage.article_id == "zh"
    assert found.evidence >= found.bars.some


def test_words_alone_are_never_beyond_chance() -> None:
    found = Knowledge(SHOP).search("A drone above 250 grams needs a registration", None)
    assert found.evidence < found.bars.strong


@pytest.mark.parametrize("question", ["who won the election", "", "🙂", "zxcv"])
def test_questions_of_another_world_find_nothing_that_counts(question: str) -> None:
    found = Knowledge(SHOP).search(question, None)
    assert found.evidence < found.bars.some


def test_an_empty_knowledge_base_knows_nothing() -> None:
    found = Knowledge([]).search("drone", None)
    assert found.passages == ()
    assert found.evidence < found.bars.some


def vectors(articles: list[Article], directions: dict[str, int], width: int = 8) -> Vectors:
    """Each article points somewhere of its own, and all contrast questions elsewhere."""
    of = {text: np.eye(width, dtype=np.float32)[width - 1] for text in CONTRAST}
    knowledge = Knowledge(articles)
    for each in knowledge.passages.values():
        if each.article_id in directions:
            of[each.digest] = np.eye(width, dtype=np.float32)[directions[each.article_id]]
    return Vectors("test", width, of, np.ones(len(CONTRAST), dtype=bool))


def test_with_vectors_meaning_finds_what_words_do_not() -> None:
    knowledge = Knowledge(SHOP, vectors(SHOP, {"drones": 0, "cables": 1, "gifts": 2, "zh": 3}))
    meaning = np.eye(8, dtype=np.float32)[1]
    found = knowledge.search("wires", meaning)
    assert found.passages[0].passage.article_id == "cables"
    assert found.evidence == pytest.approx(1.0)
    assert found.evidence >= found.bars.strong


def test_a_passage_without_a_vector_yet_is_still_found_by_its_words() -> None:
    knowledge = Knowledge(SHOP, vectors(SHOP, {"cables": 1}))
    found = knowledge.search("drone registration grams", np.eye(8, dtype=np.float32)[5])
    assert found.passages[0].passage.article_id == "drones"


# --- composing ---------------------------------------------------------------------------------

WORDS = {"drone": 3.0, "registration": 3.0}


def test_an_answer_is_made_of_whole_quotes_each_with_its_source() -> None:
    text = "Batteries are heavy. A drone needs a registration. It costs nothing. Fly low. Enjoy."
    composed = compose(WORDS, [ScoredPassage(passage(text), 1.0)], 0.5, "en")
    assert composed is not None
    assert composed.text == "Batteries are heavy. A drone needs a registration. It costs nothing."
    assert [source.quote for source in composed.sources] == [composed.text]
    assert composed.sources[0].title == "Title"


def test_what_is_asked_is_quoted_even_from_the_end_of_a_passage() -> None:
    text = " ".join(f"Sentence number {n} is long enough to fill the room." for n in range(9))
    composed = compose(
        WORDS, [ScoredPassage(passage(f"{text} A drone needs a registration."), 1.0)], 0.5, "en"
    )
    assert composed is not None
    assert composed.text.endswith("A drone needs a registration.")


def test_a_second_passage_is_quoted_when_it_says_more_of_what_was_asked() -> None:
    found = [
        ScoredPassage(passage("Every drone is tested."), 1.0),
        ScoredPassage(passage("Registration is free.", key="b#0"), 0.95),
        ScoredPassage(passage("Every drone is blue.", key="c#0"), 0.94),
        ScoredPassage(passage("Registration and drone.", key="d#0"), 0.5),
    ]
    composed = compose(WORDS, found, 0.4, "en")
    assert composed is not None
    assert [s.quote for s in composed.sources] == [
        "Every drone is tested.",
        "Registration is free.",
    ]


def test_the_language_of_the_question_is_preferred() -> None:
    found = [
        ScoredPassage(passage("无人机需要登记。", language="zh"), 1.0),
        ScoredPassage(passage("A drone needs a registration.", key="b#0"), 0.8),
    ]
    english, chinese = compose(WORDS, found, 0.5, "en"), compose(WORDS, found, 0.5, "zh")
    assert english is not None
    assert english.text == "A drone needs a registration."
    assert chinese is not None
    assert chinese.text == "无人机需要登记。"


def test_weak_passages_and_empty_ones_give_no_answer() -> None:
    assert compose(WORDS, [ScoredPassage(passage("A drone."), 0.4)], 0.5, "en") is None
    assert compose(WORDS, [ScoredPassage(passage("** **"), 1.0)], 0.5, "en") is None
    assert compose(WORDS, [], 0.5, "en") is None


def test_a_sentence_without_end_is_shortened() -> None:
    composed = compose(WORDS, [ScoredPassage(passage("drone " * 300), 1.0)], 0.5, "en")
    assert composed is not None
    assert len(composed.text) <= 402
    assert composed.text.endswith("…")


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("**Bold** and _soft_ and `code`", "Bold and soft and code"),
        ("See [the page](https://a.example/x) now", "See the page now"),
        ("- first\n- second", "first\nsecond"),
        ("1. first\n2. second", "first\nsecond"),
        ("snake_case stays, 2 * 3 stays", "snake_case stays, 2 * 3 stays"),
        ("<b>html</b> stays text", "<b>html</b> stays text"),
    ],
)
def test_markdown_loses_its_marks(markdown: str, text: str) -> None:
    assert plain(markdown) == text


def test_chinese_sentences_are_joined_without_a_blank() -> None:
    assert join_sentences(["好的。", "谢谢。"]) == "好的。谢谢。"
    assert join_sentences(["Fine.", "Thanks."]) == "Fine. Thanks."
