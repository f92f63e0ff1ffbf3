"""What is found in a message, of every kind, and which of several values is meant."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.customer_service.amounts import amount_spans
from services.customer_service.answers import AnswerBook
from services.customer_service.answers_reading import parse_slot
from services.customer_service.dates import date_spans
from services.customer_service.slots import Lookup, Moment, email_spans, han_number

# A Wednesday.
TODAY = Moment(date(2026, 3, 4), "en")
DAYS = st.dates(date(1900, 1, 1), date(2100, 12, 31))


def days(text: str, moment: Moment | None = TODAY, *, past: bool = False) -> list[str]:
    return [span.value for span in date_spans(text, moment, past=past)]


def sums(text: str, currency: str = "") -> list[str]:
    return [span.value for span in amount_spans(text, currency)]


# --- which of several ----------------------------------------------------------------------------

NUMBER = parse_slot("number", {"pattern": r"LY-\d{6}|\b4\d{3}\b"})


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("4711, no, 4712", "4712"),
        ("4711 no 4712", "4712"),
        ("LY-204518 not LY-204519", "LY-204518"),
        ("not LY-204519 but LY-204518", "LY-204518"),
        ("LY-204518, not my order number LY-204519!", "LY-204518"),
        ("不是 LY-204519 是 LY-204518", "LY-204518"),
        ("是 LY-204518 不是订单 LY-204519", "LY-204518"),
        ("是不是 LY-204519", "LY-204519"),
        ("I did not get LY-204518", "LY-204518"),
        ("4711 instead of 4712", "4711"),
        ("4711, sorry not 4711", None),
        ("not 4711, oh yes, 4711", "4711"),
        ("not LY-204519", None),
    ],
)
def test_the_later_value_counts_and_a_denied_one_never(text: str, meant: str | None) -> None:
    assert NUMBER.find(text) == meant


# --- dates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-12-24", "2026-12-24"),
        ("on 24.12.2026, please", "2026-12-24"),
        ("am 24.12.", "2026-12-24"),
        ("24.12.26", "2026-12-24"),
        ("12/24/2026", "2026-12-24"),
        ("24/12/2026", "2026-12-24"),
        ("3/4/2026", "2026-03-04"),
        ("24 December", "2026-12-24"),
        ("Dec. 24th, 2027", "2027-12-24"),
        ("2nd of March", "2027-03-02"),
        ("today", "2026-03-04"),
        ("Tomorrow!", "2026-03-05"),
        ("the day after tomorrow", "2026-03-06"),
        ("in two weeks", "2026-03-18"),
        ("3 days ago", "2026-03-01"),
        ("friday", "2026-03-06"),
        ("wednesday", "2026-03-11"),
        ("this wednesday", "2026-03-04"),
        ("next friday", "2026-03-13"),
        ("last friday", "2026-02-27"),
        ("明天", "2026-03-05"),
        ("大后天", "2026-03-07"),
        ("12月24日", "2026-12-24"),
        ("2026年12月24号", "2026-12-24"),
        ("十二月二十四日", "2026-12-24"),
        ("周五", "2026-03-06"),
        ("下周五", "2026-03-13"),
        ("三天后", "2026-03-07"),
        ("两周前", "2026-02-18"),
        ("29 february", "2028-02-29"),
    ],
)
def test_a_day_is_found_however_it_is_written(text: str, day: str) -> None:
    assert days(text) == [day]


@pytest.mark.parametrize(
    "text",
    [
        "31.02.2026",
        "1.2.3",
        "192.168.10.20",
        "LY-2024-12-24",
        "24/7",
        "每周五",
        "三周一次",
        "may",
        "99",
        "2026-13-01",
        "x2026-12-24",
        "in 4000 days",
        "the sun",
        "12月",
        "0.5.2026",
    ],
)
def test_what_is_no_day_is_none(text: str) -> None:
    assert days(text) == []


@pytest.mark.parametrize(
    ("locale", "day"),
    [
        ("en", "2026-11-12"),
        ("en-US", "2026-11-12"),
        ("en_GB", "2026-12-11"),
        ("de", "2026-12-11"),
        ("zh", "2026-11-12"),
        ("", "2026-11-12"),
    ],
)
def test_which_number_is_the_month_depends_on_the_language(locale: str, day: str) -> None:
    assert days("11/12/2026", Moment(TODAY.today, locale)) == [day]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("24.12.", "2025-12-24"),
        ("friday", "2026-02-27"),
        ("4 march", "2026-03-04"),
        ("12月24日", "2025-12-24"),
        ("29 feb", "2024-02-29"),
    ],
)
def test_a_slot_about_the_past_looks_back(text: str, day: str) -> None:
    assert days(text, past=True) == [day]


def test_without_a_clock_only_whole_dates_are_found() -> None:
    assert days("tomorrow, friday, 24.12., in 3 days, or 2026-12-24", None) == ["2026-12-24"]


@given(DAYS, st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y年%m月%d日", "%d %B %Y"]))
def test_every_day_written_out_is_read_back(day: date, form: str) -> None:
    assert days(f"on {day.strftime(form)}.") == [day.isoformat()]


@given(DAYS.filter(lambda day: day.year < 2090), st.integers(0, 6), st.booleans())
def test_a_weekday_is_of_its_name_and_within_a_week(today: date, weekday: int, past: bool) -> None:
    name = date(2024, 1, 1 + weekday).strftime("%A")
    (found,) = days(name, Moment(today), past=past)
    distance = date.fromisoformat(found) - today
    assert date.fromisoformat(found).weekday() == weekday
    assert timedelta(1) <= (-distance if past else distance) <= timedelta(7)


@given(st.text(max_size=60), st.booleans())
def test_no_text_breaks_the_search_and_all_places_are_in_it(text: str, past: bool) -> None:
    spans = date_spans(text, TODAY, past=past) + amount_spans(text, "EUR") + email_spans(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    for span in date_spans(text, TODAY, past=past):
        date.fromisoformat(span.value)


# --- amounts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20 euros", "20.00 EUR"),
        ("€20", "20.00 EUR"),
        ("20,50€", "20.50 EUR"),
        ("1.234,56 EUR", "1234.56 EUR"),
        ("1,234.56 USD", "1234.56 USD"),
        ("1 234,56 EUR", "1234.56 EUR"),
        ("1.234 EUR", "1234.00 EUR"),
        ("0.500 EUR", "0.50 EUR"),
        ("US$ 5.5", "5.50 USD"),
        ("$20", "20.00 USD"),
        ("¥20", "20.00 CNY"),
        ("20元", "20.00 CNY"),
        ("退20块", "20.00 CNY"),
        ("二十元", "20.00 CNY"),
        ("3万元", "30000.00 CNY"),
        ("20 欧元", "20.00 EUR"),
        ("order 4711 costs 20 euros", "20.00 EUR"),
        ("CHF 99.90", "99.90 CHF"),
    ],
)
def test_a_sum_is_found_however_it_is_written(text: str, value: str) -> None:
    assert sums(text) == [value]


@pytest.mark.parametrize(
    "text", ["20", "20 europeans", "neuro 20", "1.234.56 EUR", "一块屏幕", "3块屏幕", "12.2026 EUR"]
)
def test_what_is_no_sum_is_none(text: str) -> None:
    assert sums(text) == []


def test_a_bare_number_and_a_shared_sign_are_of_the_slots_currency() -> None:
    assert sums("20", "EUR") == ["20.00 EUR"]
    assert sums("it is 20", "EUR") == []
    assert sums("$20 or ¥20", "CAD") == ["20.00 CAD", "20.00 CNY"]


@given(
    st.decimals(Decimal("0.01"), Decimal("999999999.99"), places=2),
    st.sampled_from(["EUR {}", "{} euros", "€{}"]),
    st.booleans(),
)
def test_every_sum_is_read_back(value: Decimal, form: str, german: bool) -> None:
    written = f"{value:,.2f}"
    if german:
        written = written.translate(str.maketrans(",.", ".,"))
    assert sums(f"I paid {form.format(written)}!") == [f"{value:.2f} EUR"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("二十四", 24),
        ("十", 10),
        ("一百零五", 105),
        ("两千", 2000),
        ("24", 24),
        ("x", None),
        ("", None),
    ],
)
def test_chinese_numerals(text: str, number: int | None) -> None:
    assert han_number(text) == number


# --- e-mail and lists ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("write to Anna.B+x@Shop.Example.COM.", "Anna.B+x@shop.example.com"),
        ("邮箱anna@shop.example谢谢", "anna@shop.example"),
        ("anna@localhost", None),
        ("@anna", None),
        ("anna@shop.example@x", None),
    ],
)
def test_an_address_is_found(text: str, value: str | None) -> None:
    assert parse_slot("email", {"kind": "email"}).find(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("my GLOW 2 is dark", "Glow 2"),
        ("the glow", "Glow"),
        ("a glow2", None),
        ("glowing", None),
        ("glow two", "Glow 2"),
        ("手机壳坏了", "手机壳"),
        ("我的手机坏了", "手机"),
        ("not the Glow 2, the Glow", "Glow"),
    ],
)
def test_of_a_list_the_longest_word_is_found_in_any_case(text: str, value: str | None) -> None:
    said = {
        "kind": "lookup",
        "values": {"Glow": [], "Glow 2": ["glow two"], "手机": [], "手机壳": []},
    }
    assert parse_slot("product", said).find(text) == value


WORDS = st.text("abß 手机1", min_size=1, max_size=5).map(str.strip).filter(bool)


@given(st.lists(WORDS, min_size=1, max_size=8), st.text("abß 手机1", max_size=40))
def test_what_a_list_finds_stands_there_as_a_whole_word(words: list[str], text: str) -> None:
    for span in Lookup({word: word for word in words}).spans(text):
        place = text[span.start : span.end]
        assert place.casefold() == " ".join(span.value.split()).casefold()
        around = text[max(0, span.start - 1) : span.start + 1], text[span.end - 1 : span.end + 1]
        assert not any(len(pair) == 2 and all(c in "abß1" for c in pair) for pair in around)


@given(st.lists(WORDS, min_size=1, max_size=8), st.data())
def test_a_word_of_the_list_alone_is_always_found(words: list[str], data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(words))
    text = " ".join(word.split())
    (span,) = Lookup({word: word for word in words}).spans(text)
    assert (span.start, span.end) == (0, len(text))


def test_the_rest_of_a_message_is_without_values_of_every_kind() -> None:
    slots = [
        parse_slot("when", {"kind": "date"}),
        parse_slot("sum", {"kind": "amount"}),
        parse_slot("what", {"kind": "text"}),
    ]
    book = AnswerBook(slots={slot.name: slot for slot in slots})
    text = "20 euros by tomorrow, please"
    assert book.find_slots(text, TODAY) == {"when": "2026-03-05", "sum": "20.00 EUR"}
    assert book.without_values(text, TODAY).split() == ["by", ",", "please"]
