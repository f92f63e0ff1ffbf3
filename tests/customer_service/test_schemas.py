"""What the admin interface takes and gives is told in its schema, forms and calls too."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

FORM = {
    "slots": [
        {"slot": "email", "ask": {"en": "Where?"}, "validate": r".+\.example", "invalid": {}},
        {"slot": "order_number", "ask": {}, "validate": {"LY-100200": ["the last"]}, "invalid": {}},
    ],
    "confirm": {"en": "{email}?"},
}
CALL = {
    "name": "look.up",
    "url": "/orders",
    "slots": ["order_number"],
    "reply": ["status"],
    "timeout": 2.5,
    "cases": [{"when": {"status": "lost"}, "answers": {"en": ["Gone."]}}],
}
URL = "/v1/admin/intents/refund"


def body(**values: Any) -> dict[str, Any]:
    return {"answers": {"en": ["Done."]}, **values}


def test_a_form_and_a_call_come_back_as_they_were_sent(client: TestClient) -> None:
    stored = client.put(URL, json=body(form=FORM, call=CALL))
    assert stored.status_code == 200, stored.text
    said = client.get(URL).json()
    assert (said["form"], said["call"]) == (FORM, CALL)
    again = {key: said[key] for key in ("answers", "form", "call")}
    assert client.put(URL, json=again).json() == said


def test_what_is_short_stands_for_the_whole(client: TestClient) -> None:
    form = {"slots": ["email", {"slot": "order_number", "ask": "Which?", "validate": [7, "a"]}]}
    said = client.put(URL, json=body(form=form)).json()["form"]
    assert [(f["slot"], f["ask"], f["validate"]) for f in said["slots"]] == [
        ("email", {}, None),
        ("order_number", {"en": "Which?"}, ["7", "a"]),
    ]
    assert said["confirm"] == {}


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"form": {"slots": [{"slot": "email", "vaildate": "x"}]}}, "vaildate"),
        ({"form": {"slots": [{"slot": "email", "validate": [True]}]}}, "validate"),
        ({"form": {"slots": "email"}}, "slots"),
        ({"form": {"slots": ["nobody"]}}, "'nobody' is no slot"),
        ({"call": {**CALL, "timeout": True}}, "timeout"),
        ({"call": {**CALL, "timeout": 11}}, "timeout"),
        ({"call": {**CALL, "cases": [{"answers": {"en": ["x"]}}]}}, "when"),
        ({"call": {**CALL, "retries": 3}}, "retries"),
    ],
)
def test_a_wrong_form_or_call_is_refused_with_its_place(
    client: TestClient, values: dict[str, Any], part: str
) -> None:
    response = client.put(URL, json=body(**values))
    assert response.status_code == 422
    assert part in response.text


def test_the_schema_names_every_field_of_a_form_and_a_call(client: TestClient) -> None:
    known = client.get("/openapi.json").json()["components"]["schemas"]
    for name, fields in (
        ("FormIn", {"slots", "confirm"}),
        ("FieldIn", {"slot", "ask", "validate", "invalid"}),
        ("CallIn", {"name", "url", "slots", "reply", "timeout", "cases"}),
        ("CallCaseIn", {"when", "answers"}),
    ):
        found = [schema for key, schema in known.items() if key.split("-")[0] == name]
        assert found, name
        assert all(set(schema["properties"]) == fields for schema in found)
