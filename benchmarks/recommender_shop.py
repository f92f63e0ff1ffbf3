"""What shop do the recommender's simulations run in? Items with made-up titles, of hidden topics.

A title is put together of words of its topic (what it is, what for) and of words that any topic
has, so that the encoder can tell the topics apart by reading; no column says the topic.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from core.data.records import Item

IntArray = npt.NDArray[np.int64]

# topic → (things, what they are for)
_TOPICS: Final[dict[str, tuple[str, str]]] = {
    "baking": (
        "cake tin,whisk,rolling pin,bread basket,flour sieve,scale",
        "dough,cakes,sourdough",
    ),
    "hiking": (
        "boots,rucksack,trekking poles,rain jacket,compass,tent",
        "trails,alpine tours,rain",
    ),
    "reading": (
        "novel,bookmark,reading lamp,shelf,crime story,essays",
        "long evenings,the train,bed",
    ),
    "music": (
        "guitar,ukulele,drum pad,tuner,music stand,microphone",
        "the stage,home studios,lessons",
    ),
    "garden": (
        "spade,watering can,seed packet,rake,plant pot,pruner",
        "roses,tomatoes,raised beds",
    ),
    "sewing": ("needle set,thread,pattern,fabric,thimble,scissors", "hems,quilts,dresses"),
    "cycling": ("helmet,bike pump,saddle,bell,panniers,bike lock", "commuters,gravel,road racing"),
    "coffee": (
        "espresso cup,grinder,kettle,filter,milk jug,beans",
        "latte,cold brew,slow mornings",
    ),
    "painting": ("brush,easel,watercolours,canvas,palette,sketch pad", "portraits,landscapes,ink"),
    "children": (
        "puzzle,doll,building blocks,picture book,kite,rattle",
        "toddlers,babies,rainy days",
    ),
    "fitness": (
        "yoga mat,dumbbell,skipping rope,towel,foam roller,kettlebell",
        "gyms,stretching,cardio",
    ),
    "office": ("stapler,notebook,desk tray,pen,folder,calculator", "meetings,taxes,tidy desks"),
}
TOPICS: Final = tuple(_TOPICS)
_LOOKS: Final = "plain,red,blue,green,small,large,foldable,light,sturdy,classic,soft,handmade"
_BRANDS: Final = tuple(
    f"{a}{b}" for a in ("Al", "Bri", "Cor", "Del", "Er") for b in ("dan", "mont", "vik")
)
_DEPARTMENTS: Final = 4


@dataclass(frozen=True)
class MadeUp:
    """`items`, and the number of each one's topic (n,)."""

    items: list[Item]
    topic: IntArray


def make_items(count: int, rng: np.random.Generator) -> MadeUp:
    """`count` items of topics, departments, brands, prices and stock drawn at random; one in eight
    is of a group of colours, one in twenty out of stock."""
    topic = rng.integers(len(TOPICS), size=count)
    looks = _LOOKS.split(",")
    items = []
    for number, name in enumerate(TOPICS[t] for t in topic):
        things, uses = (words.split(",") for words in _TOPICS[name])
        thing, use = things[rng.integers(len(things))], uses[rng.integers(len(uses))]
        items.append(
            Item(
                item_id=f"i{number}",
                title=f"{looks[rng.integers(len(looks))]} {thing} for {use}, model {number}",
                tags=("sale",) if rng.random() < 0.1 else (),
                category=f"department {rng.integers(_DEPARTMENTS)}",
                brand=_BRANDS[rng.integers(len(_BRANDS))],
                price=round(float(rng.lognormal(3.0, 0.8)), 2),
                currency="EUR",
                availability="out_of_stock" if rng.random() < 0.05 else "in_stock",
                item_group_id=f"g{number // 16}" if number % 16 < 2 else "",
            )
        )
    return MadeUp(items, topic)


def write_items(path: Path, items: Sequence[Item]) -> Path:
    """The items as the contract's CSV."""
    names = ("item_id", "title", "category", "brand", "price", "currency", "availability")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "item_group_id", "tags"])
        for item in items:
            row = [getattr(item, name) for name in names]
            writer.writerow([*row, item.item_group_id, "|".join(item.tags)])
    return path
