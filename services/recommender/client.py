"""How does a shop's own Python talk to the recommender? By one of two clients, alike but for await.

    with Recommender("http://127.0.0.1:8003", key="…") as shop:
        shop.send_events({"user_id": "mara", "item_id": "t1", "event": "click"})
        for one in shop.recommend(user_id="mara", n=5)["items"]:
            print(one["item_id"], one["p_interest"])

`AsyncRecommender` is the same with `async with` and `await`. Safe to share between threads (tasks).
What failed for now (no connection, 429, 503) is sent again after a while, an event with the same
event_id; what is wrong is raised (`client_types.py`). Needs httpx and nothing of the server.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, Unpack, cast

import httpx

from services.recommender.client_calls import (
    EVENTS_AT_ONCE,
    Call,
    Patience,
    Retry,
    batches,
    place,
    summed,
    verdict_on,
    with_id,
)
from services.recommender.client_types import (
    Asked,
    AskedTraining,
    Erased,
    Event,
    EventsTaken,
    Found,
    Item,
    ItemChanges,
    Listed,
    ListOptions,
    Merged,
    Recommendations,
    RecommenderError,
    StoredItem,
    TogetherOptions,
    TrendingOptions,
    Unreachable,
    Upload,
    Upserted,
    Wanted,
)

__all__ = ["AsyncRecommender", "Patience", "Recommender", "RecommenderError"]

_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
_PATIENCE = Patience()
_COUNTS = ("accepted", "repeated")


class _Setup:
    """What both clients are told."""

    def __init__(self, url: str, key: str | None, timeout: float | None) -> None:
        self.base_url = url.rstrip("/")
        self.headers = {"accept": "application/json"}
        if key:
            self.headers["authorization"] = f"Bearer {key}"
        self.timeout = _TIMEOUT if timeout is None else httpx.Timeout(timeout)


def _judged(answer: httpx.Response) -> Retry | Any:
    """The answer's JSON, or that it should be asked for again."""
    try:
        body = answer.json() if answer.content else None
    except ValueError:
        body = None
    retry = verdict_on(answer.status_code, answer.headers, body)
    return body if retry is None else retry


def _request(call: Call) -> dict[str, Any]:
    said: dict[str, Any] = {"method": call.method, "url": call.path, "params": dict(call.query)}
    return said if call.body is None else said | {"json": call.body}


def _away(error: httpx.TransportError) -> Retry:
    return Retry(Unreachable(f"no answer from the recommender: {error or type(error).__name__}"))


def _wait(patience: Patience, retry: Retry, done: int) -> float:
    """Seconds to the next try. Raises what happened where there is none."""
    wait = patience.wait(done, retry.asked)
    if wait is None:
        raise retry.error
    return wait


def _events(events: Event | Sequence[Event]) -> list[Call]:
    given = [with_id(event) for event in ([events] if isinstance(events, dict) else events)]
    return [Call("POST", "/v1/events", list(part)) for part in batches(given, EVENTS_AT_ONCE)]


def _taken(answers: Sequence[Any]) -> EventsTaken:
    warnings = [text for answer in answers for text in answer["warnings"]]
    return cast(EventsTaken, {**summed(answers, _COUNTS), "warnings": warnings})


def _merge(user_id: str, session_id: str | None, from_user_id: str | None) -> Call:
    given = {"user_id": user_id, "session_id": session_id, "from_user_id": from_user_id}
    body = {name: value for name, value in given.items() if value is not None}
    return Call("POST", "/v1/users/merge", body)


def _search(text: str, wanted: Wanted) -> Call:
    return Call("POST", "/v1/search", {**wanted, "q": text})


def _list(path: str, options: Mapping[str, Any]) -> Call:
    """A list by GET: its filter is JSON in the address."""
    query = dict(options)
    if "filter" in query:
        query["filter"] = json.dumps(query["filter"], ensure_ascii=False)
    return Call("GET", path, query=query)


