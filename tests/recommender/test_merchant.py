"""Feeds of Google Merchant become items, and hostile ones are refused by line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.data.records import Item
from core.errors import DataError
from services.recommender.importers import merchant_xml
from services.recommender.importers.catalogue import FORMATS, format_of, read_catalogue

NOW = datetime(2026, 11, 22, tzinfo=UTC).timestamp()
RSS = """<?xml version="1.0"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0">
<channel><title>The shop</title><link>https://shop.example</link>
<item>
  <g:id>c1</g:id>
  <title>Cup</title>
  <g:title><![CDATA[Cup &amp; <b>saucer</b>]]></g:title>
  <description>&lt;p&gt;Holds tea.&lt;/p&gt;</description>
  <link>https://shop.example/c1</link>
  <g:image_link>https://shop.example/c1.jpg</g:image_link>
  <g:additional_image_link>https://shop.example/2.jpg</g:additional_image_link>
  <g:additional_image_link>https://shop.example/3.jpg</g:additional_image_link>
  <g:price>1,015.00 USD</g:price>
  <g:availability>out of stock</g:availability>
  <g:item_group_id>cups</g:item_group_id>
  <g:product_type>Kitchen &gt; Cups</g:product_type>
  <g:product_type>Gifts</g:product_type>
  <g:google_product_category>2169</g:google_product_category>
  <g:brand>Potter</g:brand>
  <g:gtin>0012345678905</g:gtin>
  <g:condition>new</g:condition>
  <g:color>blue</g:color>
  <g:size>L</g:size>
  <g:adult>no</g:adult>
  <g:shipping><g:country>US</g:country><g:price>5 USD</g:price></g:shipping>
