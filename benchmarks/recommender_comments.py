"""What does a comment in words do to the ranking, if it warns of the item, and if it praises it?

    python -m benchmarks.recommender_comments [--model DIR]

The sample shop with a model trained on its log (preset fast, here, or `--model`). For each of a
dozen warnings and a dozen praises a new user clicks on two items of another category; all items are
ranked for them, over HTTP, before and after they write the comment. Told is how many places the
item itself, its five most similar items, and all others moved up (medians, with the quartiles), and
how often the item itself moved up at all. Beside it stands the same comment with one and with five
stars, and a click on the item in its place.

The bar: a warning in words alone lifts the item itself by no place in the median.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from benchmarks.common import ROOT, save, table, verdict
from core.artifacts import Registry
from services.recommender.app import create_app
from services.recommender.importing import run_import
from services.recommender.model import KIND
from services.recommender.settings import Settings
from services.recommender.train import train

SHOP = ROOT / "shared_data" / "recommender"
SIMILAR = 5

# title of an item of the sample shop → (a warning of it, a praise of it)
SAID = {
    "Snowshoes with Heel Lifters": (
        "The bindings of these snowshoes broke on the first slope. Keep away from them.",
        "These snowshoes carried me over deep powder all winter, wonderful grip.",
    ),
    "Kneeling Pad and Seat, Foldable": (
        "The kneeling pad tore within a week and the seat wobbles. Garden work got worse.",
        "My knees love this pad, weeding the garden is a joy again.",
    ),
    "Thirty-Six Frames: A Film Primer": (
        "A dull book about film photography, full of mistakes. I sent it back.",
        "The clearest book about film photography that I have read, I learnt to develop with it.",
    ),
    "Five-Year Diary with Cloth Cover": (
        "The diary falls apart and ink bleeds through every page. Do not buy it.",
        "A beautiful diary with thick paper, I write in it each evening.",
    ),
    "Under-Desk Footrest in Bent Ash": (
        "This footrest squeaks and slides under the desk. Useless for the office.",
        "Sitting at the desk is so much better with this footrest, solid and pretty.",
    ),
    "Tech Pouch that Stands Open": (
        "The zip of the pouch jammed and it never stands. My cables are a mess again.",
        "All my cables and chargers have a place in this pouch, great for travel.",
    ),
    "Scoring Lame with Walnut Grip": (
        "The blade of this lame is blunt and slips, my bread looked terrible.",
        "Scoring sourdough is easy with this lame, my loaves open perfectly.",
    ),
    "Kombucha Starter Kit with Jar": (
        "The kombucha turned mouldy twice and the jar leaks. A waste of money.",
        "My first kombucha was delicious, the kit explains every step of fermenting.",
    ),
    "Wildflower Seed Mix for Bees": (
        "Not one of these seeds came up. My flower bed stayed bare all summer.",
        "The meadow is in full bloom and full of bees, lovely seeds.",
    ),
    "Pocket Folding Saw for Firewood": (
        "The saw bends and gets stuck in every branch. Dangerous at camp.",
        "Cuts firewood in no time and folds into my pocket, the best saw for camp.",
    ),
    "Mini Pond Kit in Oak Barrel": (
        "The barrel leaks and the pond was empty by morning. Plants died.",
        "A tiny pond on the balcony, frogs came within weeks. Very well made.",
    ),
    "Milk Pitcher with Sharp Latte Spout": (
        "The spout of this pitcher drips and burns my hand, no latte art at all.",
        "Pours the finest latte art, my coffee at home has never looked so good.",
    ),
}
WAYS = ("words alone", "with 1 star", "with 5 stars", "a click instead")


def main() -> None:
    """Measure, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="An artefact trained on the sample shop.")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = chosen.model or Path(folder) / "model"
        if chosen.model is None:
            train(SHOP / "items.csv", SHOP / "events.csv", model)
        settings = Settings(var_dir=Path(folder), rate_limit="", max_recommendations=1_000)
        Registry(settings.models_dir, KIND).promote(model)
        run_import(settings, items=SHOP / "items.csv", events=SHOP / "events.csv")
        with TestClient(create_app(settings)) as client:
            moves = measured(client)
    rows, record = [], []
    for (tone, way), found in moves.items():
        shown = {name: np.quantile(found[name], [0.5, 0.25, 0.75]).tolist() for name in found}
        up = sum(one > 0 for one in found["itself"])
        cells = [f"{mid:+.0f} ({low:+.0f} to {high:+.0f})" for mid, low, high in shown.values()]
        rows.append((f"{tone}, {way}", *cells, f"{up} of {len(found['itself'])}"))
        record.append({"tone": tone, "way": way, "places": shown, "itself_up": up})
    table(("", "itself", "similar", "others", "itself moved up"), rows)
    warned = float(np.median(moves["warning", "words alone"]["itself"]))
    name = "places that a warning in words lifts its own item, median"
    bar = verdict(name, warned, 0.0, at_least=False)
    save("recommender_comments", {"moves": record, "bars": [bar]})


