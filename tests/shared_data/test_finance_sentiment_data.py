"""Is the finance-sentiment sample what its README says: complete, balanced, and our own?"""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import feedparser
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "shared_data" / "finance_sentiment"
PUBLIC = Path(os.environ.get("TREFOIL_BENCH_DATA") or ROOT.parent / "shared" / "data")
PUBLIC_SETS = (
    "financial_phrasebank",
    "twitter_fin_sentiment",
    "twitter_fin_topic",
    "gold_commodity_news",
    "news_stream_2018_2019",
)
TEXT_COLUMNS = {"text", "headline", "title", "description", "news", "summary", "sentence", "body"}
SENTIMENTS = {"positive", "neutral", "negative"}
ENTRIES = {
    "atom_markets.xml": 9,
    "atom_utf16.xml": 9,
    "rdf_world.rdf": 8,
    "rss091.xml": 8,
    "rss20_business_wire.xml": 10,
    "rss_gb2312.xml": 10,
    "rss_html_in_titles.xml": 10,
    "rss_no_guid_no_dates.xml": 9,
    "rss_undeclared_latin1.xml": 9,
    "rss_windows1252.xml": 10,
}
SURGES = {"banking": (-227 * 60, -207 * 60), "supply_chain": (-10 * 60, 0)}

Row = dict[str, str]
Words = tuple[str, ...]


def read_rows(name: str) -> list[Row]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def words(text: str) -> Words:
    """Case, width, addresses and punctuation do not make a text a different one."""
    plain = re.sub(r"https?://\S+", " ", unicodedata.normalize("NFKC", text).casefold())
    return tuple(re.findall(r"\w+", plain))


def shingles(tokens: Words) -> frozenset[Words]:
    """Runs of three words; a shorter text is one run."""
    if len(tokens) < 3:
        return frozenset([tokens])
    return frozenset(tokens[i : i + 3] for i in range(len(tokens) - 2))


def jaccard(a: frozenset[Any], b: frozenset[Any]) -> float:
    return len(a & b) / len(a | b) if a or b else 1.0


