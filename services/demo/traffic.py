"""How does the running demo get visitors? A few made-up ones, slowly, until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import UTC, datetime

import httpx

from core.errors import TrefoilError
from services.demo.visitors import Customers, DeskPerson, Question, Shoppers

_log = logging.getLogger(__name__)

# Seconds between two conversations and between two visits to the shop, on average.
CONVERSATION_SECONDS = 12.0
VISIT_SECONDS = 6.0
# How long somebody waits before the demo's own person comes: time enough to be quicker.
PATIENCE_SECONDS = 180.0


async def visit(
    bot: str, shop: str, password: str, questions: list[Question], shoppers: Shoppers
) -> None:
    """Ask the bot at `bot` and shop at `shop` (addresses) for as long as the process lives. A
    server that is away is tried again."""
    rng = random.Random()
    async with (
        httpx.AsyncClient(base_url=bot, timeout=30, trust_env=False) as asking,
        httpx.AsyncClient(base_url=shop, timeout=30, trust_env=False) as shopping,
        httpx.AsyncClient(base_url=bot, timeout=30, trust_env=False) as sitting,
    ):
        await asyncio.gather(
            _customers(Customers(asking, questions), DeskPerson(sitting, password), rng),
            _shoppers(shoppers, shopping, rng),
        )


async def _customers(customers: Customers, person: DeskPerson, rng: random.Random) -> None:
    waiting: set[asyncio.Task[None]] = set()
    while True:
        await asyncio.sleep(rng.expovariate(1 / CONVERSATION_SECONDS))
        name = f"live-{datetime.now(UTC):%Y%m%d%H%M%S%f}"
        try:
            handed_over = await customers.converse(name, rng)
        except (httpx.HTTPError, TrefoilError) as error:
            _log.warning("the bot did not answer: %s", error)
            continue
        if handed_over:
            task = asyncio.create_task(_answer_later(person, name))
            waiting.add(task)
            task.add_done_callback(waiting.discard)


async def _answer_later(person: DeskPerson, name: str) -> None:
    await asyncio.sleep(PATIENCE_SECONDS)
    try:
        await person.answer(name)
    except (httpx.HTTPError, TrefoilError) as error:
        _log.warning("the desk did not answer: %s", error)


async def _shoppers(shoppers: Shoppers, client: httpx.AsyncClient, rng: random.Random) -> None:
    while True:
        await asyncio.sleep(rng.expovariate(1 / VISIT_SECONDS))
        try:
            await shoppers.visit(client, rng, lambda: datetime.now(UTC))
        except (httpx.HTTPError, TrefoilError) as error:
            _log.warning("the shop did not answer: %s", error)