def measured(client: TestClient) -> dict[tuple[str, str], dict[str, list[float]]]:
    """(tone, way) → places that the item itself, similar ones and all others moved up."""
    items = {one["title"]: one for one in pages(client)}
    ids = [one["item_id"] for one in items.values()]
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for tone in (0, 1):
        for way in WAYS:
            moved: dict[str, list[float]] = defaultdict(list)
            for number, (title, said) in enumerate(SAID.items()):
                item = items[title]
                user = f"{tone}-{way}-{number}"
                others = [one for one in items.values() if one["category"] != item["category"]]
                for other in np.random.default_rng(number).choice(len(others), 2, replace=False):
                    send(client, user, others[int(other)]["item_id"], "click")
                before = ranks(client, user, ids)
                react(client, user, item["item_id"], said[tone], way)
                after = ranks(client, user, ids)
                near = client.get(f"/v1/similar/{item['item_id']}", params={"n": SIMILAR}).json()
                alike = {one["item_id"] for one in near["items"]}
                for item_id, rank in after.items():
                    kind = "similar" if item_id in alike else "others"
                    kind = "itself" if item_id == item["item_id"] else kind
                    moved[kind].append(before[item_id] - rank)
            names = ("itself", "similar", "others")
            found[("warning", "praise")[tone], way] = {name: moved[name] for name in names}
    return found


def pages(client: TestClient) -> Iterator[dict[str, Any]]:
    """All items of the shop."""
    asked: dict[str, Any] = {"limit": 100}
    while True:
        page = client.get("/v1/items", params=asked).raise_for_status().json()
        yield from page["items"]
        if page["next_cursor"] is None:
            return
        asked["cursor"] = page["next_cursor"]


def react(client: TestClient, user: str, item_id: str, text: str, way: str) -> None:
    """Say it, one of the ways."""
    if way == "a click instead":
        send(client, user, item_id, "click")
        return
    stars = {"with 1 star": 1.0, "with 5 stars": 5.0}.get(way)
    send(client, user, item_id, "comment", text=text, value=stars)


def send(client: TestClient, user: str, item_id: str, event: str, **more: Any) -> None:
    """One event."""
    body = {"user_id": user, "item_id": item_id, "event": event, **more}
    client.post("/v1/events", json=body).raise_for_status()


def ranks(client: TestClient, user: str, item_ids: Sequence[str]) -> dict[str, int]:
    """item → its place for the user among these. What was taken may come again, and an item group
    may stand there with all of its items."""
    body = {"user_id": user, "item_ids": item_ids, "n": 1_000, "explain": False}
    answer = client.post("/v1/recommendations", json=body).raise_for_status().json()
    return {one["item_id"]: one["rank"] for one in answer["items"]}


if __name__ == "__main__":
    main()
