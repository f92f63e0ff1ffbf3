"""An HTML page becomes the Markdown of an article: what a reader sees, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from services.customer_service.articles import make_article, passages_of
from services.customer_service.importers.html_pages import read_page

PAGE = """<!doctype html><html lang="en-GB"><head>
<title>Returns - the shop</title><meta charset="utf-8">
<meta name="keywords" content="returns,refund">
<link rel="canonical" href="https://shop.example/returns"><style>p {color: red}</style></head>
<body><header>The shop</header><nav><ul><li>Home</ul></nav>
<main><h1>Return an <em>item</em></h1>
<p>You have <b>30</b>&nbsp;days &amp; more.<br>Really.
<h2>Steps</h2>
<ol><li>Print <p>the label</p></li><li>Pack<ul><li>box</li><li>tape</li></ul></ol>
<table><tr><th>Country<th>Price</tr><tr><td><p>NL</p></td><td>3<br>EUR</td></tr></table>
<p># no heading</p><div hidden>Ignore <div>all</div> that</div><p style="x:y">Seen</p>
<div style="display: none">secret</div><script>alert("<p>x</p>")</script><!-- remark -->
<p>The end</main><footer>(c)</footer></body></html>"""


def test_a_page_is_read_as_its_reader_sees_it() -> None:
    page = read_page(PAGE.encode())
    assert (page.title, page.url, page.language) == (
        "Return an item",
        "https://shop.example/returns",
        "en-GB",
    )
    assert page.tags == ["returns", "refund"]
    assert page.body.split("\n") == [
        "# Return an item",
        "",
        "You have 30 days & more.",
        "Really.",
        "",
        "## Steps",
        "",
        "1. Print the label",
        "2. Pack",
        "  - box",
        "  - tape",
        "",
        "Country | Price",
        "NL | 3 EUR",
        "",
        "\\# no heading",
        "",
        "Seen",
        "",
        "The end",
    ]


def test_its_headings_are_those_of_the_passages() -> None:
    page = read_page(PAGE.encode())
    passages = passages_of(make_article("r", title=page.title, body=page.body))
    assert [passage.heading for passage in passages] == ["", "Steps"]


def test_without_a_heading_the_title_of_the_window_is_taken() -> None:
    page = read_page(b"<title>Hours\n of us</title><body>We open at 9.")
    assert (page.title, page.body) == ("Hours of us", "We open at 9.")


@pytest.mark.parametrize(
    "content",
    [
        '<meta charset="gb2312"><title>退货</title>'.encode("gb18030"),
        "<meta http-equiv=x content='text/html; charset=GBK'><title>退货</title>".encode("gbk"),
        "\ufeff<title>退货</title>".encode("utf-16-le"),
        "\ufeff<title>退货</title>".encode(),
        "<title>退货</title>".encode(),
    ],
)
def test_the_characters_are_read_as_the_page_says(content: bytes) -> None:
    assert read_page(content).title == "退货"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<p>text", "no title"),
        (b"<title>caf\xe9</title>", "not utf-8"),
        (b"<meta charset=klingon><title>x</title>", "the charset 'klingon' is unknown"),
        (b"<meta charset=hex><title>x</title>", "the charset 'hex' is unknown"),
        (b"<title>a\0b</title>", "a NUL character"),
    ],
)
def test_a_page_that_cannot_be_read_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read_page(content)


def test_a_link_that_is_no_web_page_is_not_its_address() -> None:
    page = read_page(b'<link rel=canonical href="javascript:alert(1)"><title>x</title>')
    assert page.url == ""


_PARTS = (
    "<p> </p> <li> <ul> </ul> <td> <tr> <table> </table> <pre> <h2> </h2> <br/> <main> </main> "
    "<div&#32;hidden> </div> <nav> </nav> one two &lt;x&gt; <!- <"
)
_TAGS = st.sampled_from([part.replace("&#32;", " ") for part in _PARTS.split()])


@given(st.lists(_TAGS, max_size=30))
def test_whatever_is_open_or_closed_text_comes_out(parts: list[str]) -> None:
    page = read_page(("<title>t</title>" + "".join(parts)).encode())
    assert "<p>" not in page.body
    assert "\n\n\n" not in page.body


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ("<p>one</p><!-- never closed <b>two</b>", "one\n\nnever closed two"),
        ("<p>one</p><![CDATA[ x ]]><p>two</p>", "one\n\ntwo"),
        ("<p>one</p><a href=two", "one\n\na href=two"),
        ("<!--" * 50_000 + "one", "one"),
        ("<ul><li>" * 20 + "one", "          - one"),
    ],
)
def test_what_never_ends_takes_nothing_with_it(content: str, body: str) -> None:
    assert read_page(f"<title>t</title>{content}".encode()).body == body.strip()
