"""Does the sample store hold what its README promises, and can its tastes be learned?"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared_data" / "recommender"
EVENT_KINDS = {
    "impression",
    "view",
    "click",
    "comment",
    "share",
    "wishlist",
    "add_to_cart",
    "remove_from_cart",
    "purchase",
    "refund",
    "rating",
}
POSITIVE = {"click", "comment", "share", "wishlist", "add_to_cart", "purchase", "rating"}
LAST_TWO_WEEKS = "2026-09-17"
Row = dict[str, str]


def read_csv(name: str) -> list[Row]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def is_chinese(text: str) -> bool:
    return re.search(r"[\u4e00-\u9fff]", text) is not None


@pytest.fixture(scope="module")
def items() -> list[Row]:
    return read_csv("items.csv")


@pytest.fixture(scope="module")
def events() -> list[Row]:
    return read_csv("events.csv")


def test_items_have_the_documented_columns_and_no_gaps(items: list[Row]) -> None:
    columns = "item_id title description tags category brand price currency availability created_at"
    assert list(items[0]) == [*columns.split(), "item_group_id"]
    assert all(row[column].strip() for row in items for column in columns.split())


def test_the_catalogue_is_large_and_broad(items: list[Row]) -> None:
    assert len(items) >= 520
    assert len({row["category"] for row in items}) == 14
    assert len({row["brand"] for row in items}) >= 45
    assert 0.03 <= np.mean([is_chinese(row["title"]) for row in items]) <= 0.06


def test_item_ids_are_unique_and_titles_too(items: list[Row]) -> None:
    assert len({row["item_id"] for row in items}) == len(items)
    assert len({row["title"].lower() for row in items}) == len(items)


def test_descriptions_repeat_only_inside_a_variant_group(items: list[Row]) -> None:
    groups = defaultdict(set)
    for row in items:
        groups[row["description"]].add(row["item_group_id"] or row["item_id"])
    assert [text for text, owners in groups.items() if len(owners) > 1] == []


def test_titles_are_three_to_nine_words_and_tags_three_to_six(items: list[Row]) -> None:
    for row in items:
        tags = row["tags"].split("|")
        assert 3 <= len(set(tags)) == len(tags) <= 6, row["item_id"]
        if not is_chinese(row["title"]):
            assert 3 <= len(row["title"].split()) <= 9, row["item_id"]


def test_prices_are_positive_and_availability_is_known(items: list[Row]) -> None:
    assert min(float(row["price"]) for row in items) > 0
    counts = Counter(row["availability"] for row in items)
    assert set(counts) == {"in_stock", "out_of_stock", "preorder"}
    assert 0.04 <= counts["out_of_stock"] / len(items) <= 0.08


def test_items_were_added_over_eighteen_months_and_some_just_now(items: list[Row]) -> None:
    days = [date.fromisoformat(row["created_at"]) for row in items]
    assert date(2025, 4, 1) <= min(days) and max(days) < date(2026, 10, 1)
    assert 30 <= sum(row["created_at"] >= LAST_TWO_WEEKS for row in items) <= 50


def test_variant_groups_have_two_to_four_members_of_one_category(items: list[Row]) -> None:
    groups = defaultdict(list)
    for row in items:
        if row["item_group_id"]:
            groups[row["item_group_id"]].append(row["category"])
    assert len(groups) >= 12
    assert all(2 <= len(group) <= 4 and len(set(group)) == 1 for group in groups.values())


def test_events_have_the_documented_columns_and_kinds(events: list[Row]) -> None:
    assert list(events[0]) == ["user_id", "item_id", "event", "timestamp", "value", "event_id"]
    assert {row["event"] for row in events} == EVENT_KINDS


def test_the_log_is_large_enough_and_small_enough(events: list[Row]) -> None:
    assert 40_000 <= len(events) <= 70_000
    assert (FOLDER / "events.csv").stat().st_size <= 6_000_000
    assert len({row["user_id"] for row in events}) >= 1_100


def test_events_are_sorted_in_time_and_their_ids_are_unique(events: list[Row]) -> None:
    stamps = [row["timestamp"] for row in events]
    assert stamps == sorted(stamps)
    assert all(re.fullmatch(r"2026-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp) for stamp in stamps)
    assert stamps[0] >= "2026-06-03" and stamps[-1] < "2026-10-01"
    assert len({row["event_id"] for row in events}) == len(events)


def test_events_refer_to_items_that_were_in_the_shop(items: list[Row], events: list[Row]) -> None:
    added = {row["item_id"]: row["created_at"] for row in items}
    assert all(row["item_id"] in added for row in events)
    assert all(row["timestamp"][:10] >= added[row["item_id"]] for row in events)


def test_value_is_a_price_for_money_events_and_stars_for_ratings(
    items: list[Row], events: list[Row]
) -> None:
    price = {row["item_id"]: row["price"] for row in items}
    for row in events:
        if row["event"] in {"add_to_cart", "remove_from_cart", "purchase", "refund"}:
            assert row["value"] == price[row["item_id"]], row
        elif row["event"] == "rating":
            assert row["value"] in {"1", "2", "3", "4", "5"}, row
        else:
            assert row["value"] == "", row


def test_nobody_buys_what_was_never_put_into_the_cart(events: list[Row]) -> None:
    seen: set[tuple[str, str, str]] = set()
    needs = {"purchase": "add_to_cart", "refund": "purchase", "rating": "purchase"}
    for row in events:
        person, item, kind = row["user_id"], row["item_id"], row["event"]
        assert kind not in needs or (person, item, needs[kind]) in seen, row
        seen.add((person, item, kind))


def test_some_shoppers_and_some_items_are_new(items: list[Row], events: list[Row]) -> None:
    per_user = Counter(row["user_id"] for row in events)
    assert 100 <= sum(count <= 3 for count in per_user.values()) <= 180
    before = {row["item_id"] for row in events if row["timestamp"] < LAST_TWO_WEEKS}
    ever = {row["item_id"] for row in events}
    assert 35 <= len(items) - len(before) <= 60
    assert 3 <= len(items) - len(ever) <= 12


def test_the_sample_shoppers_are_in_the_log(events: list[Row]) -> None:
    text = (FOLDER / "shoppers.yaml").read_text(encoding="utf-8")
    named = re.findall(r"user_id: (\S+)", text)
    assert len(set(named)) == 6
    assert set(named) <= {row["user_id"] for row in events}
    assert all(len(re.findall(rf"^ +{key}: \S", text, re.M)) == 6 for key in ("label", "about"))


def test_the_readme_states_the_true_counts(items: list[Row], events: list[Row]) -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    people = len({row["user_id"] for row in events})
    assert f"{len(items)} products" in readme
    assert f"{len(events):,} events of {people:,} shoppers" in readme
    for kind, count in Counter(row["event"] for row in events).items():
        assert re.search(rf"^\| .*\b{kind}\b.* \|.*\b{count:,}\b", readme, re.M), (kind, count)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    again = tmp_path / "events.csv"
    command = [sys.executable, "-B", str(FOLDER / "simulate.py"), "--output", str(again)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert again.read_bytes() == (FOLDER / "events.csv").read_bytes()


def positive_pairs(
    items: list[Row], events: list[Row], share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two (users, items) tables of 0 and 1: the first `share` of the log, and what is new later."""
    user = {name: i for i, name in enumerate(sorted({row["user_id"] for row in events}))}
    item = {row["item_id"]: i for i, row in enumerate(items)}
    known, later = np.zeros((2, len(user), len(item)))
    for number, row in enumerate(events):
        if row["event"] in POSITIVE:
            table = known if number < share * len(events) else later
            table[user[row["user_id"]], item[row["item_id"]]] = 1.0
    return known, later * (known == 0)


def recall_at_20(scores: np.ndarray, known: np.ndarray, later: np.ndarray) -> float:
    """Mean over users with a history and something new; the full catalogue is ranked."""
    users = (known.sum(axis=1) > 0) & (later.sum(axis=1) > 0)
    ranked = np.argsort(-np.where(known > 0, -np.inf, scores), axis=1, kind="stable")[:, :20]
    found = np.take_along_axis(later, ranked, axis=1).sum(axis=1)
    return float(np.mean(found[users] / later[users].sum(axis=1)))


def test_tastes_can_be_learned_far_beyond_popularity(items: list[Row], events: list[Row]) -> None:
    known, later = positive_pairs(items, events, share=0.9)
    together = known.T @ known
    size = np.sqrt(np.diag(together))
    cosine = together / (np.outer(size, size) + 5.0)  # shrunk: few shared users say little
    np.fill_diagonal(cosine, 0.0)
    popular = recall_at_20(np.tile(known.sum(axis=0), (len(known), 1)), known, later)
    item_knn = recall_at_20(known @ cosine, known, later)
    print(f"recall@20: popular {popular:.3f}, item-kNN {item_knn:.3f}")
    assert item_knn > 0.2
    assert item_knn > 2 * popular
