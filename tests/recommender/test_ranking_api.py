"""Filters, rules, search, trends and pages over HTTP."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.db.engine import make_engine, session_factory
from services.recommender.app import create_app
from services.recommender.settings import Settings
from services.recommender.together import Baskets
from tests.recommender.conftest import AFTER, Clock
from tests.recommender.test_api import ask, click, ids


def put_rules(client: TestClient, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = client.put("/v1/rules", json={"rules": list(rules), **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def problem(answer: Any) -> str:
    assert answer.status_code == 422, answer.text
    return str(answer.json()["detail"])


# --- recommendations ---------------------------------------------------------------------------


def test_a_filter_and_a_boost_are_taken(client: TestClient) -> None:
    found = ask(client, filter={"category": "baking", "price": {"lt": 13}})
    assert found and all(item.startswith("baking") for item in ids(found))
    click(client, "hiking-sun-tent")
    found = ask(client, boost=[{"filter": {"category": "baking"}, "factor": 500}], n=3)
    assert all(item.startswith("baking") for item in ids(found))
    assert all(item["signals"]["boost"] > 6 for item in found)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"filter": {"colour": "red"}}, "filter.colour: there is no such field"),
        ({"filter": {"attributes.colour": "red"}}, "filter.attributes.colour: no item has"),
        ({"filter": {"not": {"price": {"below": 3}}}}, "filter.not.price.below"),
        ({"boost": [{"filter": {}, "factor": 1}, {"filter": {}}]}, "boost[1]: expected either"),
        ({"cursor": "me"}, "the cursor is not one"),
        ({"diversity": 1.5}, "diversity"),
        ({"exploration": -1}, "exploration"),
    ],
)
def test_what_is_wrong_is_named(client: TestClient, body: dict[str, Any], says: str) -> None:
    answer = client.post("/v1/recommendations", json={"user_id": "me", **body})
    assert says in problem(answer)


def test_exploration_is_marked_with_its_chance(client: TestClient) -> None:
    click(client, "hiking-sun-tent")
    found = ask(client, exploration=0.5, n=8)
    drawn = [item for item in found if item["source"] == "exploration"]
    assert len(drawn) == 4 and all(0 < item["propensity"] <= 1 for item in drawn)
    assert all("propensity" not in item for item in found if item not in drawn)


def test_pages_never_repeat_though_events_come_between(stocked: Settings, clock: Clock) -> None:
    """Each page from another server."""
    with (
        TestClient(create_app(stocked, now=clock)) as one,
        TestClient(create_app(stocked, now=clock)) as other,
    ):
        shown: list[str] = []
        cursor: str | None = ""
        for client in (one, other) * 4:
            body = {"user_id": "me", "n": 9, "cursor": cursor}
            page = client.post("/v1/recommendations", json=body).json()
            assert [item["rank"] for item in page["items"]] == [
                len(shown) + n + 1 for n in range(len(page["items"]))
            ]
            shown += ids(page["items"])
            cursor = page.get("cursor")
            if cursor is None:
                break
            click(one, shown[-1])
            one.put("/v1/items", json={"item_id": f"new-{len(shown)}", "title": "hiking rope"})
        assert len(shown) == len(set(shown)) > 38


# --- rules -------------------------------------------------------------------------------------


def test_rules_are_in_force_in_the_next_answer_of_every_server(
    stocked: Settings, clock: Clock
) -> None:
    with (
        TestClient(create_app(stocked, now=clock)) as one,
        TestClient(create_app(stocked, now=clock)) as other,
    ):
        assert one.get("/v1/rules").json()["version"] == 0
        pin = {"kind": "pin", "item_id": "baking-sun-tin", "position": 2, "scenarios": ["home"]}
        made = put_rules(one, pin, note="tins")
        assert (made["version"], made["author"], made["note"]) == (1, "local", "tins")
        assert ask(other, scenario="home")[1]["source"] == "pinned"
        assert ask(other)[1]["source"] != "pinned"
        put_rules(other, {"kind": "cap", "field": "category", "most": 1})
        assert len(ask(one)) == 2
        back = one.post("/v1/rules/rollback", json={"version": 1})
        assert back.json()["restored"] == 1 and back.json()["version"] == 3
        assert ids(ask(other, scenario="home"))[1] == "baking-sun-tin"
        page = one.get("/v1/rules/versions", params={"limit": 2}).json()
        assert [one["version"] for one in page["versions"]] == [3, 2] and page["cursor"] == "2"
        rest = one.get("/v1/rules/versions", params={"cursor": page["cursor"]}).json()
        assert [one["version"] for one in rest["versions"]] == [1] and rest["cursor"] is None


def test_a_wrong_rule_changes_nothing(client: TestClient) -> None:
    wrong = {"rules": [{"kind": "cap", "field": "brand", "most": 1}, {"kind": "pin"}]}
    assert "rules[1]" in problem(client.put("/v1/rules", json=wrong))
    assert client.get("/v1/rules").json()["version"] == 0
    assert client.post("/v1/rules/rollback", json={"version": 5}).status_code == 404
    late = client.put("/v1/rules", json={"rules": [], "based_on": 4})
    assert late.status_code == 409


def test_a_preview_shows_both_lists_and_stores_nothing(client: TestClient) -> None:
    click(client, "hiking-sun-tent")
    block = {"kind": "block", "filter": {"category": "hiking"}}
    body = {"user_id": "me", "n": 5, "rules": [block]}
    seen = client.post("/v1/rules/preview", json=body).json()
    assert ids(seen["now"]) == ids(ask(client, n=5))
    assert all(item.startswith("baking") for item in ids(seen["then"]))
    assert set(seen["went"]) == set(ids(seen["now"])) - set(ids(seen["then"]))
    assert client.get("/v1/rules").json()["version"] == 0


# --- search, similar, trending, bought together -------------------------------------------------


def test_search_tells_what_it_understood(client: TestClient) -> None:
    found = client.get("/v1/search", params={"q": "tent for hiking under 13", "n": 3}).json()
    assert list(found) == ["recommendation_id", "model_version", "items", "understood"]
    assert found["understood"]["filter"] == {"price": {"lt": 13.0}}
    assert found["understood"]["text"] == "tent for hiking"
    assert found["items"][0]["item_id"].startswith("hiking") and len(found["items"]) == 3
    assert found["items"][0]["item_id"].endswith("tent")
    only = {"q": "tent", "filter": json.dumps({"category": "baking"})}
    items = client.get("/v1/search", params=only).json()["items"]
    assert items and all(item.startswith("baking") for item in ids(items))


def test_a_search_may_be_for_somebody_and_go_on(client: TestClient) -> None:
    click(client, "baking-sun-oven")
    body = {"q": "in the rain", "user_id": "me", "n": 12, "cursor": ""}
    first = client.post("/v1/search", json=body).json()
    second = client.post("/v1/search", json={**body, "cursor": first["cursor"]}).json()
    assert not set(ids(first["items"])) & set(ids(second["items"]))
    assert client.post("/v1/search", json={"q": ""}).status_code == 422


def test_rules_hold_in_search_but_pins_do_not(client: TestClient) -> None:
    put_rules(
        client,
        {"kind": "pin", "item_id": "baking-sun-tin", "position": 1},
        {"kind": "block", "filter": {"item_id": "hiking-rain-tent"}},
    )
    found = ids(client.get("/v1/search", params={"q": "tent for hiking"}).json()["items"])
    assert found[0] == "hiking-sun-tent" and "hiking-rain-tent" not in found


@pytest.mark.parametrize(
    ("path", "scenario"),
    [
        ("/v1/similar/hiking-sun-tent", "similar"),
        ("/v1/search?q=tent", "search"),
        ("/v1/trending?days=90", "trending"),
        ("/v1/bought-together/hiking-sun-tent?support=1", "bought-together"),
    ],
)
def test_a_list_is_remembered_for_attribution_under_its_own_name(
    client: TestClient, clock: Clock, path: str, scenario: str
) -> None:
    state = client.app.state  # type: ignore[attr-defined]
    for item in ("hiking-sun-tent", "hiking-sun-rope"):
        click(client, item, user="buyer", event="purchase")
    while state.finder.baskets.fold():
        pass
    given = client.get(path).json()
    elsewhere = client.get(path + ("&" if "?" in path else "?") + "scenario=home").json()
    assert ids(given["items"]) == ids(elsewhere["items"])
    first = {"recommendation_id": given["recommendation_id"], "timestamp": AFTER + 1}
    click(client, given["items"][0]["item_id"], **first)
    clock.forward(hours=1)
    state.parts.answers.write()
    told = client.get("/v1/attribution", params={"from": AFTER}).json()["groups"]
    found = {one["scenario"]: (one["items_shown"], one["answers_clicked"]) for one in told}
    assert found == {scenario: (len(given["items"]), 1), "home": (len(given["items"]), 0)}
    assert {one["model_version"] for one in told} == {given["model_version"]}


def test_rules_may_be_for_one_of_the_lists(client: TestClient) -> None:
    put_rules(
        client,
        {"kind": "block", "filter": {"category": "hiking"}, "scenarios": ["search"]},
    )
    found = client.post("/v1/search", json={"q": "tent for hiking"}).json()["items"]
    assert not any(item.startswith("hiking") for item in ids(found))
    assert client.get("/v1/similar/hiking-sun-tent").json()["items"]


def test_similar_items_take_a_filter(client: TestClient) -> None:
    params = {"filter": json.dumps({"price": {"lt": 13}})}
    found = client.get("/v1/similar/hiking-sun-tent", params=params).json()["items"]
    assert found and "hiking-sun-lamp" not in ids(found)
    wrong = client.get("/v1/similar/hiking-sun-tent", params={"filter": "{"})
    assert "filter: expected JSON" in problem(wrong)


def test_what_is_wanted_more_than_usual_is_trending(client: TestClient) -> None:
    for number in range(30):
        event = {"user_id": f"t{number}", "item_id": "baking-sun-tin", "event": "click"}
        client.post("/v1/events", json=event | {"timestamp": AFTER - 3600 + number})
    found = client.get("/v1/trending", params={"days": 2, "n": 5}).json()
    assert found["items"][0]["item_id"] == "baking-sun-tin"
    hiking = client.get("/v1/trending", params={"days": 2, "category": "hiking"}).json()
    assert all(item.startswith("hiking") for item in ids(hiking["items"]))


def test_what_is_bought_together_is_counted_by_the_worker(
    client: TestClient, stocked: Settings
) -> None:
    for user in range(4):
        for item in ("hiking-sun-tent", "hiking-sun-rope", "hiking-rain-boots"):
            if item != "hiking-rain-boots" or user == 0:
                click(client, item, user=f"b{user}", event="purchase")
    engine = make_engine(stocked.database_url)
    baskets = Baskets(session_factory(engine), session_factory(engine, read_only=True))
    while baskets.fold():
        pass
    engine.dispose()
    found = client.get("/v1/bought-together/hiking-sun-tent").json()
    assert found["items"][0]["item_id"] == "hiking-sun-rope"
    assert found["items"][0]["baskets"] >= 4 and found["items"][0]["lift"] > 1
    more = client.get("/v1/bought-together/hiking-sun-tent", params={"support": 1}).json()
    assert len(more["items"]) > len(found["items"])
    assert client.get("/v1/bought-together/nothing").status_code == 404


def test_the_commands_of_the_page_work(client: TestClient) -> None:
    page = (Path(__file__).parents[2] / "docs" / "RANKING_RULES.md").read_text(encoding="utf-8")
    commands = re.findall(r"^curl (.+?)(?=^curl|^```$|\n\n)", page, re.MULTILINE | re.DOTALL)
    assert len(commands) > 10
    for command in commands:
        words = shlex.split(command)
        address = next(word for word in words if word.startswith("http"))
        body = words[words.index("-d") + 1] if "-d" in words else None
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        path, kind = (
            address.removeprefix("http://127.0.0.1:8003"),
            {"content-type": "application/json"},
        )
        answer = client.request(method, path, content=body, headers=kind)
        assert answer.status_code == 200, f"{command}: {answer.text}"
