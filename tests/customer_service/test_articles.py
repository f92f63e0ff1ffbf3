"""Markdown with front matter becomes an article, and an article passages."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from services.customer_service.articles import make_article, parse_article, passages_of

ARTICLE = """---
title: "Delete your account"
url: https://shop.example/help/delete
lang: en
tags: [account, privacy]
---

## Do it yourself

Press Delete.

## What we keep

Invoices.
"""


def test_front_matter_and_body_are_told_apart() -> None:
    article = parse_article("delete", ARTICLE)
    assert article.title == "Delete your account"
    assert article.url == "https://shop.example/help/delete"
    assert article.tags == ("account", "privacy")
    assert article.body.startswith("## Do it yourself")


def test_passages_know_their_heading_and_are_searched_with_the_title() -> None:
    first, second = passages_of(parse_article("delete", ARTICLE))
    assert (first.key, first.heading, first.text) == ("delete#0", "Do it yourself", "Press Delete.")
    assert second.searched == "Delete your account. What we keep\nInvoices."
    assert first.digest != second.digest


def test_without_front_matter_the_first_heading_is_the_title() -> None:
    article = parse_article("a", "# Batteries #\n\nKeep them dry.")
    assert article.title == "Batteries"
    assert passages_of(article)[0].heading == ""


def test_without_a_language_the_script_tells() -> None:
    assert parse_article("a", "# 退货\n\n三十天内可以退货。").language == "zh"
    assert parse_article("a", "# Returns\n\nWithin 30 days.").language == "en"


def test_windows_line_ends_and_a_byte_order_mark_are_accepted() -> None:
    article = parse_article("a", "\ufeff" + ARTICLE.replace("\n", "\r\n"))
    assert article.title == "Delete your account"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("just text", "no title"),
        ("---\ntitle: [\n---\nbody", "no YAML"),
        ("---\n- a\n---\n# t\nbody", "key: value"),
        ("---\ntitle: T\n---\n", "`body` must be a text"),
        ("---\ntitle: 5\n---\nbody", "`title` must be a text"),
        ("---\ntitle: T\nurl: javascript:alert(1)\n---\nbody", "`url` must begin"),
        ("---\ntitle: T\nlang: '!!'\n---\nbody", "`lang` must be a tag"),
        ("---\ntitle: T\ntags: 5\n---\nbody", "`tags` must be a list"),
    ],
)
def test_a_wrong_article_is_refused_with_the_reason(content: str, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_article("a", content)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["javascript:x", "//evil.example", "data:text/html,x", "https://a b", "/\\evil", 5, "x" * 3000],
)
def test_a_link_leads_to_the_web_or_to_the_own_site(url: Any) -> None:
    with pytest.raises(InvalidInput):
        make_article("a", title="T", body="B", url=url)


@pytest.mark.parametrize("url", ["", None, "/help/x", "https://shop.example/a?b=c#d"])
def test_ordinary_links_are_taken(url: Any) -> None:
    assert make_article("a", title="T", body="B", url=url).url == (url or "")


@pytest.mark.parametrize("article_id", ["", "../x", "a b", "a/b", "x" * 201, "-a"])
def test_an_id_is_plain(article_id: str) -> None:
    with pytest.raises(InvalidInput):
        make_article(article_id, title="T", body="B")
