"""What do the readers of intents, news, items, events and stories accept, and refuse by line?"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from core.data.readers import (
    check_labels,
    read_events,
    read_intents,
    read_items,
    read_news,
    read_stories,
    read_texts,
)
from core.data.records import Event, Item, LabeledText, Story
from core.errors import DataError


@pytest.fixture
def write(tmp_path: Path):
    def _write(content: str, name: str = "rows.csv") -> Path:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return _write


def test_intents_are_texts_with_one_head(write) -> None:
    assert read_intents(write("text,intent,locale\n hi ,greet,en\n")) == [
        LabeledText("hi", {"intent": "greet"}, 2, {"locale": "en"})
    ]


@pytest.mark.parametrize(
    "row", [",greet", "   ,greet", "\u200b,greet", "\x01,greet", "hi,", "hi, "]
)
def test_an_empty_text_or_label_is_named_by_its_line(write, row: str) -> None:
    with pytest.raises(DataError, match=r"line 3: `(text|intent)`: expected a text, found"):
        read_intents(write(f"text,intent\nok,greet\n{row}\n"))


def test_whole_numbers_are_read_as_labels_but_true_and_false_are_not(write) -> None:
    assert read_intents(write('{"text": "hi", "intent": 7}', "r.jsonl"))[0].labels == {
        "intent": "7"
    }
    with pytest.raises(DataError, match=r"found False\. Put it in quotes"):
        read_intents(write("- {text: hi, intent: no}\n", "r.yaml"))


@pytest.mark.parametrize(
    ("columns", "row", "labels"),
    [
        ("text,sentiment", "up,positive", {"sentiment": "positive"}),
        ("text,topic", "up,markets", {"topic": "markets"}),
        ("topic,text,sentiment", "m,up, Neutral ", {"topic": "m", "sentiment": "neutral"}),
    ],
)
def test_news_have_the_heads_that_are_columns(write, columns: str, row: str, labels) -> None:
    assert read_news(write(f"{columns}\n{row}\n"))[0].labels == labels


def test_news_without_any_head_are_refused(write) -> None:
    with pytest.raises(DataError, match="expected column `sentiment` or `topic`"):
        read_news(write("text\nup\n"))


def test_a_sentiment_outside_the_three_is_refused(write) -> None:
    with pytest.raises(DataError, match="line 2: `sentiment`: expected one of positive, neutral"):
        read_news(write("text,sentiment\nup,bullish\n"))


def test_plain_texts_have_no_labels(write) -> None:
    assert read_texts(write("text\nhi\n")) == [LabeledText("hi", {}, 2)]


def test_an_item_with_every_column(write) -> None:
    header = "item_id,title,description,tags,category,brand,price,availability,created_at"
    first = "7,Kettle,Boils.,red|steel|red,kitchen,Acme,15.00 USD,out of stock,2026-01-01T00:00:00Z"
    content = f"{header},item_group_id,shelf\n{first},k,A1\n"
    assert read_items(write(content)) == [
        Item(
            item_id="7",
            title="Kettle",
            description="Boils.",
            tags=("red", "steel"),
            category="kitchen",
            brand="Acme",
            price=15.0,
            currency="USD",
            availability="out_of_stock",
            created_at=1767225600.0,
            item_group_id="k",
            line=2,
            attributes={"shelf": "A1"},
        )
    ]


def test_an_item_needs_no_more_than_id_and_title(write) -> None:
    assert read_items(write("item_id,title\n7,Kettle\n")) == [Item("7", "Kettle", line=2)]


def test_an_item_id_that_stands_twice_names_both_lines(write) -> None:
    with pytest.raises(DataError, match="line 3: item_id '7' stands already on line 2"):
        read_items(write("item_id,title\n7,Kettle\n7,Pot\n"))


@pytest.mark.parametrize(
    ("price", "read"),
    [
        ("15", (15.0, "")),
        ("15.00 USD", (15.0, "USD")),
        ("EUR 9.5", (9.5, "EUR")),
        ('"1,299.00 USD"', (1299.0, "USD")),
        ("0", (0.0, "")),
        ("", (None, "")),
    ],
)
def test_prices_with_and_without_currency(write, price: str, read: tuple[float, str]) -> None:
    (item,) = read_items(write(f"item_id,title,price\n7,Kettle,{price}\n"))
    assert (item.price, item.currency) == read


@pytest.mark.parametrize("price", ["-1", "free", "nan", "USD 1 EUR", '"1,5"', "$5"])
def test_what_is_no_price_is_refused(write, price: str) -> None:
    with pytest.raises(DataError, match="line 2: `price`: expected a price"):
        read_items(write(f"item_id,title,price\n7,Kettle,{price}\n"))


def test_a_decimal_price_of_a_parquet_file_is_a_number(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"item_id": 7, "title": "Kettle", "price": Decimal("9.50"), "tags": ["a", "b"]}]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "i.parquet")
    (item,) = read_items(tmp_path / "i.parquet")
    assert (item.item_id, item.price, item.tags) == ("7", 9.5, ("a", "b"))


@pytest.mark.parametrize(
    ("word", "availability"),
    [
        ("", "in_stock"),
        ("In Stock", "in_stock"),
        ("12", "in_stock"),
        ("0", "out_of_stock"),
        ("false", "out_of_stock"),
        ("Preorder", "preorder"),
        ("backorder", "backorder"),
    ],
)
def test_availability_is_a_word_or_a_count(write, word: str, availability: str) -> None:
    (item,) = read_items(write(f"item_id,title,availability\n7,Kettle,{word}\n"))
    assert item.availability == availability


def test_an_unknown_availability_is_refused(write) -> None:
    with pytest.raises(DataError, match="`availability`: expected one of in_stock"):
        read_items(write("item_id,title,availability\n7,Kettle,maybe\n"))


@pytest.mark.parametrize(
    ("text", "tags"), [("a|b, c", ("a", "b, c")), ("a; b", ("a", "b")), ("a,b", ("a", "b"))]
)
def test_tags_are_parted_by_bar_then_semicolon_then_comma(write, text: str, tags) -> None:
    (item,) = read_items(write(f'item_id,title,tags\n7,Kettle,"{text}"\n'))
    assert item.tags == tags


def test_an_event_with_every_column(write) -> None:
    content = (
        "user_id,item_id,event,timestamp,value,event_id,page\nu,7,Rating,1767225600,4.5,e1,p\n"
    )
    assert read_events(write(content)) == [
        Event("u", "7", "rating", 1767225600.0, 4.5, "e1", 2, {"page": "p"})
    ]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("1767225600", 1767225600.0),
        ("17", 17.0),
        ("1.5", 1.5),
        ("2026-01-01", 1767225600.0),
        ("2026-01-01 00:00:00", 1767225600.0),
        ("2026-01-01T08:00:00.250+08:00", 1767225600.25),
        ("20260101T000000Z", 1767225600.0),
    ],
)
def test_times_are_numbers_or_iso_8601_in_utc(write, time: str, seconds: float) -> None:
    (event,) = read_events(write(f"user_id,item_id,event,timestamp\nu,7,click,{time}\n"))
    assert event.timestamp == seconds


def test_yaml_dates_are_times_too(write) -> None:
    content = "- {user_id: u, item_id: 7, event: click, timestamp: 2026-01-01}\n"
    assert read_events(write(content, "e.yaml"))[0].timestamp == 1767225600.0


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("u,7,click,yesterday", "`timestamp`: expected a time in ISO 8601 or Unix seconds"),
        ("u,7,click,inf", "`timestamp`: expected a time"),
        ("u,7,click,", "`timestamp`: expected a time"),
        ("u,7,buy,1", "`event`: expected one of impression, view, click"),
        (",7,click,1", "`user_id`: expected a text"),
        ("u,,click,1", "`item_id`: expected a text"),
    ],
)
def test_a_bad_event_is_named_by_its_line(write, row: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read_events(write(f"user_id,item_id,event,timestamp\nu,7,click,1\n{row}\n"))
    assert caught.value.line == 3
    assert said in str(caught.value)


def test_a_value_that_is_no_number_is_refused(write) -> None:
    with pytest.raises(DataError, match="`value`: expected a number, found 'many'"):
        read_events(write("user_id,item_id,event,timestamp,value\nu,7,click,1,many\n"))


def test_a_history_may_be_empty_where_allowed(write) -> None:
    assert read_events(write("user_id,item_id,event,timestamp\n"), allow_empty=True) == []


def test_a_story_with_every_column(write) -> None:
    header = "published_at,topic,sentiment,title,source,story_id"
    content = f"{header}\n1970-01-01T00:01:00Z,oil,negative,Falls,wire,s1\n"
    assert read_stories(write(content)) == [
        Story(60.0, "oil", "negative", "Falls", "wire", "s1", 2)
    ]


def test_stories_name_missing_columns(write) -> None:
    with pytest.raises(DataError, match="columns `topic`, `sentiment` missing"):
        read_stories(write("published_at\n1\n"))


def texts(*pairs: tuple[str, str]) -> list[LabeledText]:
    return [
        LabeledText(text, {"intent": label}, line) for line, (text, label) in enumerate(pairs, 2)
    ]


def test_labels_are_counted_and_conflicts_reported() -> None:
    report = check_labels(texts(("Hi!", "greet"), ("hi", "leave"), ("hello", "greet")), "intent")
    assert report.counts == {"greet": 2, "leave": 1}
    assert report.single_row_classes == ("leave",)
    (conflict,) = report.conflicts
    assert (conflict.labels, conflict.lines) == (("greet", "leave"), (2, 3))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "at least 2 rows to learn from, found 0"),
        ([("hi", "greet")], "at least 2 rows to learn from, found 1"),
        ([("hi", "greet"), ("hello", "greet")], "found only 'greet'"),
    ],
)
def test_too_little_to_learn_from_is_refused(rows: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        check_labels(texts(*rows), "intent")
