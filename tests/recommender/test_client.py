"""Does a shop's own Python get what the service says, and is nothing sent once too often?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from services.recommender import client
from services.recommender.client import AsyncRecommender, Patience, Recommender
from services.recommender.client_calls import EVENTS_AT_ONCE, place
from services.recommender.client_types import (
    Busy,
    InvalidRequest,
    Missing,
    NotAllowed,
    Problem,
    Unreachable,
)
from services.recommender.settings import Settings
from tests.recommender.conftest import Server as RunningServer

URL = "http://shop.test"
MUG = {"item_id": "t/1 ü", "title": "Titanium mug", "category": "hiking", "price": 39.0}


@pytest.fixture
def shop(client: TestClient) -> Iterator[Recommender]:
    """The client on an app of this process."""

    def pass_on(request: httpx.Request) -> httpx.Response:
        headers = dict(request.headers)
        answer = client.request(
            request.method, str(request.url), content=request.read(), headers=headers
        )
        return httpx.Response(
            answer.status_code, headers=dict(answer.headers), content=answer.content
        )

    with Recommender("http://testserver", transport=httpx.MockTransport(pass_on)) as made:
        yield made


# --- against the app ---------------------------------------------------------------------------


def test_items_are_kept_changed_and_taken_away(shop: Recommender) -> None:
    assert shop.upsert_items(MUG) == {"accepted": 1, "created": 1, "updated": 0, "unchanged": 0}
    assert shop.upsert_items([MUG, {"item_id": "t2", "title": "Spork"}])["created"] == 1
    assert shop.item("t/1 ü")["title"] == "Titanium mug"
    assert shop.patch_item("t/1 ü", price=35.0, hidden=True)["price"] == 35.0
    shop.delete_item("t/1 ü")
    with pytest.raises(Missing) as told:
        shop.item("t/1 ü")
    assert told.value.status == 404 and "PUT /v1/items" in told.value.detail
    assert told.value.request_id and told.value.type == "urn:trefoil:problem:not-found"


def test_a_large_batch_is_accepted_and_can_be_followed(shop: Recommender) -> None:
    batch = [{"item_id": f"n{n}", "title": f"mug {n}"} for n in range(150)]
    upload = shop.upsert_items(batch)
    assert "upload_id" in upload and shop.upload(upload["upload_id"])["total"] == 150


def test_an_event_is_in_the_next_answer_and_counts_once(shop: Recommender) -> None:
    event = {"user_id": "mara", "item_id": "hiking-sun-tent", "event": "click", "event_id": "e1"}
    assert shop.send_events(event) == {"accepted": 1, "repeated": 0, "warnings": []}
    assert shop.send_events([event, event])["repeated"] == 2
    answer = shop.recommend(user_id="mara", n=3, filter={"category": "hiking"})
    assert len(answer["items"]) == 3 and answer["recommendation_id"]
    assert all(one["item_id"].startswith("hiking") for one in answer["items"])
    assert 0 <= answer["items"][0]["p_interest"] <= 1 and answer["items"][0]["reasons"]
    more = shop.recommend(user_id="mara", n=3, cursor="")
    assert shop.recommend(user_id="mara", n=3, cursor=more["cursor"])["items"]


def test_lists_without_a_person(shop: Recommender) -> None:
    item = "hiking-sun-tent"
    assert len(shop.similar(item, n=2, filter={"category": "hiking"})["items"]) == 2
    found = shop.search("tent for hiking", n=2)
    assert found["items"] and found["understood"]["text"]
    assert "items" in shop.trending(n=2, days=30.0)
    assert "items" in shop.bought_together(item, support=1)


def test_people_are_merged_handed_out_and_forgotten(shop: Recommender) -> None:
    tent = {"item_id": "hiking-sun-tent", "event": "click"}
    shop.send_events([{"session_id": "s1", **tent}, {"user_id": "old", **tent}])
    assert shop.merge_users("mara", session_id="s1")["events"] == 1
    assert shop.merge_users("mara", from_user_id="old")["events"] == 1
    pages = list(shop.export_user("mara"))
    assert sum(len(page["events"]) for page in pages) == 2
    assert shop.forget_user("mara")["events"] == 2
    assert next(iter(shop.export_user("mara")))["events"] == []


def test_trainings_are_asked_for_and_looked_at(shop: Recommender) -> None:
    number = shop.ask_for_training()["id"]
    assert shop.training(number)["state"] == "asked"
    assert shop.model()["rung"]


def test_what_is_wrong_is_said_as_the_server_said_it(shop: Recommender) -> None:
    with pytest.raises(InvalidRequest, match="n must be at most 100"):
        shop.recommend(user_id="mara", n=500)
    with pytest.raises(InvalidRequest, match="expected user_id or session_id"):
        shop.send_events({"item_id": "a", "event": "click"})


def test_the_async_client_does_the_same(client: TestClient) -> None:
    async def work() -> None:
        transport = httpx.ASGITransport(client.app)
        async with AsyncRecommender("http://testserver", transport=transport) as shop:
            tent, mug = "hiking-sun-tent", {"item_id": "t2", "title": "Mug for hiking"}
            assert (await shop.upsert_items(mug))["accepted"] == 1
            assert (await shop.patch_item("t2", brand="Nord"))["brand"] == "Nord"
            assert (await shop.item("t2"))["brand"] == "Nord"
            await shop.delete_item("t2")
            told = await shop.send_events({"session_id": "s", "item_id": tent, "event": "click"})
            assert told["accepted"] == 1
            assert len((await shop.recommend(session_id="s", n=2))["items"]) == 2
            assert len((await shop.similar(tent, n=2))["items"]) == 2
            assert (await shop.search("tent"))["understood"]["text"] == "tent"
            assert "items" in await shop.trending()
            assert "items" in await shop.bought_together(tent)
            assert (await shop.merge_users("mara", session_id="s"))["events"] == 1
            assert [len(page["events"]) async for page in shop.export_user("mara")] == [1]
            assert (await shop.forget_user("mara"))["events"] == 1
            number = (await shop.ask_for_training())["id"]
            assert (await shop.training(number))["id"] == number
            assert (await shop.model())["model_version"]
            with pytest.raises(Missing):
                await shop.upload("none")

    asyncio.run(work())


# --- what goes wrong ---------------------------------------------------------------------------


class Server:
    """Answers in turn; an exception is raised instead. Keeps what it was sent and what was
    waited."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.sent: list[Any] = []
        self.waits: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append((request.method, request.url.raw_path.decode(), request.read()))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, patience: Patience | None = None) -> Recommender:
        transport = httpx.MockTransport(self)
        given = patience or Patience()
        return Recommender(URL, transport=transport, patience=given, sleep=self.waits.append)