class ShingleIndex:
    """Which of our texts another text copies: Jaccard of three-word runs, counted exactly."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = list(texts)
        self._sizes: list[int] = []
        self._holders: dict[Words, list[int]] = defaultdict(list)
        for number, text in enumerate(self.texts):
            runs = shingles(words(text))
            self._sizes.append(len(runs))
            for run in runs:
                self._holders[run].append(number)

    def copies(self, text: str, threshold: float = 0.7) -> list[str]:
        runs = shingles(words(text))
        shared = Counter(number for run in runs for number in self._holders.get(run, ()))
        return [
            self.texts[number]
            for number, both in shared.items()
            if both / (len(runs) + self._sizes[number] - both) >= threshold
        ]


@pytest.fixture(scope="module")
def labelled() -> list[Row]:
    return read_rows("train.csv") + read_rows("test.csv")


@pytest.fixture(scope="module")
def replay() -> list[Row]:
    return read_rows("replay.csv")


@pytest.fixture(scope="module")
def companies() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = yaml.safe_load(
        (FOLDER / "companies.yaml").read_text(encoding="utf-8")
    )
    return listed


@pytest.fixture(scope="module")
def our_texts(labelled: list[Row], replay: list[Row]) -> ShingleIndex:
    """All labelled rows, and the titles of the replay stream."""
    return ShingleIndex([row["text"] for row in labelled] + [row["title"] for row in replay])


# Labelled headlines


def test_there_are_at_least_1500_rows_on_ten_topics_in_three_sentiments(
    labelled: list[Row],
) -> None:
    assert len(labelled) >= 1_500
    assert len({row["topic"] for row in labelled}) >= 10
    assert {row["sentiment"] for row in labelled} == SENTIMENTS


@pytest.mark.parametrize("name", ["train.csv", "test.csv"])
def test_a_labelled_file_has_the_three_columns_and_no_empty_cell(name: str) -> None:
    rows = read_rows(name)
    assert set(rows[0]) == {"text", "sentiment", "topic"}
    assert all(value and value == value.strip() for row in rows for value in row.values())


@pytest.mark.parametrize("name", ["train.csv", "test.csv"])
def test_each_sentiment_is_between_a_fifth_and_a_half(name: str) -> None:
    rows = read_rows(name)
    shares = {s: n / len(rows) for s, n in Counter(row["sentiment"] for row in rows).items()}
    assert all(0.2 <= shares.get(sentiment, 0) <= 0.5 for sentiment in SENTIMENTS), shares


def test_train_and_test_cover_the_same_topics() -> None:
    train, test = ({row["topic"] for row in read_rows(f"{name}.csv")} for name in ("train", "test"))
    assert train == test


def test_no_labelled_text_appears_twice(labelled: list[Row]) -> None:
    counts = Counter(words(row["text"]) for row in labelled)
    assert [" ".join(text) for text, count in counts.items() if count > 1] == []


def test_no_test_row_is_close_to_a_training_row() -> None:
    train = [(row["text"], frozenset(words(row["text"]))) for row in read_rows("train.csv")]
    test = [(row["text"], frozenset(words(row["text"]))) for row in read_rows("test.csv")]
    close = [
        (ours, theirs)
        for ours, our_words in test
        for theirs, their_words in train
        if jaccard(our_words, their_words) >= 0.8
    ]
    assert close == []


# Companies


def test_at_least_150_companies_have_unique_names_and_symbols(
    companies: list[dict[str, Any]],
) -> None:
    assert len(companies) >= 150
    assert len({company["name"].casefold() for company in companies}) == len(companies)
    assert len({(c["exchange"], c["ticker"]) for c in companies}) == len(companies)


def test_each_company_has_its_fields_as_text(companies: list[dict[str, Any]]) -> None:
    for company in companies:
        assert set(company) - {"word_ticker"} == {"name", "ticker", "exchange", "sector", "aliases"}
        texts = [company[key] for key in ("name", "ticker", "exchange", "sector")]
        assert all(isinstance(text, str) and text for text in texts + company["aliases"]), company
        assert company.get("word_ticker", True) is True


def test_no_name_or_alias_stands_for_two_companies(companies: list[dict[str, Any]]) -> None:
    names = [n.casefold() for c in companies for n in (c["name"], *c["aliases"])]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_tickers_that_are_words_are_marked_and_some_aliases_are_chinese(
    companies: list[dict[str, Any]],
) -> None:
    marked = {company["ticker"] for company in companies if company.get("word_ticker")}
    assert {"ALL", "NOW", "CAR", "IT", "SO", "KEY"} <= marked
    assert all(len(c["ticker"]) > 1 or c.get("word_ticker") for c in companies)
    assert sum(any(re.search("[一-鿿]", a) for a in c["aliases"]) for c in companies) >= 20


def test_invented_news_names_no_listed_company(
    companies: list[dict[str, Any]], replay: list[Row]
) -> None:
    real = [
        name
        for company in companies
        if company["exchange"] != "DEMO"
        for name in (company["name"], *company["aliases"])
        if len(name) >= 4 or not name.isascii()
    ]
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, real))})(?!\w)")
    texts = [row["title"] + " " + row["summary"] for row in replay]
    texts += [entry["title"] for name in ENTRIES for entry in parsed(name).entries]
    assert [text for text in texts if pattern.search(text)] == []


# Feeds


def parsed(name: str) -> Any:
    return feedparser.parse((FOLDER / "feeds" / name).read_bytes())


def test_every_feed_file_is_listed_here_and_in_the_readme() -> None:
    names = {path.name for path in (FOLDER / "feeds").iterdir()}
    assert names == {*ENTRIES, "jsonfeed.json"}
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [name for name in names if name not in readme] == []


@pytest.mark.parametrize(("name", "count"), ENTRIES.items())
def test_a_feed_parses_without_losing_an_entry(name: str, count: int) -> None:
    entries = parsed(name).entries
    assert len(entries) == count
    assert all(entry.get("title") for entry in entries)
    assert not any("\ufffd" in entry["title"] for entry in entries)


def test_the_json_feed_has_its_version_and_items() -> None:
    feed = json.loads((FOLDER / "feeds" / "jsonfeed.json").read_text(encoding="utf-8"))
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert len(feed["items"]) >= 8
    assert all(item["id"] and (item.get("title") or item["content_text"]) for item in feed["items"])


def test_odd_encodings_arrive_as_the_right_letters() -> None:
    assert "€410m, its “best summer" in parsed("rss_windows1252.xml").entries[0].title
    assert "Société" in parsed("rss_undeclared_latin1.xml").entries[0].title
    assert "星澜智途" in parsed("rss_gb2312.xml").entries[0].title
    assert "Gdańsk" in parsed("atom_utf16.xml").entries[3].title


# Replay stream


def offset(row: Row) -> int:
    return int(row["offset_minutes"])


def test_the_replay_spans_two_weeks_or_more_and_ends_at_zero(replay: list[Row]) -> None:
    offsets = [offset(row) for row in replay]
    assert offsets == sorted(offsets)
    assert offsets[0] <= -14 * 24 * 60
    assert offsets[-1] == 0


def test_regenerating_the_replay_gives_the_same_bytes() -> None:
    assert load_generator().replay_csv() == (FOLDER / "replay.csv").read_bytes()


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_replay", FOLDER / "make_replay.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name while they are made.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "make_replay", module)
        spec.loader.exec_module(module)
        return module


def test_the_replay_material_has_fourteen_patterns_a_topic_and_sentiment() -> None:
    material = yaml.safe_load((FOLDER / "replay_material.yaml").read_text(encoding="utf-8"))
    cells = [cell for topic in material["patterns"].values() for cell in topic.values()]
    assert len(cells) == 36
    assert min(map(len, cells)) >= 14
    assert sum(len(surge["stories"]) for surge in material["surges"]) >= 60


def test_a_title_repeats_only_within_its_story(replay: list[Row]) -> None:
    keys = defaultdict(set)
    for row in replay:
        keys[row["title"].removeprefix("UPDATE 1-").partition(" | ")[0]].add(row["story_key"])
    assert [title for title, stories in keys.items() if len(stories) > 1] == []


def test_no_slot_is_left_unfilled_and_addresses_are_unique(replay: list[Row]) -> None:
    assert not [row for row in replay if re.search(r"[{}]", row["title"] + row["summary"])]
    assert len({row["url"] for row in replay}) == len(replay)


def in_surge(row: Row) -> bool:
    first, last = SURGES.get(row["topic"], (1, 0))
    return first <= offset(row) <= last


@pytest.mark.parametrize("topic", SURGES)
def test_a_surge_is_mostly_negative_and_louder_than_other_weeks(
    topic: str, replay: list[Row]
) -> None:
    first, last = SURGES[topic]
    week = 7 * 24 * 60
    on_topic = [row for row in replay if row["topic"] == topic]
    now = [row for row in on_topic if first <= offset(row) <= last]
    week_before = [row for row in on_topic if first - week <= offset(row) <= last - week]
    assert sum(row["sentiment"] == "negative" for row in now) / len(now) > 0.45
    assert len(now) >= 1.5 * len(week_before)


def test_outside_the_surges_about_a_fifth_is_negative(replay: list[Row]) -> None:
    quiet = [row for row in replay if not in_surge(row)]
    share = sum(row["sentiment"] == "negative" for row in quiet) / len(quiet)
    assert 0.18 <= share <= 0.27


# Own words


def test_no_replay_title_repeats_a_labelled_row(labelled: list[Row], replay: list[Row]) -> None:
    index = ShingleIndex(row["text"] for row in labelled)
    titles = {row["title"] for row in replay}
    assert [(title, copies) for title in titles if (copies := index.copies(title))] == []


def public_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Each text-like cell of each CSV file, with the file's name."""
    for path in sorted(folder.rglob("*.csv")):
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.DictReader(file):
                for column, cell in row.items():
                    if cell and column and column.strip().casefold() in TEXT_COLUMNS:
                        yield path.name, cell


@pytest.mark.parametrize("name", PUBLIC_SETS)
def test_no_text_of_ours_is_close_to_a_public_one(name: str, our_texts: ShingleIndex) -> None:
    folder = PUBLIC / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not in {PUBLIC}; set TREFOIL_BENCH_DATA to the public sets")
    compared = 0
    close: set[tuple[str, str]] = set()
    for file_name, text in public_texts(folder):
        compared += 1
        # An equal text has a Jaccard of 1, so that this finds exact copies as well.
        close.update((file_name, ours) for ours in our_texts.copies(text))
    assert compared > 0, f"expected text columns {sorted(TEXT_COLUMNS)} in {folder}, came none"
    assert sorted(close) == []