class Recommender:
    """The client that waits for its answers. A context manager: leaving it closes its connections.

    `url` of the service, `key` of a server (`trefoil recommender keys create`), `timeout` in
    seconds for each part of a request, `transport` and `sleep` for tests. Every method raises a
    `Problem` where the server says no, and `Unreachable` where it says nothing.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float | None = None,
        patience: Patience = _PATIENCE,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        setup = _Setup(url, key, timeout)
        self._patience, self._sleep = patience, sleep
        self._http = httpx.Client(
            base_url=setup.base_url,
            headers=setup.headers,
            timeout=setup.timeout,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def send(self, call: Call) -> Any:
        """Any request; the answer's JSON."""
        done = 0
        while True:
            done += 1
            try:
                found = _judged(self._http.request(**_request(call)))
            except httpx.TransportError as error:
                found = _away(error)
            if not isinstance(found, Retry):
                return found
            self._sleep(_wait(self._patience, found, done))

    def upsert_items(self, items: Item | Sequence[Item]) -> Upserted | Upload:
        """Add or replace items. Up to 100 are in the next answer (`Upserted`); more are worked off
        by the worker (`Upload`, see `upload`)."""
        return cast(Upserted | Upload, self.send(Call("PUT", "/v1/items", items)))

    def upload(self, upload_id: str) -> Upload:
        """How far a large batch of items is."""
        return cast(Upload, self.send(Call("GET", place("uploads", upload_id))))

    def item(self, item_id: str) -> StoredItem:
        """An item as it is kept."""
        return cast(StoredItem, self.send(Call("GET", place("items", item_id))))

    def patch_item(self, item_id: str, **changes: Unpack[ItemChanges]) -> StoredItem:
        """Change some fields of an item."""
        return cast(StoredItem, self.send(Call("PATCH", place("items", item_id), changes)))

    def delete_item(self, item_id: str) -> None:
        """Take an item out of the shop; its events stay."""
        self.send(Call("DELETE", place("items", item_id)))

    def send_events(self, events: Event | Sequence[Event]) -> EventsTaken:
        """Store what happened; counted in the next answer."""
        return _taken([self.send(call) for call in _events(events)])

    def recommend(self, **asked: Unpack[Asked]) -> Recommendations:
        """The items that interest a user or a session most."""
        return cast(Recommendations, self.send(Call("POST", "/v1/recommendations", asked)))

    def similar(self, item_id: str, **options: Unpack[ListOptions]) -> Listed:
        """Items like this one."""
        return cast(Listed, self.send(_list(place("similar", item_id), options)))

    def search(self, text: str, **wanted: Unpack[Wanted]) -> Found:
        """Items by a free text, such as "warm waterproof jacket under 100"."""
        return cast(Found, self.send(_search(text, wanted)))

    def trending(self, **options: Unpack[TrendingOptions]) -> Listed:
        """What is wanted more than usual."""
        return cast(Listed, self.send(_list("/v1/trending", options)))

    def bought_together(self, item_id: str, **options: Unpack[TogetherOptions]) -> Listed:
        """What is often bought with this item."""
        return cast(Listed, self.send(_list(place("bought-together", item_id), options)))

    def merge_users(
        self, user_id: str, *, session_id: str | None = None, from_user_id: str | None = None
    ) -> Merged:
        """A session, or another id of theirs, is this user."""
        return cast(Merged, self.send(_merge(user_id, session_id, from_user_id)))

    def export_user(self, user_id: str) -> Iterator[dict[str, Any]]:
        """All that is kept of a user, a page at a time."""
        after: int | None = 0
        while after is not None:
            path = f"{place('users', user_id)}/export"
            page = self.send(Call("GET", path, query={"after": after}))
            yield page
            after = page["next"]

    def forget_user(self, user_id: str) -> Erased:
        """Erase a user and all that was merged into them."""
        return cast(Erased, self.send(Call("DELETE", place("users", user_id))))

    def ask_for_training(self) -> AskedTraining:
        """Let the worker train now."""
        return cast(AskedTraining, self.send(Call("POST", "/v1/trainings")))

    def training(self, number: int) -> dict[str, Any]:
        """What became of a training."""
        return cast(dict[str, Any], self.send(Call("GET", f"/v1/trainings/{number}")))

    def model(self) -> dict[str, Any]:
        """The live model, its figures, and when the next training begins."""
        return cast(dict[str, Any], self.send(Call("GET", "/v1/model")))


