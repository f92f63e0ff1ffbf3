"""What does the client give to the recommender and get from it, and what can go wrong?

Plain dictionaries with named keys: what a newer server says beside these is there as well. Nothing
here needs more than the standard library.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Availability = Literal["in_stock", "out_of_stock", "preorder", "backorder"]
Attribute = str | int | float | bool | list[str]
# A condition over item fields: {"price": {"range": [0, 100]}}; see the service's README.
Condition = dict[str, Any]


class RecommenderError(Exception):
    """Anything that the client raises on purpose."""


class Unreachable(RecommenderError):
    """No answer, however often it was tried: the server is away, or takes too long."""


class Problem(RecommenderError):
    """The server said no. `detail` says what was expected and what to do; `request_id` finds the
    request in the server's log."""

    def __init__(self, status: int, title: str, detail: str, request_id: str, type: str) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status, self.title, self.detail = status, title, detail
        self.request_id, self.type = request_id, type


class InvalidRequest(Problem):
    """400, 413, 415 or 422: the request itself is wrong, and so would be a second one."""


class NotAllowed(Problem):
    """401 or 403: the key is missing, unknown, or not for this."""


class Missing(Problem):
    """404: there is no such thing."""


class Clash(Problem):
    """409: it clashes with what is there."""


class Busy(Problem):
    """429 or 503, however often it was tried. `retry_after` in seconds, None where not told."""

    retry_after: float | None = None


class ServerFailed(Problem):
    """Any other answer that is none."""


class Item(TypedDict):
    """An item; what is left out is empty. Times are ISO 8601 or Unix seconds."""

    item_id: str
    title: str
    description: NotRequired[str]
    tags: NotRequired[list[str]]
    category: NotRequired[str]
    brand: NotRequired[str]
    price: NotRequired[float | None]
    currency: NotRequired[str]
    availability: NotRequired[Availability]
    created_at: NotRequired[str | float | None]
    item_group_id: NotRequired[str]
    image: NotRequired[str]
    attributes: NotRequired[dict[str, Attribute]]
    hidden: NotRequired[bool | None]


class ItemChanges(TypedDict, total=False):
    """What of an item is to change; None empties a field."""

    title: str
    description: str | None
    tags: list[str] | None
    category: str | None
    brand: str | None
    price: float | None
    currency: str | None
    availability: Availability | None
    created_at: str | float | None
    item_group_id: str | None
    image: str | None
    attributes: dict[str, Attribute | None] | None
    hidden: bool | None


class StoredItem(TypedDict):
    """An item as it is kept; times in ISO 8601."""

    item_id: str
    title: str
    description: str
    tags: list[str]
    category: str
    brand: str
    price: float | None
    currency: str
    availability: Availability
    created_at: str | None
    item_group_id: str
    image: str
    attributes: dict[str, Attribute]
    hidden: bool
    first_seen_at: str


class Upserted(TypedDict):
    """What became of a batch of items."""

    accepted: int
    created: int
    updated: int
    unchanged: int


class Event(TypedDict):
    """What somebody did with an item. Without an `event_id` the client makes one, so that an event
    that is sent twice counts once."""

    item_id: str
    event: str
    user_id: NotRequired[str]
    session_id: NotRequired[str]
    timestamp: NotRequired[str | float]
    value: NotRequired[float]
    event_id: NotRequired[str]
    recommendation_id: NotRequired[str]
    position: NotRequired[int]
    scenario: NotRequired[str]
    text: NotRequired[str]
    quantity: NotRequired[float]
    currency: NotRequired[str]
    order_id: NotRequired[str]


class EventsTaken(TypedDict):
    """`repeated` were known already."""

    accepted: int
    repeated: int
    warnings: list[str]


class Reason(TypedDict):
    """One part of why an item stands where it does."""

    part: str
    contribution: float
    text: str
    item_id: str | None
    title: str | None
    event: str | None
    share: float | None


class Recommended(TypedDict):
    """One place of an answer. `p_interest` from 0 to 1."""

    item_id: str
    rank: int
    score: float
    p_interest: float
    source: str
    reasons: list[Reason]
    signals: dict[str, float]
    propensity: NotRequired[float]


class Recommendations(TypedDict):
    """Send `recommendation_id` back with the events that come from it. `cursor`, where one was
    asked for with `cursor=""`, is where the list goes on."""

    recommendation_id: str
    model_version: str
    items: list[Recommended]
    cursor: NotRequired[str]


class Understood(TypedDict):
    """`text` is what was looked for, `filter` what phrases such as "under 100" became."""

    text: str
    filter: dict[str, Any]
    phrases: list[str]


class Found(Recommendations):
    """What a search found."""

    understood: Understood


class ListedItem(TypedDict):
    """One place of a list; `baskets` and `lift` of what is bought together."""

    item_id: str
    rank: int
    score: float
    baskets: NotRequired[int]
    lift: NotRequired[float]


class Listed(TypedDict):
    """Similar items, what is trending, what is bought together."""

    recommendation_id: str
    model_version: str
    items: list[ListedItem]


class ListOptions(TypedDict, total=False):
    """What may stand in a list without a person."""

    n: int
    scenario: str
    filter: Condition


class TrendingOptions(ListOptions, total=False):
    """In the last `days`, of one `category`."""

    days: float
    category: str


class TogetherOptions(ListOptions, total=False):
    """In `support` baskets or more."""

    support: int


class Merged(TypedDict):
    """`events` are the user's from now on; `already`: the two were one before."""

    user_id: str
    events: int
    already: bool


class Erased(TypedDict):
    """How many events of the user there were."""

    user_id: str
    events: int


class AskedTraining(TypedDict):
    """The number of a training, and that it waits for the worker."""

    id: int
    state: str


class Upload(TypedDict):
    """How far a large batch of items is; `progress` is where to ask again."""

    upload_id: str
    state: Literal["waiting", "working", "done"]
    total: int
    done: int
    failed: int
    errors: list[dict[str, Any]]
    progress: str


class Wanted(TypedDict, total=False):
    """For whom, and what may stand in the answer; see the service's README."""

    user_id: str
    session_id: str
    scenario: str
    n: int
    exclude: list[str]
    include_out_of_stock: bool
    explain: bool
    filter: Condition
    boost: list[dict[str, Any]]
    diversity: float
    freshness: float
    exploration: float
    cursor: str


class Asked(Wanted, total=False):
    """What only a recommendation may say."""

    item_ids: list[str]
    allow_repeats: bool
