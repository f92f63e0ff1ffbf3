"""How is the replay stream made?  `python shared_data/finance_sentiment/make_replay.py`

Three weeks of invented news with hour stamps, drawn with a fixed seed from replay_material.yaml and
the invented companies of companies.yaml, so that every run writes the same bytes:

1. Stories on each topic arrive as a Poisson process whose rate follows the hour of the week.
2. The share of negative stories is drawn for each topic and day from a beta distribution: days
   differ, as they do in real news (a beta-binomial with intra-day correlation 1 / (1 + 40)).
3. A story takes the next pattern of a shuffled deck, so that a pattern rests before it comes back,
   and fills its slots; titles never repeat across stories.
4. One to four outlets carry it, each in its own wording; when the wordings run out, as a re-run.
5. Two surges are written out story by story; ordinary stories on their topic thin out meanwhile.

The stream ends on a nominal Thursday at 17:00. Offsets are minutes before that end, so that a demo
can end it now; the rhythm of day and night then moves along with it.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent
COLUMNS = (
    "offset_minutes", "topic", "sentiment", "title", "summary", "source", "url", "story_key",
)  # fmt: skip
SEED = 59
SPAN_MINUTES = 21 * 24 * 60
END_HOUR_OF_WEEK = 3 * 24 + 17  # Thursday 17:00, counted from Monday 00:00
STORIES_PER_BUSY_HOUR = 5.6  # over all topics, in the busiest hours of a weekday
NEGATIVE_SHARE = 0.23
POSITIVE_SHARE_OF_REST = 0.42
BETA_CONCENTRATION = 40.0
CARRIERS = (0.70, 0.19, 0.08, 0.03)  # chance that one, two, three, four outlets carry a story
SURGE_CARRIERS = (0.60, 0.25, 0.11, 0.04)
MEAN_LAG_MINUTES = 75.0  # between the first outlet and each later one
SUMMARY_SHARE = 0.45
SLOT = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Story:
    """One event: when it breaks, what it is about, and the wordings that outlets may choose."""

    offset: int
    topic: str
    sentiment: str
    wordings: tuple[str, ...]
    tails: tuple[str, ...]  # sentences that a summary may add; none for the scripted stories
    in_surge: bool = False


@dataclass(frozen=True)
class Material:
    """The hand-written material, as read from the two YAML files."""

    raw: dict[str, Any]
    companies_by_sector: dict[str, list[dict[str, Any]]]

    @classmethod
    def read(cls, folder: Path) -> Material:
        raw = yaml.safe_load((folder / "replay_material.yaml").read_text(encoding="utf-8"))
        by_sector: dict[str, list[dict[str, Any]]] = {}
        for company in yaml.safe_load((folder / "companies.yaml").read_text(encoding="utf-8")):
            # The bank of the scripted run stays out of the ordinary news before and after it.
            if company["exchange"] == "DEMO" and company["name"] != "Marrowgate Bank":
                by_sector.setdefault(company["sector"], []).append(company)
        return cls(raw, by_sector)

    def companies(self, slot: str) -> list[dict[str, Any]]:
        """The companies that a slot may name; a slot without sectors may name any."""
        sectors = self.raw["sectors"][slot] or sorted(self.companies_by_sector)
        return [company for sector in sectors for company in self.companies_by_sector[sector]]


def hour_weight(hour_of_week: int) -> float:
    """Volume of an hour, 0 to 1: full by day, less in the evening, little at night and weekends."""
    day, hour = divmod(hour_of_week % 168, 24)
    by_day = 1.0 if 7 <= hour < 18 else 0.5 if 18 <= hour < 22 or hour == 6 else 0.2
    return by_day * (0.3 if day >= 5 else 1.0)


def hour_of_week(offset: float) -> int:
    """Hour of the nominal week, 0 to 167, at an offset in minutes (at most 0)."""
    return int((END_HOUR_OF_WEEK * 60 + offset) // 60) % 168


def draw_slots(wordings: Sequence[str], material: Material, rng: random.Random) -> dict[str, str]:
    """One value for each slot of a story; `rival` is of the sector of the first company named."""
    raw = material.raw
    slots = list(dict.fromkeys(SLOT.findall(" ".join(wordings))))
    values: dict[str, str] = {}
    first: dict[str, Any] | None = None
    for slot in slots:
        if slot in raw["sectors"]:
            company = rng.choice(material.companies(slot))
            first = first or company
            values[slot] = company_name(company, rng)
        elif slot in raw["lists"]:
            values[slot] = rng.choice(raw["lists"][slot])
    if "cb" in values and "country" in values:
        values["cb"], values["country"] = rng.choice(list(raw["cb_country"].items()))
    for second, of in (("place2", "place"), ("country2", "country")):
        if second in slots:
            values[second] = rng.choice([v for v in raw["lists"][of] if v != values[of]])
    if "ticker" in slots or "rival" in slots:
        if first is None:
            raise ValueError(f"expected a company slot beside ticker or rival in {wordings[0]!r}")
        peers = [c for c in material.companies_by_sector[first["sector"]] if c is not first]
        values["ticker"] = first["ticker"]
        values["rival"] = company_name(rng.choice(peers), rng)
    return values


def company_name(company: dict[str, Any], rng: random.Random) -> str:
    """The full name, or at times the Latin alias: the news uses both."""
    latin = [alias for alias in company["aliases"] if alias.isascii()]
    return str(rng.choice(latin) if latin and rng.random() < 0.3 else company["name"])


def fill(wording: str, values: dict[str, str]) -> str:
    """A wording with its slots filled and its first letter raised."""
    text = wording.format_map(values)
    return text[0].upper() + text[1:]


class Decks:
    """Patterns in shuffled order, one deck for each topic and sentiment, dealt to the end."""

    def __init__(self, material: Material, rng: random.Random) -> None:
        self._patterns = material.raw["patterns"]
        self._rng = rng
        self._decks: dict[tuple[str, str], list[list[str]]] = {}

    def deal(self, topic: str, sentiment: str) -> list[str]:
        deck = self._decks.setdefault((topic, sentiment), [])
        if not deck:
            deck.extend(self._patterns[topic][sentiment])
            self._rng.shuffle(deck)
        return deck.pop()


def arrivals(topic: str, material: Material, rng: random.Random) -> Iterator[int]:
    """Offsets of ordinary stories on a topic: Poisson at the busiest rate, thinned to the hour."""
    weights = material.raw["topics"]
    per_minute = STORIES_PER_BUSY_HOUR / 60 * weights[topic] / sum(weights.values())
    surges = [surge for surge in material.raw["surges"] if surge["topic"] == topic]
    offset = float(-SPAN_MINUTES)
    while (offset := offset + rng.expovariate(per_minute)) < 0:
        keep = hour_weight(hour_of_week(offset))
        for surge in surges:
            since = offset / 60 - surge["starts_hours"]
            keep *= surge["background"] if 0 <= since <= surge["hours"] else 1.0
        if rng.random() < keep:
            yield int(offset)


def ordinary_stories(material: Material, rng: random.Random) -> Iterator[Story]:
    """The everyday news: sentiment by the share of its topic and day, slots filled anew."""
    seen: set[str] = set()
    decks = Decks(material, rng)
    shares: dict[tuple[str, int], float] = {}
    a, b = NEGATIVE_SHARE * BETA_CONCENTRATION, (1 - NEGATIVE_SHARE) * BETA_CONCENTRATION
    events = [(at, topic) for topic in material.raw["topics"]
              for at in arrivals(topic, material, rng)]  # fmt: skip
    for offset, topic in sorted(events):
        day = (END_HOUR_OF_WEEK * 60 + offset) // (24 * 60)
        if (topic, day) not in shares:
            shares[topic, day] = rng.betavariate(a, b)
        sentiment = draw_sentiment(shares[topic, day], rng)
        wordings = unseen_wordings(decks.deal(topic, sentiment), seen, material, rng)
        tails = material.raw["summaries"][topic][sentiment]
        filled = tuple(fill(tail, draw_slots([tail], material, rng)) for tail in tails)
        yield Story(offset, topic, sentiment, wordings, filled)


def draw_sentiment(negative_share: float, rng: random.Random) -> str:
    """Negative with the given chance, else positive or neutral."""
    if rng.random() < negative_share:
        return "negative"
    return "positive" if rng.random() < POSITIVE_SHARE_OF_REST else "neutral"


def unseen_wordings(
    pattern: Sequence[str], seen: set[str], material: Material, rng: random.Random
) -> tuple[str, ...]:
    """The pattern filled so that no earlier story has any of its titles; `seen` grows by them."""
    for _ in range(200):
        values = draw_slots(pattern, material, rng)
        titles = tuple(fill(wording, values) for wording in pattern)
        if not seen.intersection(titles):
            seen.update(titles)
            return titles
    # A wording with few slots is soon used up; the other one still tells the story.
    fresh = tuple(title for title in titles if title not in seen)
    if not fresh:
        raise ValueError(
            f"expected a pattern with enough slots to stay unique, came {pattern!r}: add a slot"
        )
    seen.update(fresh)
    return fresh


def scripted_stories(material: Material, rng: random.Random) -> Iterator[Story]:
    """The two surges, story by story, each a few minutes around its written hour."""
    for surge in material.raw["surges"]:
        for written in surge["stories"]:
            at = (surge["starts_hours"] + written["at_hours"]) * 60
            offset = 0 if at == 0 else min(-1, round(at + rng.uniform(-5, 5)))
            inside = 0 <= written["at_hours"] <= surge["hours"]
            wordings = tuple(written["wordings"])
            yield Story(offset, surge["topic"], written["sentiment"], wordings, (), inside)


def carried(
    story: Story, key: str, material: Material, rng: random.Random
) -> Iterator[dict[str, str | int]]:
    """The rows of one story: each outlet later than the first, and in another wording if any."""
    chances = SURGE_CARRIERS if story.in_surge else CARRIERS
    outlets = draw_outlets(rng.choices(range(1, 5), chances)[0], material, rng)
    wordings = rng.sample(story.wordings, len(story.wordings))
    for number, outlet in enumerate(outlets):
        lag = 0 if number == 0 else 1 + int(rng.expovariate(1 / MEAN_LAG_MINUTES))
        summary = draw_summary(story, wordings[number % len(wordings)], rng)
        if story.offset + lag > 0:
            continue
        title = wordings[number % len(wordings)]
        prefix = outlet.get("rerun_prefix", "") if number else ""
        slug = "-".join(re.findall(r"[a-z0-9]+", title.lower())[:7])
        yield {
            "offset_minutes": story.offset + lag,
            "topic": story.topic,
            "sentiment": story.sentiment,
            "title": f"{prefix}{title}{outlet.get('title_suffix', '')}",
            "summary": summary,
            "source": outlet["name"],
            "url": f"https://{outlet['host']}/{story.topic.replace('_', '-')}/{slug}-{key[-4:]}"
            f"{outlet.get('url_suffix', '')}",
            "story_key": key,
        }


def draw_outlets(count: int, material: Material, rng: random.Random) -> list[dict[str, Any]]:
    """Different outlets, the larger ones more often and earlier."""
    left = list(material.raw["outlets"])
    chosen = []
    for _ in range(count):
        outlet = rng.choices(left, [candidate["weight"] for candidate in left])[0]
        left.remove(outlet)
        chosen.append(outlet)
    return chosen


def draw_summary(story: Story, title: str, rng: random.Random) -> str:
    """Empty more often than not; else the story in other words, a further sentence, or both."""
    if rng.random() >= SUMMARY_SHARE:
        return ""
    others = [wording for wording in story.wordings if wording != title]
    parts = [ended(rng.choice(others))] if others and rng.random() < 0.5 else []
    if story.tails and (not parts or rng.random() < 0.6):
        parts.append(rng.choice(story.tails))
    return " ".join(parts)


def ended(sentence: str) -> str:
    """A title as a sentence: with a full stop unless it ends in a mark of its own."""
    return sentence if sentence[-1] in ".?!" else f"{sentence}."


def replay_rows(folder: Path, seed: int) -> list[dict[str, str | int]]:
    """All rows, oldest first; the last one is at 0."""
    rng = random.Random(seed)
    material = Material.read(folder)
    stories = [*ordinary_stories(material, rng), *scripted_stories(material, rng)]
    stories.sort(key=lambda story: (story.offset, story.topic, story.wordings))
    rows = [
        row
        for number, story in enumerate(stories, start=1)
        for row in carried(story, f"story-{number:04d}", material, rng)
    ]
    return sorted(rows, key=lambda row: (row["offset_minutes"], row["story_key"], row["source"]))


def replay_csv(folder: Path = FOLDER, seed: int = SEED) -> bytes:
    """The file as bytes: UTF-8, RFC 4180 quoting, one line feed a row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(replay_rows(folder, seed))
    return text.getvalue().encode("utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Write the replay stream of the finance-sentiment sample.",
        epilog="example: python shared_data/finance_sentiment/make_replay.py --output replay.csv",
    )
    parser.add_argument("--output", type=Path, default=FOLDER / "replay.csv")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    content = replay_csv(FOLDER, options.seed)
    options.output.write_bytes(content)
    rows = len(list(csv.reader(content.decode("utf-8").splitlines()))) - 1
    print(f"wrote {rows} rows to {options.output}")


if __name__ == "__main__":
    main()