def busy(status: int = 503, retry_after: str | None = None) -> httpx.Response:
    problem = {"title": "Busy", "status": status, "detail": "come back", "request_id": "r"}
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return httpx.Response(status, json=problem, headers=headers)


TAKEN = {"accepted": 1, "repeated": 0, "warnings": []}
EVENT = {"user_id": "u", "item_id": "a", "event": "click"}


def test_an_event_that_got_no_answer_is_sent_again_under_the_same_id() -> None:
    server = Server(
        httpx.ConnectError("refused"), httpx.ReadTimeout("late"), httpx.Response(200, json=TAKEN)
    )
    assert server.client().send_events(EVENT) == TAKEN
    assert len(server.sent) == 3 and len({body for _, _, body in server.sent}) == 1
    assert b'"event_id"' in server.sent[0][2] and "event_id" not in EVENT
    assert server.waits == [0.2, 0.4]


def test_a_server_that_names_a_time_is_believed() -> None:
    server = Server(
        busy(429, retry_after="3"), busy(retry_after="soon"), httpx.Response(200, json=TAKEN)
    )
    assert server.client().send_events(EVENT) == TAKEN
    assert server.waits == [3.0, 0.4]


def test_who_should_wait_too_long_is_told_at_once() -> None:
    server = Server(busy(retry_after="3600"))
    with pytest.raises(Busy) as told:
        server.client().recommend(user_id="u")
    assert told.value.retry_after == 3600.0 and server.waits == []


def test_after_the_last_try_the_reason_is_raised() -> None:
    patience = Patience(tries=2, first_wait=0.0)
    server = Server(busy(), busy())
    with pytest.raises(Busy, match="503 Busy: come back"):
        server.client(patience).recommend(user_id="u")
    server = Server(httpx.ConnectError("refused"), httpx.ConnectError("refused"))
    with pytest.raises(Unreachable, match="refused"):
        server.client(patience).recommend(user_id="u")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, NotAllowed), (403, NotAllowed), (413, InvalidRequest), (500, Problem)],
)
def test_what_another_try_would_not_mend_is_not_tried_again(
    status: int, kind: type[Problem]
) -> None:
    server = Server(httpx.Response(status, text="<html>no"))
    with pytest.raises(kind) as told:
        server.client().recommend(user_id="u")
    assert told.value.status == status and len(server.sent) == 1


def test_the_key_is_sent_and_events_go_in_batches() -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["authorization"])
        return httpx.Response(200, json=TAKEN)

    with Recommender(URL, key="secret", transport=httpx.MockTransport(answer)) as shop:
        told = shop.send_events([EVENT] * (EVENTS_AT_ONCE + 1))
    assert keys == ["Bearer secret"] * 2 and told["accepted"] == 2


def test_any_text_may_be_a_name_but_none() -> None:
    assert place("items", "a/b ?#%") == "/v1/items/a%2Fb%20%3F%23%25"
    with pytest.raises(ValueError, match="was an empty text"):
        place("items", "")
    with pytest.raises(ValueError, match="at least one try"):
        Patience(tries=0)


# --- in a process of its own -------------------------------------------------------------------


def test_the_client_needs_nothing_of_the_server(run_python: Callable[..., str]) -> None:
    code = (
        "import sys; import services.recommender.client as c; "
        "print(c.Recommender.__name__, [m for m in ('numpy', 'sqlalchemy', 'fastapi', 'pydantic', "
        "'onnxruntime', 'torch', 'core', 'starlette') if m in sys.modules])"
    )
    assert run_python(code) == "Recommender []"


def test_a_real_server_is_waited_for_while_it_starts_and_the_example_runs(
    stocked: Settings,
    start_server: Callable[[str, Path], RunningServer],
    run_python: Callable[..., str],
) -> None:
    patience = Patience(tries=600, first_wait=0.1, longest_wait=0.1)
    readme = (Path(client.__file__).parent / "README.md").read_text(encoding="utf-8")
    example = readme.split("```python\n")[1].split("```")[0]
    server = start_server(stocked.database_url, stocked.var_dir)
    try:
        with Recommender(server.address, patience=patience) as shop:
            event = {"user_id": "mara", "item_id": "hiking-sun-tent", "event": "click"}
            assert shop.send_events(event)["accepted"] == 1
            assert len(shop.recommend(user_id="mara", n=3)["items"]) == 3
            printed = run_python(example.replace("http://127.0.0.1:8003", server.address))
    finally:
        server.kill()
    assert printed.count("\n") == 3
