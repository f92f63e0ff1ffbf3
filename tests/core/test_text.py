"""What do normalising, tokens, sentences and chunks promise?"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.text import (
    Chunk,
    chunk_markdown,
    comparison_key,
    for_model,
    is_cjk_heavy,
    language_of,
    normalize,
    split_sentences,
    word_tokens,
)

any_text = st.text(alphabet=st.characters(), max_size=200)
prose = st.text(alphabet="ab Z1.!?。，？“”'\n\t#-*`货退费é", max_size=300)


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("  two \t\n spaces  ", "two spaces"),
        ("ＡＢＣ　１２３", "ABC 123"),
        ("nul\x00 and bell\x07", "nul and bell"),
        ("zero\u200bwidth \ufeffmark", "zerowidth mark"),
        ("cafe\u0301", "café"),
        ("lone \ud800surrogate", "lone surrogate"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("family 👩\u200d👧", "family 👩\u200d👧"),
        ("", ""),
    ],
)
def test_normalize_folds_what_readers_do_not_see(raw: str, expected: str) -> None:
    assert normalize(raw) == expected


@settings(deadline=None)
@given(any_text)
def test_normalize_is_idempotent_and_safe_to_store(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    once.encode("utf-8")
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in once)


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("Shares fall https://t.co/AbC123 on weak demand", "Shares fall on weak demand"),
        ("profit &amp; loss &lt;up&gt;", "profit & loss <up>"),
        ("https://shop.example/a?b=c", "https://shop.example/a?b=c"),
        ("no link here: at 10:30", "no link here: at 10:30"),
        ("订单在哪里 http://x.example/1", "订单在哪里"),
    ],
)
def test_a_model_reads_no_links_and_no_character_references(raw: str, read: str) -> None:
    assert for_model(raw) == read


@given(st.text(max_size=80))
def test_what_a_model_reads_is_never_empty_where_the_text_is_not(text: str) -> None:
    assert bool(for_model(text)) == bool(text)


def test_a_tower_of_marks_is_cut_to_the_stream_safe_limit() -> None:
    assert len(normalize("a" + "\u0316" * 5000)) <= 32


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Where is my card?", "where is my card"),
        ("Don't!", "dont"),
        ("well-known", "Well known"),
        ("退货，怎么办？", "退货怎么办"),
        ("我的 iPhone 坏了", "我的iPhone坏了"),
        ("STRASSE", "straße"),
    ],
)
def test_texts_a_reader_calls_the_same_share_a_key(one: str, other: str) -> None:
    assert comparison_key(one) == comparison_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("+5%", "-5%"), ("1.5", "15"), ("?!", "..."), ("👍", "👎")]
)
def test_texts_that_mean_different_things_keep_different_keys(one: str, other: str) -> None:
    assert comparison_key(one) != comparison_key(other)


@pytest.mark.parametrize(
    ("text", "language", "cjk"),
    [
        ("Where is my parcel?", "en", False),
        ("我的包裹在哪里？", "zh", True),
        ("我的iPhone屏幕坏了", "zh", True),
        ("请问 refund policy 是什么", "zh", True),
        ("This phone is called 小米 in the shop", "en", False),
        ("今日は天気がいいです", "other", True),
        ("안녕하세요", "other", True),
        ("Где моя посылка", "other", False),
        ("12345 !!!", "other", False),
        ("", "other", False),
    ],
)
def test_language_is_told_by_script(text: str, language: str, cjk: bool) -> None:
    assert language_of(text) == language
    assert is_cjk_heavy(text) is cjk


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The shop's refunds, don't!", ["the", "shop", "refunds", "dont"]),
        ("Don’t", ["dont"]),
        ("GX-200", ["gx", "200"]),
        ("退货费", ["退", "货", "费", "退货", "货费"]),
        ("iPhone手机", ["iphone", "手", "机", "手机"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("Ｃａｆé", ["café"]),
        ("?! 👍", []),
        ("", []),
    ],
)
def test_word_tokens_serve_scripts_with_and_without_spaces(text: str, tokens: list[str]) -> None:
    assert word_tokens(text) == tokens


@settings(deadline=None)
@given(any_text)
def test_tokens_are_never_empty_and_do_not_depend_on_case_or_width(text: str) -> None:
    tokens = word_tokens(text)
    assert all(tokens)
    assert tokens == word_tokens(normalize(text))


def test_the_ascii_road_gives_the_same_tokens_as_the_general_one() -> None:
    text = "It's Anne's 2 dogs' day, rock'n'roll x'"
    assert word_tokens(text) == word_tokens(f"{text} é")[:-1]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It costs 3.50 today. Fine.", ["It costs 3.50 today.", "Fine."]),
        ("See Mr. Smith of Acme Inc. in town.", ["See Mr. Smith of Acme Inc. in town."]),
        ("Use e.g. Visa. Then wait.", ["Use e.g. Visa.", "Then wait."]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("退货要几天？三天。“好的。”他说", ["退货要几天？", "三天。", "“好的。”", "他说"]),
        ("Intro:\n- first\n- second", ["Intro:", "- first", "- second"]),
        ("a line\nwrapped here\n\nnew one", ["a line wrapped here", "new one"]),
        ("3. Press the button. Wait.", ["3. Press the button.", "Wait."]),
        ("   ", []),
    ],
)
def test_sentences_of_english_and_chinese(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@settings(deadline=None)
@given(prose)
def test_sentences_lose_no_character_but_white_space(text: str) -> None:
    assert squeezed("".join(split_sentences(text))) == squeezed(text)


def test_chunks_carry_the_path_of_headings_above_them() -> None:
    article = "# Returns ##\nIntro.\n\n## Fees\nNone.\n### Abroad\nTen euros.\n# Contact\nMail us."
    assert chunk_markdown(article) == [
        Chunk(("Returns",), "Intro."),
        Chunk(("Returns", "Fees"), "None."),
        Chunk(("Returns", "Fees", "Abroad"), "Ten euros."),
        Chunk(("Contact",), "Mail us."),
    ]


def test_paragraphs_are_packed_while_they_fit() -> None:
    assert [c.text for c in chunk_markdown("aaaa\n\nbbbb\n\ncccc", max_chars=10)] == [
        "aaaa\n\nbbbb",
        "cccc",
    ]


def test_a_long_paragraph_is_cut_between_sentences_then_words_then_letters() -> None:
    text = "One two. Three four five. " + "x" * 25
    assert [c.text for c in chunk_markdown(text, max_chars=12)] == [
        "One two.",
        "Three four",
        "five.",
        "x" * 12,
        "x" * 12,
        "x",
    ]


def test_a_hash_inside_a_code_fence_is_no_heading() -> None:
    text = "# Setup\n```\n# comment\n\nrun\n```\n#hashtag"
    assert chunk_markdown(text) == [Chunk(("Setup",), "```\n# comment\n\nrun\n```\n#hashtag")]


def test_a_fence_left_open_runs_to_the_end() -> None:
    assert chunk_markdown("~~~\n# a\n```\nb") == [Chunk((), "~~~\n# a\n```\nb")]


@settings(deadline=None)
@given(prose, st.integers(1, 80))
def test_no_chunk_is_empty_or_longer_than_the_limit(text: str, limit: int) -> None:
    assert all(0 < len(chunk.text) <= limit for chunk in chunk_markdown(text, limit))


@settings(deadline=None)
@given(st.text(alphabet="ab Z1.!?。“\n\t-*货", max_size=300), st.integers(1, 80))
def test_a_text_without_headings_is_kept_whole(text: str, limit: int) -> None:
    chunks = chunk_markdown(text, limit)
    assert squeezed("".join(c.text for c in chunks)) == squeezed(text)


def test_a_chunk_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, was: 0"):
        chunk_markdown("text", 0)