</item>
<item><g:id>c2</g:id><g:title>杯子 كوب</g:title></item>
</channel></rss>
"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">
<title>The shop</title><link rel="self" href="https://shop.example/feed"/>
<entry><id>urn:x</id><g:id>c1</g:id><title>Cup</title><summary>Holds tea.</summary>
<link rel="alternate" href="https://shop.example/c1"/><g:price>15.00 USD</g:price>
<g:availability>in_stock</g:availability></entry></feed>
"""
TSV = (
    "id\ttitle\timage link\tprice\tsale price\tavailability\tgoogle product category\tadult\n"
    "c1\tCup\thttps://shop.example/c1.jpg\t15.00 USD\t12.50 USD\tpreorder\tHome > Cups\tFALSE\n"
)


def write(folder: Path, text: str, name: str = "feed.xml", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def read(path: Path, chosen: str | None = None, now: float = NOW) -> list[Item]:
    return read_catalogue(path, chosen=chosen, now=now)


# --- XML ---------------------------------------------------------------------------------------


def test_a_feed_in_rss_becomes_items(tmp_path: Path) -> None:
    first, second = read(write(tmp_path, RSS))
    assert first == Item(
        item_id="c1",
        title="Cup & saucer",
        description="Holds tea.",
        category="Kitchen > Cups",
        brand="Potter",
        price=1015.0,
        currency="USD",
        availability="out_of_stock",
        item_group_id="cups",
        image="https://shop.example/c1.jpg",
        attributes={
            "link": "https://shop.example/c1",
            "additional_image_link": ["https://shop.example/2.jpg", "https://shop.example/3.jpg"],
            "google_product_category": "2169",
            "gtin": "0012345678905",
            "condition": "new",
            "color": "blue",
            "size": "L",
            "adult": False,
        },
        line=4,
    )
    assert (second.item_id, second.title, second.availability) == ("c2", "杯子 كوب", "in_stock")


def test_a_feed_in_atom_becomes_items(tmp_path: Path) -> None:
    (item,) = read(write(tmp_path, ATOM, "feed"))
    assert (item.item_id, item.title, item.description) == ("c1", "Cup", "Holds tea.")
    assert (item.price, item.attributes) == (15.0, {"link": "https://shop.example/c1"})


def test_a_feed_may_come_in_another_encoding(tmp_path: Path) -> None:
    text = RSS.replace('version="1.0"?', 'version="1.0" encoding="utf-16"?')
    assert read(write(tmp_path, text, encoding="utf-16"))[1].title == "杯子 كوب"


_BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 9))
HOSTILE = {
    "entity bomb": f'<!DOCTYPE rss [<!ENTITY a0 "x">{_BOMB}]>{RSS[22:].replace("Cup", "&a8;")}',
    "external entity": f'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>{RSS[22:]}',
    "external doctype": f'<!DOCTYPE rss SYSTEM "http://127.0.0.1/x.dtd">{RSS[22:]}',
    "deep": "<rss><channel><item>" + "<a>" * 5_000,
    "many fields": "<rss><item>" + "<a>x</a>" * 600 + "</item></rss>",
    "cut off": RSS[:500],
    "not XML": "<rss><item></rss>",
    "unknown encoding": '<?xml version="1.0" encoding="klingon"?><rss/>',
    "no feed": "<html><body>Not found</body></html>",
    "nothing in it": "<rss><channel/></rss>",
    "not UTF-8": "<rss>\udcff</rss>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_feed_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "feed.xml"
    path.write_bytes(HOSTILE[name].encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"feed\.xml"):
        read(path)


def test_a_file_that_is_too_large_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merchant_xml, "_MAX_BYTES", 100)
    with pytest.raises(DataError, match="at most 100 bytes"):
        read(write(tmp_path, RSS))


def test_a_text_without_end_is_cut(tmp_path: Path) -> None:
    title = "x " * 200_000
    feed = f"<rss><item><id>a</id><title>{title}</title></item></rss>"
    (item,) = read(write(tmp_path, feed))
    assert len(item.title) <= 1_000


# --- tables ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["feed.tsv", "feed.txt", "feed"])
def test_a_table_has_the_same_names_with_spaces_too(tmp_path: Path, name: str) -> None:
    (item,) = read(write(tmp_path, TSV, name))
    assert (item.price, item.currency, item.availability) == (12.5, "USD", "preorder")
    assert (item.category, item.image) == ("Home > Cups", "https://shop.example/c1.jpg")
    assert item.attributes["adult"] is False and item.attributes["regular_price"] == 15.0


@pytest.mark.parametrize(
    ("span", "price"),
    [
        ("", 12.5),
        ("2026-11-20T00:00+0100/2026-11-30T23:59+0100", 12.5),
        ("2026-11-20/2026-11-21", 15.0),
        ("2026-12-01T00:00Z / 2026-12-02T00:00Z", 15.0),
    ],
)
def test_a_sale_price_holds_while_it_is_in_effect(tmp_path: Path, span: str, price: float) -> None:
    header = "id\ttitle\tprice\tsale_price\tsale_price_effective_date\n"
    (item,) = read(write(tmp_path, f"{header}c1\tCup\t15 USD\t12.5 USD\t{span}\n", "f.tsv"))
    assert item.price == price and ("regular_price" in item.attributes) == (price == 12.5)


@pytest.mark.parametrize(
    ("word", "read_as"),
    [
        ("in stock", "in_stock"),
        ("in_stock", "in_stock"),
        ("In Stock", "in_stock"),
        ("out of stock", "out_of_stock"),
        ("out_of_stock", "out_of_stock"),
        ("preorder", "preorder"),
        ("pre-order", "preorder"),
        ("backorder", "backorder"),
        ("", "in_stock"),
    ],
)
def test_availability_in_each_spelling(tmp_path: Path, word: str, read_as: str) -> None:
    (item,) = read(write(tmp_path, f"id\ttitle\tavailability\nc1\tCup\t{word}\n", "f.tsv"))
    assert item.availability == read_as


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("\tCup\t1 USD\t", "`id`"),
        ("c2\t\t1 USD\t", "`title`"),
        ("c2\tCup\tcheap\t", "`price`"),
        ("c2\tCup\t1 USD\t1 EUR", "`sale_price`"),
        ("c1\tCup\t1 USD\t", "stands already on line 2"),
        ("c2\tCup\t1 USD", "expected 4 values"),
    ],
)
def test_a_bad_row_is_named_by_its_line_or_left_out(tmp_path: Path, row: str, named: str) -> None:
    header = "id\ttitle\tprice\tsale_price\n"
    path = write(tmp_path, f"{header}c1\tCup\t1 USD\t\n{row}\nc3\tPot\t2 USD\t\n", "f.tsv")
    with pytest.raises(DataError, match=f"line 3: .*{named}"):
        read(path)
    told: list[str] = []
    kept = read_catalogue(path, chosen=None, now=NOW, skip=lambda error: told.append(str(error)))
    assert [item.item_id for item in kept] == ["c1", "c3"]
    assert len(told) == 1 and named in told[0]


def test_a_bad_product_in_xml_is_named_by_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, RSS.replace("<g:id>c2</g:id>", ""))
    with pytest.raises(DataError, match="line 27: `id`"):
        read(path)


def test_columns_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column `title` missing; found id, name"):
        read(write(tmp_path, "id\tname\nc1\tCup\n", "f.tsv"))


# --- formats -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.csv", "item_id,title\n", "csv"),
        ("a.csv", 'id,"title"\n', "google-csv"),
        ("a.txt", "id\ttitle\n", "google-tsv"),
        ("a.tsv", "\ufeffg:id\ttitle\n", "google-tsv"),
        ("a.tsv", "item_id\ttitle\tid\n", "tsv"),
        ("a.csv", "item_id\ttitle\n", "tsv"),
        ("a.jsonl", '{"item_id": "a"}\n', "jsonl"),
        ("a", ' {"item_id": "a"}\n', "jsonl"),
        ("a.rss", "\ufeff\n<rss/>", "google-xml"),
        ("a.yaml", "- item_id: a\n", "yaml"),
        ("a.csv", "PAR1", "parquet"),
        ("a.csv", "", "csv"),
    ],
)
def test_the_content_tells_the_format(tmp_path: Path, name: str, text: str, found: str) -> None:
    assert format_of(write(tmp_path, text, name)) == found
    assert found in FORMATS


def test_a_format_can_be_forced(tmp_path: Path) -> None:
    path = write(tmp_path, "item_id\ttitle\tid\nc1\tCup\tx\n", "f.csv")
    assert read(path)[0].item_id == "c1"
    assert read(path, "google-tsv")[0].item_id == "x"


def test_the_command_offers_every_format() -> None:
    from services.recommender.cli import import_command

    option = next(p for p in import_command.params if p.name == "items_format")
    assert option.type.choices == FORMATS  # type: ignore[attr-defined]
