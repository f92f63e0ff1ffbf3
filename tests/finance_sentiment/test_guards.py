"""Are stories with other figures, names, directions or stages kept apart, and rewordings not?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.finance_sentiment.duplicates import bands, common_share, near_in_words
from services.finance_sentiment.guards import bare_title, refusal


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ("Arden Bank profit up 5%", "Arden Bank profit down 5%", "opposite directions"),
        ("Arden Bank profit up 5%", "Arden Bank profit up 6%", "other figures"),
        ("Arden Bank profit up 5%", "Orme Bank profit up 5%", "other names"),
        ("Arden raises $2 billion", "Arden raises $2 million", "other figures"),
        ("Sales dip in March", "Sales dip in April", "other names"),
        ("Oil higher as stocks shrink", "Oil lower as stocks build", "opposite directions"),
        ("Arden in talks", "Arden not in talks", "one denies"),
        ("Arden to buy Orme", "Arden completes purchase of Orme", "one is a sequel"),
        ("Arden to report results", "Arden reports results", "one is a preview"),
        ("Arden names new CEO", "Arden names new finance chief", "other roles"),
        ("阿登银行利润增长5%", "阿登银行利润下降5%", "opposite directions"),
        ("阿登银行利润增长5%", "阿登银行利润增长6%", "other figures"),
        ("阿登银行利润增长5%", "奥姆银行利润增长5%", "other words"),
        ("贸易逆差收窄", "贸易逆差扩大", "other words"),
        ("周一关注的股票", "周二关注的股票", "other words"),
        ("Arden to buy Orme", "Orme to buy Arden for $1 bln", "swapped sides"),
        ("阿登银行收购奥姆信托", "奥姆信托收购阿登银行", "swapped sides"),
        ("Arden pilots strike", "Arden pilots call off strike", "one is called off"),
        ("Arden drug fails trial", "Arden drug succeeds in trial", "opposite directions"),
        ("6月CPI上涨1%", "6月PPI上涨1%", "other names"),
        ("十四五规划公布", "十五五规划公布", "other figures"),
    ],
)
def test_what_speaks_against_one_story_keeps_two_apart(first: str, second: str, why: str) -> None:
    assert refusal(first, second) == refusal(second, first) == why


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Arden Bank posts 5% rise in profit", "Profit at Arden Bank rises 5 percent"),
        ("Arden raises $2.5 bln", "Arden raises 2,500 million dollars"),
        ("Six hurt in fire at Orme plant", "Fire at Orme plant hurts 6"),
        ("EXCLUSIVE: Arden sells unit", "Arden sells unit | Marketline"),
        ("Arden trims output as costs climb", "Arden reduces output on rising costs"),
        ("Strong Asian demand lifts Arden", "Arden lifted by strong demand in Asia"),
        ("三月通胀率降至2.1%", "3月通胀率跌至2.1%"),
        ("【公司】阿登银行拟出售业务", "阿登银行将出售业务"),
        ("Arden buys Orme", "Orme bought by Arden"),
        ("Arden and Orme agree merger", "Orme and Arden agree merger"),
        ("阿登与奥姆合并", "奥姆与阿登合并"),
        ("Merrow outage hits banks", "Banks hit by outage at Merrow"),
        ("U.S. exports rise", "US exports climb"),
        ("Arden to close forty shops", "Arden to close 40 shops"),
        ("Arden resumes output", "Arden restarts output"),
        ("阿登将裁员百分之十", "阿登裁员约10%"),
        ("阿登投资六十亿元", "阿登投资60亿元"),
    ],
)
def test_rewordings_pass(first: str, second: str) -> None:
    assert refusal(first, second) == ""


def test_what_outlets_put_around_a_headline_is_left_aside() -> None:
    assert bare_title("UPDATE 2-Arden sells unit") == "Arden sells unit"
    assert bare_title("【快讯】阿登银行") == "阿登银行"
    assert bare_title("EXCLUSIVE:") == "EXCLUSIVE:"
    assert bare_title("BRIEF-Arden sells unit - The Daily Ledger") == "Arden sells unit"
    assert bare_title("Arden sells unit - sources say so") == "Arden sells unit - sources say so"
    assert bare_title("阿登出售业务（来源：晨报）") == "阿登出售业务"


def test_words_decide_only_where_one_says_no_more_than_the_other() -> None:
    assert near_in_words("Port strike halts exports in Brazil", "Port strike halts exports") > 0
    assert near_in_words("Farm exports hit by port strike", "Farm exports hit by drought") == 0


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_raises_and_order_does_not_matter(first: str, second: str) -> None:
    assert refusal(first, second) == refusal(second, first)
    assert refusal(first, first) == ""
    assert common_share(first, second) == common_share(second, first)
    assert bands(first) == bands(first)
    assert all(-(2**63) <= band < 2**63 for band in bands(first))


def test_near_headlines_share_a_band() -> None:
    first = "Merrow Cloud outage hits banks and airlines in Europe"
    second = "Outage at Merrow Cloud hits European banks and airlines"
    assert set(bands(first)) & set(bands(second))
    assert not set(bands(first)) & set(bands("Wheat futures jump after drought damages harvest"))
