"""Who comes to the sample shop and its support bot, and what do they do there?

Made-up people who use the services as a website would: over HTTP, one request after the other. The
same people make the past (in process, by a moved clock) and the slow traffic of the running demo.
What a shopper clicks on follows from the tags of what they did in the sample log, not from what the
model thinks of them; so the click-through on the dashboard says something, if only about the demo.
"""

from __future__ import annotations

import csv
import math
import random
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from core.errors import TrefoilError

Clock = Callable[[], datetime]

AGENT = "demo"
_LOG_IN_KEPT = "desk-password"
SCENARIOS = ("home", "home", "home", "product", "cart")
_ENGAGED = frozenset({"click", "add_to_cart", "purchase", "wishlist", "rating"})
_SHOWN = 8
_SETTLED = "Thank you for waiting. I have looked into it, and it is settled now."


@dataclass(frozen=True, slots=True)
class Question:
    """A sample question and the intent that it has."""

    text: str
    intent: str
    language: str


def password_of(folder: Path) -> str:
    """The password of the demo's agent, drawn once for this demo: its database may live on as a
    real one, and a password that everybody knows would open that."""
    file = folder / _LOG_IN_KEPT
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(9))
    return file.read_text()


def taken(answer: httpx.Response) -> httpx.Response:
    """The answer, where the server did what was asked; else TrefoilError with its reason."""
    if answer.is_error:
        raise TrefoilError(f"{answer.request.url} gave {answer.status_code}: {answer.text[:300]}")
    return answer


def read_questions(folder: Path) -> list[Question]:
    """The held-out questions of the sample data: the bot was not trained on them."""
    with (folder / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [Question(row["text"], row["intent"], row["lang"]) for row in rows]


class Customers:
    """People who ask the bot. One in three rates the answer, by whether it was the right intent."""

    def __init__(self, client: httpx.AsyncClient, questions: Sequence[Question]) -> None:
        self._client, self._questions = client, questions

    async def converse(
        self, name: str, rng: random.Random, wait: Callable[[float], None] = lambda seconds: None
    ) -> bool:
        """One conversation of one to three questions; `wait` lets time pass between them. True
        where a person is asked for at its end."""
        language = rng.choices(("en", "zh"), (0.8, 0.2))[0]
        asked = [q for q in self._questions if q.language == language]
        for number, question in enumerate(rng.sample(asked, k=rng.choice((1, 1, 2, 3)))):
            wait(rng.uniform(40, 150) if number else 0)
            body = {
                "message": question.text,
                "conversation_id": name,
                "message_id": f"{name}-{number}",
                "locale": language,
                "channel": "web",
            }
            reply = taken(await self._client.post("/v1/chat", json=body)).json()
            if reply["action"] == "handoff":
                return True
            if reply["action"] == "answer" and rng.random() < 1 / 3:
                await self._rate(reply, question.intent)
        return False

    async def _rate(self, reply: Mapping[str, Any], intent: str) -> None:
        body = {
            "conversation_id": reply["conversation_id"],
            "message_id": reply["message_id"],
            "rating": "up" if reply["intent"] == intent else "down",
        }
        taken(await self._client.post("/v1/feedback", json=body))


class DeskPerson:
    """Somebody at the desk, who answers whoever waits and closes the conversation."""

    def __init__(self, client: httpx.AsyncClient, password: str) -> None:
        self._client, self._password = client, password
        self._headers: dict[str, str] = {}

    async def answer(self, conversation: str) -> None:
        """Take it, say one sentence, resolve it; nothing where somebody else has taken it."""
        address = f"/v1/desk/conversations/{conversation}"
        answer = await self._client.post(f"{address}/take", headers=self._headers)
        if answer.status_code == 401:
            await self._log_in()
            answer = await self._client.post(f"{address}/take", headers=self._headers)
        if answer.status_code == 409:
            return
        taken(answer)
        said = {"message_id": f"{conversation}-desk", "text": _SETTLED}
        for step, body in (("messages", said), ("resolve", None)):
            taken(await self._client.post(f"{address}/{step}", json=body, headers=self._headers))

    async def _log_in(self) -> None:
        login = {"name": AGENT, "password": self._password}
        answer = taken(await self._client.post("/v1/desk/login", json=login))
        self._headers = {"X-CSRF-Token": answer.json()["csrf_token"]}


@dataclass(frozen=True)
class Shoppers:
    """The shoppers of the sample log with their tastes: tag → how often it was met."""

    tastes: Mapping[str, Counter[str]]
    tags: Mapping[str, Sequence[str]]
    prices: Mapping[str, float]
    names: Sequence[str] = field(default=())

    @classmethod
    def read(cls, items: Path, events: Path) -> Shoppers:
        """From the two files that the shop was filled with."""
        with items.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        tags = {row["item_id"]: row["tags"].split("|") for row in rows}
        prices = {row["item_id"]: float(row["price"] or 0) for row in rows}
        tastes: dict[str, Counter[str]] = {}
        with events.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["event"] in _ENGAGED:
                    taste = tastes.setdefault(row["user_id"], Counter())
                    taste.update(tags.get(row["item_id"], ()))
        names = sorted(name for name, taste in tastes.items() if taste.total() >= 20)
        return cls(tastes, tags, prices, names)

    def liking(self, name: str, item: str) -> float:
        """How likely this shopper opens an item that lies before them, from .01 to .3."""
        taste = self.tastes.get(name, Counter())
        met = sum(math.sqrt(taste[tag]) for tag in self.tags.get(item, ()))
        return min(0.3, 0.01 + 0.15 * met / (1 + math.sqrt(taste.total())))

    async def visit(self, client: httpx.AsyncClient, rng: random.Random, now: Clock) -> None:
        """One shopper looks at one shelf: what is shown, clicked and bought goes back as events."""
        name, scenario = rng.choice(self.names), rng.choice(SCENARIOS)
        body = {"user_id": name, "scenario": scenario, "n": _SHOWN, "explain": False}
        shelf = taken(await client.post("/v1/recommendations", json=body)).json()
        moment, events = now().timestamp(), []
        for place, shown in enumerate(shelf["items"], start=1):
            item = shown["item_id"]
            about = {
                "user_id": name,
                "item_id": item,
                "recommendation_id": shelf["recommendation_id"],
                "position": place,
                "scenario": scenario,
            }
            for seconds, kind in enumerate(self._acts(name, item, place, rng)):
                event = {**about, "event": kind, "timestamp": moment + place + 20 * seconds}
                if kind in ("add_to_cart", "purchase"):
                    event |= {"value": self.prices[item], "currency": "EUR"}
                events.append(event)
        taken(await client.post("/v1/events", json=events))

    def _acts(self, name: str, item: str, place: int, rng: random.Random) -> list[str]:
        """Seen, and perhaps opened, put into the cart, bought. Lower places are seen less."""
        acts = ["impression"]
        for chance, kind in (
            (self.liking(name, item) / math.sqrt(place), "click"),
            (0.3, "add_to_cart"),
            (0.5, "purchase"),
        ):
            if rng.random() >= chance:
                break
            acts.append(kind)
        return acts