class AsyncRecommender:
    """The client for asyncio; see `Recommender`."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float | None = None,
        patience: Patience = _PATIENCE,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        setup = _Setup(url, key, timeout)
        self._patience, self._sleep = patience, sleep
        self._http = httpx.AsyncClient(
            base_url=setup.base_url,
            headers=setup.headers,
            timeout=setup.timeout,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def send(self, call: Call) -> Any:
        """Any request; the answer's JSON."""
        done = 0
        while True:
            done += 1
            try:
                found = _judged(await self._http.request(**_request(call)))
            except httpx.TransportError as error:
                found = _away(error)
            if not isinstance(found, Retry):
                return found
            await self._sleep(_wait(self._patience, found, done))

    async def upsert_items(self, items: Item | Sequence[Item]) -> Upserted | Upload:
        """See `Recommender.upsert_items`; so for all the rest."""
        return cast(Upserted | Upload, await self.send(Call("PUT", "/v1/items", items)))

    async def upload(self, upload_id: str) -> Upload:
        """How far a large batch of items is."""
        return cast(Upload, await self.send(Call("GET", place("uploads", upload_id))))

    async def item(self, item_id: str) -> StoredItem:
        """An item as it is kept."""
        return cast(StoredItem, await self.send(Call("GET", place("items", item_id))))

    async def patch_item(self, item_id: str, **changes: Unpack[ItemChanges]) -> StoredItem:
        """Change some fields of an item."""
        return cast(StoredItem, await self.send(Call("PATCH", place("items", item_id), changes)))

    async def delete_item(self, item_id: str) -> None:
        """Take an item out of the shop; its events stay."""
        await self.send(Call("DELETE", place("items", item_id)))

    async def send_events(self, events: Event | Sequence[Event]) -> EventsTaken:
        """Store what happened; counted in the next answer."""
        return _taken([await self.send(call) for call in _events(events)])

    async def recommend(self, **asked: Unpack[Asked]) -> Recommendations:
        """The items that interest a user or a session most."""
        return cast(Recommendations, await self.send(Call("POST", "/v1/recommendations", asked)))

    async def similar(self, item_id: str, **options: Unpack[ListOptions]) -> Listed:
        """Items like this one."""
        return cast(Listed, await self.send(_list(place("similar", item_id), options)))

    async def search(self, text: str, **wanted: Unpack[Wanted]) -> Found:
        """Items by a free text, such as "warm waterproof jacket under 100"."""
        return cast(Found, await self.send(_search(text, wanted)))

    async def trending(self, **options: Unpack[TrendingOptions]) -> Listed:
        """What is wanted more than usual."""
        return cast(Listed, await self.send(_list("/v1/trending", options)))

    async def bought_together(self, item_id: str, **options: Unpack[TogetherOptions]) -> Listed:
        """What is often bought with this item."""
        return cast(Listed, await self.send(_list(place("bought-together", item_id), options)))

    async def merge_users(
        self, user_id: str, *, session_id: str | None = None, from_user_id: str | None = None
    ) -> Merged:
        """A session, or another id of theirs, is this user."""
        return cast(Merged, await self.send(_merge(user_id, session_id, from_user_id)))

    async def export_user(self, user_id: str) -> AsyncIterator[dict[str, Any]]:
        """All that is kept of a user, a page at a time."""
        after: int | None = 0
        while after is not None:
            path = f"{place('users', user_id)}/export"
            page = await self.send(Call("GET", path, query={"after": after}))
            yield page
            after = page["next"]

    async def forget_user(self, user_id: str) -> Erased:
        """Erase a user and all that was merged into them."""
        return cast(Erased, await self.send(Call("DELETE", place("users", user_id))))

    async def ask_for_training(self) -> AskedTraining:
        """Let the worker train now."""
        return cast(AskedTraining, await self.send(Call("POST", "/v1/trainings")))

    async def training(self, number: int) -> dict[str, Any]:
        """What became of a training."""
        return cast(dict[str, Any], await self.send(Call("GET", f"/v1/trainings/{number}")))

    async def model(self) -> dict[str, Any]:
        """The live model, its figures, and when the next training begins."""
        return cast(dict[str, Any], await self.send(Call("GET", "/v1/model")))
