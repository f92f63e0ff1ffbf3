"""Payloads of Google Analytics 4 and Segment, as tables: what comes in, what it means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from services.recommender import ga4, segment
from services.recommender.event_store import NewEvent
from services.recommender.outside_events import GivenBack, Translated, fill_orders

NOW = 1_800_000_000.0
MICROS = 1_790_000_000_000_000


def of_ga4(*events: dict[str, Any], **body: Any) -> Translated:
    given = {"client_id": "c1", "timestamp_micros": MICROS, "events": list(events), **body}
    return ga4.translate(ga4.Ga4In.model_validate(given), NOW)


def of_segment(*calls: dict[str, Any]) -> Translated:
    given = [
        segment.SegmentCall.model_validate({"type": "track", "anonymousId": "a1", **call})
        for call in calls
    ]
    return segment.translate(given, NOW)


def ids(told: Translated) -> list[str]:
    return [event.event_id for event in told.events]


# --- Google Analytics 4 --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("view_item_list", "impression"),
        ("view_item", "view"),
        ("select_item", "click"),
        ("share", "share"),
        ("add_to_wishlist", "wishlist"),
        ("add_to_cart", "add_to_cart"),
        ("remove_from_cart", "remove_from_cart"),
        ("purchase", "purchase"),
        ("refund", "refund"),
    ],
)
def test_each_name_of_ga4_has_its_kind(name: str, kind: str) -> None:
    [event] = of_ga4({"name": name, "params": {"items": [{"item_id": "i1"}]}}).events
    assert (event.kind, event.item_id, event.session_id) == (kind, "i1", "c1")
    assert event.user_id is None and event.occurred_at == MICROS / 1e6


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"items": [{"index": 0}], "item_list_id": "home"}, {"position": 1, "scenario": "home"}),
        ({"items": [{"item_list_id": "own"}], "item_list_id": "home"}, {"scenario": "own"}),
        ({"items": [{"item_list_name": "Related"}]}, {"scenario": "Related"}),
        ({"items": [{"item_list_id": "x" * 150}]}, {"scenario": "x" * 100}),
        ({"items": [{"price": 9.5, "quantity": 2}], "currency": "EUR"}, {"value": 19.0}),
        ({"items": [{"price": "9.5"}], "currency": "EUR"}, {"value": 9.5, "currency": "EUR"}),
        ({"items": [{}], "value": 30.0}, {"value": 30.0}),
        ({"items": [{"quantity": 3}]}, {"quantity": 3.0, "value": None}),
        ({"items": [{"recommendation_id": "r1"}]}, {"recommendation_id": "r1"}),
        ({"items": [{}], "recommendation_id": "r2"}, {"recommendation_id": "r2"}),
        ({"items": [{"index": -7}]}, {"position": None}),
        ({"items": [{"index": ""}]}, {"position": None}),
        ({"items": [{}], "transaction_id": 17}, {"order_id": "17"}),
    ],
)
def test_what_ga4_says_of_an_item(params: dict[str, Any], expected: dict[str, Any]) -> None:
    items = [{"item_id": "i1", **item} for item in params["items"]]
    [event] = of_ga4({"name": "purchase", "params": {**params, "items": items}}).events
    assert {name: getattr(event, name) for name in expected} == expected


def test_money_is_told_of_purchases_and_refunds_alone() -> None:
    params = {"items": [{"item_id": "i1", "price": 9.5}], "value": 9.5}
    [event] = of_ga4({"name": "view_item", "params": params}).events
    assert event.value is None


def test_names_that_say_nothing_are_counted() -> None:
    told = of_ga4({"name": "page_view"}, {"name": "page_view"}, {"name": "view_item"})
    assert told.events == [] and told.names() == {"page_view": 2, "view_item": 1}


def test_items_without_an_id_are_told_of() -> None:
    params = {"items": [{"item_name": "Tent"}, {"item_id": " "}, {"item_id": 7}]}
    told = of_ga4({"name": "view_item", "params": params})
    assert [event.item_id for event in told.events] == ["7"]
    assert told.warnings() == ["2 items have no id that the shop could know; they are left out"]


def test_what_ga4_sends_twice_is_the_same_event() -> None:
    items = {"items": [{"item_id": "a"}, {"item_id": "b"}, {"item_id": "a"}]}
    first = of_ga4({"name": "select_item", "params": items})
    assert ids(first) == ids(of_ga4({"name": "select_item", "params": items}))
    assert len(set(ids(first))) == 3
    other = of_ga4({"name": "select_item", "params": items}, timestamp_micros=MICROS + 1)
    assert not set(ids(first)) & set(ids(other))


def test_a_purchase_is_its_transaction_however_often_it_is_told() -> None:
    params = {"transaction_id": "T1", "items": [{"item_id": "a"}]}
    first = of_ga4({"name": "purchase", "params": params})
    again = of_ga4({"name": "purchase", "params": params}, timestamp_micros=MICROS + 5)
    order = {"order_id": "T1", "products": [{"product_id": "a"}]}
    by_server = of_segment({"event": "Order Completed", "messageId": "m", "properties": order})
    assert ids(first) == ids(again) == ids(by_server)
    back = of_ga4({"name": "refund", "params": params})
    assert not set(ids(first)) & set(ids(back))


def test_without_a_moment_nothing_tells_a_second_view_from_a_resent_one() -> None:
    event = {"name": "view_item", "params": {"items": [{"item_id": "a"}]}}
    first, second = (of_ga4(event, timestamp_micros=None) for _ in range(2))
    assert ids(first) != ids(second) and first.events[0].occurred_at == NOW


def test_a_refund_without_items_is_of_the_whole_order() -> None:
    told = of_ga4({"name": "refund", "params": {"transaction_id": "T1", "currency": "EUR"}})
    assert told.events == [] and [back.order_id for back in told.given_back] == ["T1"]


@pytest.mark.parametrize(
    "body",
    [
        {"events": []},
        {"client_id": "c", "events": [{"name": ""}]},
        {"client_id": "c", "events": [{"name": "purchase", "params": {"items": "a"}}]},
        {"client_id": "c" * 201, "events": []},
        {"client_id": "c", "events": [{"name": "x"}] * 1_001},
        {"client_id": "c", "timestamp_micros": -1, "events": []},
        {"client_id": "c", "events": [{"name": "a", "params": {"items": [{"price": 1e300}]}}]},
    ],
)
def test_what_is_no_payload_of_ga4_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ga4.Ga4In.model_validate(body)


# --- Segment -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Product List Viewed", "impression"),
        ("Product Clicked", "click"),
        ("Product Viewed", "view"),
        ("Product Added", "add_to_cart"),
        ("Product Removed", "remove_from_cart"),
        ("Product Added to Wishlist", "wishlist"),
        ("Product Reviewed", "comment"),
        ("Product Shared", "share"),
        ("Order Completed", "purchase"),
        ("order refunded", "refund"),
    ],
)
def test_each_name_of_segment_has_its_kind(name: str, kind: str) -> None:
    call = {"event": name, "userId": "u1", "timestamp": "2026-03-01T09:30:00.000Z"}
    [event] = of_segment({**call, "properties": {"product_id": "i1"}}).events
    assert (event.kind, event.item_id) == (kind, "i1")
    assert (event.user_id, event.session_id) == ("u1", "a1")
    assert event.occurred_at == 1_772_357_400.0


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"list_id": "home", "products": [{"product_id": "a", "position": 3}]},
         [{"item_id": "a", "position": 3, "scenario": "home"}]),
        ({"products": [{"product_id": "a", "price": 5, "quantity": 2}, {"sku": "b", "price": 1}]},
         [{"item_id": "a", "value": 10.0}, {"item_id": "b", "value": 1.0}]),
        ({"product_id": "a", "revenue": 7.5, "currency": "USD"},
         [{"value": 7.5, "currency": "USD"}]),
        ({"order_id": "o", "products": [{"product_id": "a"}, {"product_id": "a"}]},
         [{"item_id": "a", "order_id": "o"}, {"item_id": "a", "order_id": "o"}]),
        ({"recommendation_id": "r", "product_id": "a"}, [{"recommendation_id": "r"}]),
    ],
)  # fmt: skip
def test_what_segment_says_of_products(
    said: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    told = of_segment({"event": "Order Completed", "messageId": "m", "properties": said})
    assert len(set(ids(told))) == len(expected)
    for event, wanted in zip(told.events, expected, strict=True):
        assert {name: getattr(event, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("review", "kind", "value", "text"),
    [
        ({"review_body": "Warm and light.", "rating": "5"}, "comment", 5.0, "Warm and light."),
        ({"review_body": "Leaks."}, "comment", None, "Leaks."),
        ({"rating": 2}, "rating", 2.0, None),
        ({"review_body": "  ", "rating": 2}, "rating", 2.0, None),
        ({"review_body": "x" * 9_000}, "comment", None, "x" * 4_000),
    ],
)
def test_a_review_is_a_comment_with_its_stars(
    review: dict[str, Any], kind: str, value: float | None, text: str | None
) -> None:
    told = of_segment({"event": "Product Reviewed", "properties": {"product_id": "a", **review}})
    [event] = told.events
    assert (event.kind, event.value, event.text) == (kind, value, text)


def test_calls_that_say_nothing_are_counted() -> None:
    told = of_segment(
        {"type": "identify"},
        {"event": "Cart Viewed"},
        {"event": "Product Viewed"},
        {"type": "page"},
    )
    assert told.events == []
    assert told.names() == {"identify": 1, "Cart Viewed": 1, "Product Viewed": 1, "page": 1}


def test_a_message_that_is_sent_twice_is_the_same_event() -> None:
    call = {"event": "Product Viewed", "messageId": "m1", "properties": {"product_id": "a"}}
    assert ids(of_segment(call)) == ids(of_segment({**call, "timestamp": 5}))
    assert ids(of_segment(call)) != ids(of_segment({**call, "messageId": "m2"}))
    unnamed = {"event": "Product Viewed", "properties": {"product_id": "a"}}
    assert ids(of_segment(unnamed)) != ids(of_segment(unnamed))
    dated = {**unnamed, "originalTimestamp": "2026-03-01T09:30:00Z"}
    assert ids(of_segment(dated)) == ids(of_segment(dated))


# --- orders that are given back as a whole -------------------------------------------------------


def test_an_order_is_given_back_line_by_line_by_whoever_bought_it() -> None:
    common = NewEvent("", None, "s", "", "refund", None, NOW)
    bought = [
        replace(common, event_id=str(n), user_id="u", item_id=item, kind="purchase", value=5.0)
        for n, item in enumerate("aab")
    ]
    given_back = [GivenBack("o1", common), GivenBack("o2", common)]
    lines, unknown = fill_orders(given_back, lambda name: bought if name == "o1" else [])
    assert unknown == ["o2"]
    assert [(e.item_id, e.user_id, e.kind, e.value) for e in lines] == [
        (item, "u", "refund", 5.0) for item in "aab"
    ]
    again, _ = fill_orders(given_back[:1], lambda name: bought)
    assert [e.event_id for e in again] == [e.event_id for e in lines]
    assert len({e.event_id for e in lines}) == 3
