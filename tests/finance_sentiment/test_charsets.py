"""Is a document that hides its encoding read, and one that states it left alone?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.finance_sentiment.charsets import guessed, in_utf8
from services.finance_sentiment.feed_formats import parse_feed

TITLES = {
    "gb18030": "远望银行上调全年利润预期，市场反应积极",
    "big5": "遠望銀行上調全年獲利預期，市場反應積極",
    "shift_jis": "銀行の利益が予想を上回り、株価が上がった",
    "euc_jp": "銀行の利益が予想を上回り、株価が上がった",
    "euc_kr": "은행 이익이 예상을 웃돌아 주가가 올랐다",
    "windows-1251": "Банк повысил прогноз прибыли на этот год",
    "koi8-r": "Банк повысил прогноз прибыли на этот год",
    "windows-1255": "הבנק העלה את תחזית הרווח לשנה הקרובה",
}


def feed(title: str, encoding: str, head: str = "") -> bytes:
    text = f"{head}<rss version='2.0'><channel><item><title>{title}</title></item></channel></rss>"
    return text.encode(encoding)


@pytest.mark.parametrize("encoding", TITLES)
def test_an_encoding_that_nobody_states_is_found_out(encoding: str) -> None:
    title = TITLES[encoding]
    [entry] = parse_feed(feed(title, encoding), content_type="text/xml").entries
    assert entry.title == title


def test_western_text_is_left_to_the_parser() -> None:
    title = "Le Crédit de Saint-Aubrée relève sa prévision à l'été"
    assert guessed(feed(title, "windows-1252")) is None
    [entry] = parse_feed(feed(title, "windows-1252")).entries
    assert entry.title == title


def test_what_headers_document_or_mark_state_is_believed() -> None:
    body = feed(TITLES["big5"], "big5")
    assert in_utf8(body, "text/xml; charset=big5") == body
    stated = feed(TITLES["big5"], "big5", "<?xml version='1.0' encoding='big5'?>")
    assert in_utf8(stated, "") == stated
    marked = feed("Öl", "utf-16")
    assert in_utf8(marked, "") == marked


@given(st.binary(max_size=300), st.text(max_size=30))
def test_no_bytes_raise(body: bytes, content_type: str) -> None:
    in_utf8(body, content_type).decode("utf-8", "replace")
