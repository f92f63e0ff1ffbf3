"""Which public sets measure the recommender, and how is each cut into what was known and what came
later?

    uci        UCI Online Retail: purchases before 2011-11-01 are known. Stock codes that are no
               products (postage, fees, samples) and cancelled lines are left out.
    beauty     Amazon Beauty, 5-core: leave one out. The set has an order and no times, so each
               user's last event stands on one day, the one before on the day before, and so on.
    movielens  MovieLens small: the last tenth of the ratings in time came later.

Tags of MovieLens carry what users said at any time, so they are left out.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.common import public_data

DAY: Final = 86_400
# A product of UCI Online Retail has five digits, and perhaps letters behind them.
_PRODUCT = re.compile(r"\d{5}[A-Za-z]*")
Row = Mapping[str, object]


@dataclass(frozen=True)
class Cut:
    """Files of one set: what there is, what was known, what came later."""

    items: Path
    known: Path
    later: Path


def cut(name: str, folder: Path) -> Cut | None:
    """Write the three files of the set `name` into `folder`; None where the set is not here."""
    source = public_data(_SETS[name][0])
    if source is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    made = Cut(folder / "items.csv", folder / "known.csv", folder / "later.csv")
    items, known, later = _SETS[name][1](source)
    for path, rows in ((made.items, items), (made.known, known), (made.later, later)):
        _write(path, rows)
    return made


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _uci(source: Path) -> tuple[list[Row], list[Row], list[Row]]:
    cutoff = datetime(2011, 11, 1, tzinfo=UTC).timestamp()
    items: list[Row] = [
        {"item_id": row["item_id"], "title": row["title"], "price": row["median_price"]}
        for row in _rows(source / "items.csv")
        if _PRODUCT.fullmatch(row["item_id"])
    ]
    known: list[Row] = []
    later: list[Row] = []
    with gzip.open(source / "events.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["event"] != "purchase" or not _PRODUCT.fullmatch(row["item_id"]):
                continue
            moment = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC).timestamp()
            event = _event(row["user_id"], row["item_id"], "purchase", moment)
            (known if moment < cutoff else later).append(event)
    return items, known, later


def _beauty(source: Path) -> tuple[list[Row], list[Row], list[Row]]:
    items: list[Row] = [
        {"item_id": row["item_id"], "title": row["title"] or row["item_id"]}
        for row in _rows(source / "items.csv")
    ]
    known: list[Row] = []
    later: list[Row] = []
    for row in _rows(source / "user_sequences.csv"):
        sequence = row["item_ids_chronological"].split()
        for place, item in enumerate(sequence):
            days = 1_000 - (len(sequence) - 1 - place)
            last = place == len(sequence) - 1
            event = _event(row["user_id"], item, "purchase", days * DAY)
            (later if last else known).append(event)
    return items, known, later


def _movielens(source: Path) -> tuple[list[Row], list[Row], list[Row]]:
    items: list[Row] = [
        {
            "item_id": row["movieId"],
            "title": row["title"],
            "description": " ".join(filter(None, (row["tagline"], row["overview"]))),
            "tags": "|".join(filter(None, (row["genres"], row["keywords"]))),
        }
        for row in _rows(source / "items_enriched.csv")
    ]
    ratings = sorted(_rows(source / "ratings.csv"), key=lambda row: int(row["timestamp"]))
    cutoff = int(ratings[round(0.9 * len(ratings))]["timestamp"])
    known: list[Row] = []
    later: list[Row] = []
    for row in ratings:
        moment = int(row["timestamp"])
        event = _event(row["userId"], row["movieId"], "rating", moment) | {"value": row["rating"]}
        (known if moment < cutoff else later).append(event)
    return items, known, later


def _event(user: str, item: str, kind: str, moment: float) -> dict[str, object]:
    return {"user_id": user, "item_id": item, "event": kind, "timestamp": moment}


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


_SETS: Final[dict[str, tuple[str, Callable[[Path], tuple[list[Row], list[Row], list[Row]]]]]] = {
    "uci": ("uci_online_retail", _uci),
    "beauty": ("amazon_beauty_5core", _beauty),
    "movielens": ("movielens_latest_small", _movielens),
}
SETS: Final = tuple(_SETS)
