"""How did the shoppers of the sample store behave? A seeded simulation writes events.csv.

    python shared_data/recommender/simulate.py [--output events.csv] [--seed N]

The same items, seed and parameters give the same bytes: every draw comes from the `random()`
stream of Python's `random.Random`, which the language keeps stable; numpy only does arithmetic.

Item.     affinity[i, t] in [0, 1] says how well item i suits theme t. A theme is a set of terms
          (THEMES). With g terms among the item's tags and x more in its title or description:
          affinity = (1 - 0.35^g * 0.80^x) * lognormal noise, cut at 1.
          popularity[i] = (rank + 10)^-0.8 with ranks drawn at random (Zipf-like).
          Seen from `created_at` on (a few never), fresh ones more: 1 + 2.5 * exp(-age / 14 days).
Shopper.  1 to 3 themes with weights; two home categories; a usual price level; an activity.
          Arrives on a day of the window and then comes back at exponential intervals.
          `new_shoppers` arrive in the last two weeks and leave at most three events each.
Session.  The shop lays out a shelf of 8 (tasteful, popular and random places mixed); the shopper
          looks up more by taste, by category, or by chance. What is looked at is a `view`;
          interest (taste times price fit) decides about `click`, `add_to_cart`, `purchase` and
          so on. To keep the file small, one shelf in ten is logged (`impression`).
Later.    A purchase may be followed by a `rating`, a `comment` or a `refund`, days after it.

`value` is the price for cart and money events, 1 to 5 for `rating`, else empty. Times are UTC;
the units of all figures stand in `Parameters`.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
COLUMNS = ("user_id", "item_id", "event", "timestamp", "value", "event_id")
PRICED = ("add_to_cart", "remove_from_cart", "purchase", "refund")  # events that carry the price
DAY = 86_400  # seconds

# Themes cross the shop's categories. Terms are compared with whole tags and with words of the text.
THEMES: dict[str, str] = {
    "camp coffee": "camp coffee|travel coffee|coffee outside|summit coffee|咖啡",
    "home barista": "espresso|home barista|latte art|pour over|filter coffee|beans|home roasting",
    "tea ceremony": "tea ceremony|gongfu|matcha|oolong|loose leaf|herbal tea|茶道|功夫茶",
    "home baking": "sourdough|bread baking|proofing|baking|dough|酸面包|烘焙",
    "fermenting": "fermentation|kimchi|miso|kombucha|sauerkraut|preserving|kraut|发酵",
    "cosy home": "cosy|blanket|slow living|fondue|candle|sofa|wool|living room",
    "japanese home": "japanese|donabe|santoku|hinoki|bonsai|asian kitchen|日式",
    "zero waste": "zero waste|reusable|compost|beeswax|recycled|refillable|plastic free",
    "repair": "repair|mending|maintenance|sharpening|repairable|resole|workshop",
    "campfire": "campfire|outdoor cooking|bushcraft|barbecue|fire starter|embers|篝火",
    "family outdoors": "family camping|kids outdoors|family hiking|family travel|亲子",
    "winter": "winter|snow|snowshoes|ice|frost|expedition|冬季",
    "lakeside": "lakeside|packraft|open water|dry bag|swimrun|lake|boats",
    "foraging": "foraging|mushroom|wild food|nettle|forager|herbs|采集|菌菇",
    "birding": "birding|bird feeder|nest box|dawn chorus|garden birds|birds|birders|观鸟",
    "night sky": "night photography|astro|stargazing|astronomy|aurora|red light|stars|天文|星空",
    "film photography": "film photography|analog|darkroom|35mm|instant film|medium format",
    "photo walks": "landscape photography|travel photography|street photography|camera bag|tripod",
    "ultralight": "ultralight|thru-hiking|titanium|grams|超轻|轻装",
    "bikepacking": "bikepacking|gravel|touring|骑行",
    "wet commute": "commute|city bike|rain|panniers|reflective|mudguards|通勤",
    "trail running": "trail running|ultra|running vest|fell|ultras|越野跑",
    "marathon": "marathon|road running|recovery|training|nutrition|heart rate",
    "healthy desk": "ergonomic|standing desk|posture|wrist|active sitting|desk stretch|人体工学",
    "tidy desk": "desk setup|organiser|focus|cable management|remote work|planner|桌面|办公",
    "podcasting": "podcast|recording|streaming|microphone|field recording|home studio|video call",
    "vinyl": "vinyl|hi-fi|record care|turntable|valves|records|黑胶|音响",
    "sleep and calm": "sleep|calm|white noise|quiet|relax|evening|睡眠",
    "one bag": "one bag|minimal travel|carry-on|packing|slow travel|travel comfort|旅行|极简",
    "van life": "van life|car camping|car travel|car campers|vans",
    "balcony garden": "balcony garden|balcony|small space|grow your own|windowsill|seeds|阳台",
    "wildlife garden": "pollinator|wildlife garden|bees|butterflies|pond|hedgehog|wildlife",
    "kids science": "kids science|experiment kit|coding|microscope|chemistry|儿童科学",
    "wooden toys": "wooden toy|montessori|open play|toddler|soft toy|pretend play|木制玩具",
    "board games": "board game|puzzle|travel game|family evening|strategy",
    "pen and paper": "fountain pen|journaling|ink|paper|calligraphy|notebook|letter writing|钢笔",
    "dogs outdoors": "dog hiking|adventure dog|dog|canicross|paw care|dog bed|狗",
    "happy cats": "cats|indoor cat|adventure cat|cat toy|猫",
    "maps": "navigation|map reading|orienteering|compass|gps watch|route guide",
}


@dataclass(frozen=True)
class Parameters:
    """Every number that shapes the log; the comment gives the unit."""

    seed: int = 20_261_001
    end: datetime = datetime(2026, 10, 1, tzinfo=UTC)  # first moment after the log
    window: int = 120  # days
    shoppers: int = 1_240  # people, the new ones included
    new_shoppers: int = 115  # people who arrive in the last `new_days`
    new_days: int = 14  # days; also how long an item that is out_of_stock has been so
    new_shopper_events: int = 3  # events, at most
    never_placed: int = 5  # items
    theme_noise: float = 0.5  # standard deviation of log affinity
    popularity_exponent: float = 0.8  # Zipf
    popularity_offset: float = 10.0  # ranks; flattens the head
    freshness_gain: float = 2.5  # times the base weight, on the first day
    freshness_days: float = 14.0  # days until the gain has fallen to 1/e
    price_tolerance: float = 1.1  # standard deviation of log price around the usual level
    visit_gap: float = 17.5  # days between sessions of a median shopper
    visit_spread: float = 0.75  # standard deviation of the log of that gap between shoppers
    shelf: int = 8  # places
    shelf_tasteful: float = 0.28  # share of places that the shop filled by taste
    shelf_popular: float = 0.42  # share filled by popularity; the rest is random
    shelf_logged: float = 0.10  # share of sessions whose shelf is in the log
    finds: float = 3.2  # mean number of items that a shopper looks up beside the shelf
    find_by_taste: float = 0.46  # share of look-ups
    find_by_category: float = 0.14  # share of look-ups; the rest is chance, weighted by popularity
    taste_sharpness: float = 1.0  # exponent on affinity when choosing by taste
    seen_again: float = 0.15  # weight of an item already clicked, against 1 for a fresh one


class Item(NamedTuple):
    """What the simulator needs of a row of items.csv."""

    item_id: str
    category: str
    price: float
    in_stock: bool
    first_day: float  # days from the start of the log; negative when added before it
    tags: frozenset[str]
    text: str  # title and description, lower case, single blanks around each word


class Event(NamedTuple):
    """One line of the log before it gets its number; `moment` in days from the start."""

    moment: float
    user_id: str
    item: int
    kind: str
    value: str


@dataclass
class Shopper:
    """One simulated person; the arrays have one entry an item."""

    user_id: str
    themes: dict[str, float]  # theme → weight, sum 1
    taste: np.ndarray  # in [0, 1]
    price_fit: np.ndarray  # in (0, 1]
    at_home: np.ndarray  # whether the item is in one of the two home categories
    first_day: float
    visit_gap: float
    seen: np.ndarray  # 1, or `seen_again` once clicked

    def interest(self, item: int) -> float:
        """Taste and price together, in [0, 1]."""
        return float(self.taste[item] * (0.5 + 0.5 * self.price_fit[item]))


class Draw:
    """Random draws built on `random()` alone, so that the stream is the same everywhere."""

    def __init__(self, seed: int) -> None:
        self.share = random.Random(seed).random
        self._normal = NormalDist()

    def chance(self, probability: float) -> bool:
        return self.share() < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.share()

    def index(self, size: int) -> int:
        return int(self.share() * size)

    def normal(self) -> float:
        return self._normal.inv_cdf(min(max(self.share(), 1e-12), 1 - 1e-12))

    def gap(self, mean: float) -> float:
        return -mean * math.log(1.0 - self.share())

    def which(self, *shares: float) -> int:
        """The number of the share that was drawn; one more than the last for the rest."""
        return bisect_right(tuple(accumulate(shares)), self.share())

    def pick(self, cumulated: np.ndarray) -> int:
        """An index, with the weights whose running sum is given."""
        place = np.searchsorted(cumulated, self.share() * cumulated[-1], "right")
        return min(int(place), len(cumulated) - 1)

    def shuffled(self, size: int) -> list[int]:
        return [index for _, index in sorted((self.share(), index) for index in range(size))]


def read_items(path: Path, start: datetime) -> list[Item]:
    """The catalogue in file order."""
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return [
        Item(
            item_id=row["item_id"],
            category=row["category"],
            price=float(row["price"]),
            in_stock=row["availability"] != "out_of_stock",
            first_day=(datetime.fromisoformat(row["created_at"]).replace(tzinfo=UTC) - start).days,
            tags=frozenset(row["tags"].lower().split("|")),
            text=re.sub(r"[^\w-]+", " ", f" {row['title']} {row['description']} ".lower()),
        )
        for row in rows
    ]


def affinities(items: list[Item]) -> np.ndarray:
    """(items, themes) in [0, 1): how well each item suits each theme, before any noise."""
    table = np.zeros((len(items), len(THEMES)))
    for column, terms in enumerate(terms.split("|") for terms in THEMES.values()):
        # Blanks around a term make it match whole words; Chinese is written without them.
        needles = {term: f" {term} " if term.isascii() else term for term in terms}
        for row, item in enumerate(items):
            tagged = item.tags.intersection(terms)
            told = sum(needles[term] in item.text for term in terms if term not in tagged)
            table[row, column] = 1.0 - 0.35 ** len(tagged) * 0.80**told
    return table


def make_shopper(
    number: int, items: list[Item], table: np.ndarray, draw: Draw, p: Parameters
) -> Shopper:
    """A person with one to three themes; the last `new_shoppers` numbers arrive late."""
    names = list(THEMES)
    chosen = draw.shuffled(len(names))[: 1 + draw.which(0.25, 0.45)]
    weights = np.array([draw.between(0.4, 1.0) for _ in chosen])
    weights /= weights.sum()
    usual = math.log(45.0) + 0.6 * draw.normal()  # log of the price in the currency unit
    off = np.log([item.price for item in items]) - usual
    categories = sorted({item.category for item in items})
    home = [categories[draw.index(len(categories))] for _ in range(2)]
    newcomer = number > p.shoppers - p.new_shoppers
    earliest, latest = (p.window - p.new_days, p.window - 0.2) if newcomer else (-30.0, 100.0)
    return Shopper(
        user_id=f"u{number:04d}",
        themes={names[t]: float(w) for t, w in zip(chosen, weights, strict=True)},
        taste=np.minimum((table[:, chosen] * weights).sum(axis=1) / weights.max(), 1.0),
        price_fit=np.exp(-0.5 * (off / p.price_tolerance) ** 2),
        at_home=np.array([item.category in home for item in items]),
        first_day=draw.between(earliest, latest),
        visit_gap=p.visit_gap * math.exp(p.visit_spread * draw.normal()),
        seen=np.ones(len(items)),
    )


class Store:
    """The shop during the window: what is on show on a day, and what a session leaves behind."""

    def __init__(self, items: list[Item], draw: Draw, p: Parameters) -> None:
        self.items, self.draw, self.p = items, draw, p
        ranks = np.array(draw.shuffled(len(items)))
        self.popularity = (ranks + p.popularity_offset) ** -p.popularity_exponent
        self.popularity[draw.shuffled(len(items))[: p.never_placed]] = 0.0
        self.first_day = np.array([item.first_day for item in items], dtype=float)

    def on_show(self, day: float) -> np.ndarray:
        """(items,) weight of each item on this day: 0 before it is added, more when it is fresh."""
        age = day - self.first_day
        fresh = 1.0 + self.p.freshness_gain * np.exp(-np.maximum(age, 0.0) / self.p.freshness_days)
        return np.where(age >= 0.0, self.popularity * fresh, 0.0)

    def session(self, shopper: Shopper, moment: float) -> list[Event]:
        """All events that start at `moment`, the late ones (rating, refund) included."""
        draw, p = self.draw, self.p
        weight = self.on_show(moment)
        liking = shopper.taste**p.taste_sharpness * shopper.price_fit * shopper.seen
        tasteful, popular = np.cumsum(liking * np.sqrt(weight)), np.cumsum(weight)
        home = np.cumsum(weight * shopper.at_home)
        shelf = self.shelf(tasteful, popular, np.cumsum(weight > 0))
        events: list[Event] = []
        if draw.chance(p.shelf_logged):
            events += [Event(moment, shopper.user_id, item, "impression", "") for item in shelf]
        looked = [i for i in shelf if draw.chance(0.10 + 0.40 * shopper.taste[i])]
        for _ in range(round(draw.gap(p.finds))):
            way = draw.which(p.find_by_taste, p.find_by_category)
            looked.append(draw.pick((tasteful, home, popular)[way]))
        for item in dict.fromkeys(looked):
            moment += draw.between(5, 60) / DAY
            steps = self.look_at(shopper, item, moment)
            events += steps
            moment = steps[-1].moment
            if steps[-1].kind == "purchase":
                events += self.afterwards(shopper, item, moment)
        return events

    def shelf(self, *pools: np.ndarray) -> list[int]:
        """The items laid out for a session, without repeats; a pool is a running sum of weights."""
        shelf: list[int] = []
        while len(shelf) < self.p.shelf:
            place = self.draw.which(self.p.shelf_tasteful, self.p.shelf_popular)
            item = self.draw.pick(pools[place])
            if item not in shelf:
                shelf.append(item)
        return shelf

    def look_at(self, shopper: Shopper, item: int, moment: float) -> list[Event]:
        """View, then perhaps click and more; waits are in seconds."""
        draw, interest = self.draw, shopper.interest(item)
        steps = [("view", 0.0)]
        if draw.chance(0.18 + 0.55 * interest):
            shopper.seen[item] = self.p.seen_again
            steps.append(("click", draw.between(2, 20)))
            for kind, base, gain in (("wishlist", 0.03, 0.09), ("share", 0.01, 0.02)):
                if draw.chance(base + gain * interest):
                    steps.append((kind, draw.between(10, 90)))
            sold_out = not self.items[item].in_stock and moment >= self.p.window - self.p.new_days
            if not sold_out and draw.chance(0.05 + 0.27 * interest):
                steps.append(("add_to_cart", draw.between(15, 120)))
                outcome = draw.which(0.14, 0.48)  # else the cart is left behind
                steps += [("remove_from_cart", 60.0), ("purchase", 150.0)][outcome : outcome + 1]
        events: list[Event] = []
        for kind, wait in steps:
            moment += wait / DAY
            events.append(self.event(moment, shopper, item, kind))
        return events

    def afterwards(self, shopper: Shopper, item: int, moment: float) -> Iterator[Event]:
        """What follows a purchase by days: a refund, or a rating and rarely a comment."""
        draw, interest = self.draw, shopper.interest(item)
        later = moment + draw.between(3, 20)
        if draw.chance(0.09 - 0.06 * interest):
            yield self.event(later, shopper, item, "refund")
        elif draw.chance(0.24):
            stars = min(max(round(3.2 + 1.6 * interest + 0.8 * draw.normal()), 1), 5)
            yield Event(later, shopper.user_id, item, "rating", str(stars))
            if draw.chance(0.25):
                yield self.event(later + draw.between(20, 300) / DAY, shopper, item, "comment")

    def event(self, moment: float, shopper: Shopper, item: int, kind: str) -> Event:
        price = f"{self.items[item].price:.2f}"
        return Event(moment, shopper.user_id, item, kind, price if kind in PRICED else "")


def time_of_day(draw: Draw) -> float:
    """A moment of a day as a share of it: most visits at lunch and in the evening."""
    if draw.chance(0.12):
        return draw.share()
    centre, spread = (12.5, 1.8) if draw.chance(0.35) else (19.5, 2.0)
    return min(max(centre + spread * draw.normal(), 0.0), 23.9) / 24


def simulate(items: list[Item], p: Parameters) -> tuple[list[Shopper], list[Event]]:
    """All shoppers and their events in order of time; events after the window are cut."""
    draw = Draw(p.seed)
    noise = [[math.exp(p.theme_noise * draw.normal()) for _ in THEMES] for _ in items]
    table = np.minimum(affinities(items) * np.array(noise), 1.0)
    store = Store(items, draw, p)
    shoppers = [make_shopper(n, items, table, draw, p) for n in range(1, p.shoppers + 1)]
    events: list[Event] = []
    for number, shopper in enumerate(shoppers):
        own: list[Event] = []
        day = shopper.first_day
        while day < p.window:
            if day >= 0:
                own += store.session(shopper, math.floor(day) + time_of_day(draw))
            day += max(draw.gap(shopper.visit_gap), 0.4)
        own = sorted(event for event in own if event.moment < p.window)
        newcomer = number >= p.shoppers - p.new_shoppers
        events += own[: 1 + draw.index(p.new_shopper_events)] if newcomer else own
    return shoppers, sorted(events)


def write_events(path: Path, events: list[Event], items: list[Item], start: datetime) -> None:
    """One line an event, numbered in order of time."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, event in enumerate(events, 1):
            moment = start + timedelta(seconds=math.floor(event.moment * DAY))
            stamp = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
            row = (event.user_id, items[event.item].item_id, event.kind, stamp, event.value)
            writer.writerow((*row, f"e{number:06d}"))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write the simulated events of the sample store.")
    parser.add_argument("--output", type=Path, default=HERE / "events.csv")
    parser.add_argument("--seed", type=int, default=Parameters.seed)
    options = parser.parse_args(arguments)
    p = Parameters(seed=options.seed)
    start = p.end - timedelta(days=p.window)
    items = read_items(HERE / "items.csv", start)
    shoppers, events = simulate(items, p)
    write_events(options.output, events, items, start)
    print(f"{options.output}: {len(events)} events of {len(shoppers)} simulated shoppers")


if __name__ == "__main__":
    main()
