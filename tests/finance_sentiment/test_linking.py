"""Are companies found by their names, and words that only look like them left alone?"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError
from core.text import normalize
from services.finance_sentiment.companies import Company, read_companies
from services.finance_sentiment.linking import CompanyLinker, fold

COMPANIES = (
    Company("Apple", "AAPL", "NASDAQ", ("Apple Inc.", "苹果公司")),
    Company("Gap Inc.", "GAP", "NYSE", ("The Gap, Inc.",), word_ticker=True),
    Company("Allstate", "ALL", "NYSE", word_ticker=True),
    Company("AT&T", "T", "NYSE", word_ticker=True),
    Company("Nvidia", "NVDA", "NASDAQ", ("英伟达",)),
    Company("ExxonMobil", "XOM", "NYSE", ("Exxon",)),
    Company("UPS", "UPS", "NYSE", word_ticker=True),
    Company("Bank of America", "BAC", "NYSE", ("美国银行",)),
    Company("Qualcomm", "QCOM", "NASDAQ", ("高通",)),
    Company("Tencent", "0700", "HKEX", ("腾讯控股", "腾讯")),
    Company("Nestlé", "NESN", "SIX", ("Nestle",)),
    Company("Harbour Lane", "HLNE", "DEMO", not_in=("Harbour Lane School",)),
    Company("Summit", "SMMT", "DEMO", word_name=True),
)
LINKER = CompanyLinker(COMPANIES)


@pytest.mark.parametrize(
    ("text", "companies"),
    [
        ("Apple’s results beat forecasts", "Apple"),
        ("Apple prices rise after frost", ""),
        ("Why investors in Apple wait", "Apple"),
        ("The Big Apple cuts taxes", ""),
        ("An apple a day", ""),
        ("APPLE PRICES RISE AFTER FROST", ""),
        ("APPLE INC. CUTS ITS OUTLOOK", "Apple"),
        ("Gap between rich and poor widens", ""),
        ("Shares of Gap jump", "Gap Inc."),
        ("$ALL up, all others down", "Allstate"),
        ("All banks closed", ""),
        ("Insurer (NYSE: ALL) files; ALL.N fell", "Allstate"),
        ("Rates (TSX: ALL) fell", ""),
        ("T-bills rally, T.N falls", "AT&T"),
        ("ＮＶＩＤＩＡ and nvidia rise", "Nvidia"),
        ("Nvidiary is no word", ""),
        ("see nvidia.com for more", ""),
        ("NVDA falls", "Nvidia"),
        ("XOM shares fall", "ExxonMobil"),
        ("XOM is a unit of measure", ""),
        ("UPS drivers strike", "UPS"),
        ("Ups and downs of the week", ""),
        ("UPS AND DOWNS OF THE WEEK", ""),
        ("Bank of America lifts bonuses", "Bank of America"),
        ("美国银行业盈利改善", ""),
        ("美国银行上调奖金", "Bank of America"),
        ("高通胀持续，高通发布芯片", "Qualcomm"),
        ("苹果公司发布新品", "Apple"),
        ("苹果丰收，果农发愁", ""),
        ("苹果股价走低", "Apple"),
        ("騰訊控股（0700.HK）回购", "Tencent"),
        ("Tencent (700.HK) rises", "Tencent"),
        ("包裹编号0700", ""),
        ("Nestlé and NESTLE are one", "Nestlé"),
        ("Harbour Lane sells, Harbour Lane School opens", "Harbour Lane"),
        ("Harbour Lane School opens", ""),
        ("Summit of leaders ends", ""),
        ("Rivals of Summit wait", "Summit"),
        ("", ""),
    ],
)
def test_a_text_names_these_companies(text: str, companies: str) -> None:
    assert LINKER.named(text) == tuple(filter(None, [companies]))


def test_the_longest_name_wins_and_a_span_shows_where() -> None:
    text = "英伟达 and The Gap, Inc. agree"
    spans = [(m.company, normalize(text)[m.start : m.end]) for m in LINKER.link(text)]
    assert spans == [("Nvidia", "英伟达"), ("Gap Inc.", "The Gap, Inc.")]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.sampled_from([c.name for c in COMPANIES]), st.text(max_size=60))
def test_whatever_surrounds_a_name_spans_stay_inside_and_in_order(
    before: str, name: str, after: str
) -> None:
    text = f"{before} {name} {after}"
    found = LINKER.link(text)
    plain = normalize(text)
    assert all(0 <= m.start < m.end <= len(plain) for m in found)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert len(fold(plain)) == len(plain)


def test_another_list_is_another_version_and_line_numbers_are_none_of_it() -> None:
    moved = [Company(c.name, c.ticker, c.exchange, c.aliases, line=7) for c in COMPANIES[:2]]
    assert CompanyLinker(COMPANIES[:2]).version != LINKER.version
    assert CompanyLinker([Company("A", line=1)]).version == CompanyLinker([Company("A")]).version
    assert len(moved) == 2


# --- the list -----------------------------------------------------------------------------------


def test_the_sample_list_is_read() -> None:
    root = Path(__file__).resolve().parents[2]
    found = read_companies(root / "shared_data" / "finance_sentiment" / "companies.yaml")
    assert len(found) > 200 and found[0].name == "Apple" and found[0].line > 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- name: A1\n- ticker: B\n", "name"),
        ("- name: '...'\n", "name of 1 to 80"),
        ("- name: " + "x" * 81 + "\n", "name of 1 to 80"),
        ("- {name: A1, aliases: B}\n", "list of texts"),
        ("- {name: A1, aliases: [1]}\n", "list of texts"),
        ("- {name: A1, word_ticker: maybe}\n", "true or false"),
        ("- {name: A1, ticker: 'A B'}\n", "ticker"),
        ("- name: A1\n- {name: B1, aliases: [a1]}\n", "stands already for 'A1', line 1"),
        ("- {name: A1, ticker: X}\n- {name: B1, ticker: X}\n", "stands already"),
    ],
)
def test_a_wrong_list_is_refused_with_the_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "companies.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=says) as raised:
        read_companies(path)
    assert "companies.yaml" in str(raised.value)
