"""What do an item, a change of it and an upload look like on the wire?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
)

from core.data.attributes import (
    MAX_ATTRIBUTES,
    MAX_LIST,
    MAX_LIST_TEXT,
    MAX_NAME,
    MAX_TEXT,
    as_attribute,
)
from core.data.records import Attribute, Availability, Item
from core.data.shop import MAX_DESCRIPTION, MAX_TITLE
from core.errors import TooLarge
from core.markup import plain_text, web_address
from core.web.errors import readable
from services.recommender.schemas import EARLIEST, LATEST, Amount, Identifier, Moment, Short
from services.recommender.store import StoredItem
from services.recommender.tables import ID_CHARS
from services.recommender.uploads import Chunk, FailedRow, Upload

_MOST_TAGS = 100
_LONGEST_REASON = 300


def _title(text: str) -> str:
    title = plain_text(text, MAX_TITLE)
    if not title:
        raise ValueError("expected a title with something to read outside of markup")
    return title


def _description(text: str) -> str:
    return plain_text(text, MAX_DESCRIPTION)


def _address(text: str) -> str:
    if text.strip() and not web_address(text):
        raise ValueError("expected an http or https address of at most 2,000 characters")
    return text.strip()


def _attribute(value: Any) -> Attribute:
    found: Attribute | None = value if value in ("", []) else as_attribute(value)
    if found is None:
        raise ValueError(
            f"expected a text of at most {MAX_TEXT} characters, a number, true or false, or at "
            f"most {MAX_LIST} texts of at most {MAX_LIST_TEXT} characters"
        )
    return found


Title = Annotated[str, Field(min_length=1, max_length=MAX_TITLE), AfterValidator(_title)]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION), AfterValidator(_description)]
Tags = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=_MOST_TAGS)]
Currency = Annotated[str, Field(max_length=10)]
Group = Annotated[str, Field(max_length=ID_CHARS)]
Image = Annotated[str, AfterValidator(_address)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Value = Annotated[Attribute, PlainValidator(_attribute, json_schema_input_type=Attribute)]


class _In(BaseModel):
    # What a shop sends beside these is left alone.
    model_config = ConfigDict(extra="ignore")


class ItemIn(_In):
    """A product or an article. What is left out is empty: an upsert replaces the whole item, but
    for `hidden`, which then stays as it is. HTML in title and description becomes plain text."""

    item_id: Identifier
    title: Title
    description: Description = ""
    tags: Tags = []
    category: Short = ""
    brand: Short = ""
    price: Amount | None = None
    currency: Currency = ""
    availability: Availability = "in_stock"
    created_at: Moment | None = None
    item_group_id: Group = ""
    image: Image = ""
    attributes: Annotated[dict[Name, Value], Field(max_length=MAX_ATTRIBUTES)] = {}
    hidden: bool | None = None

    def item(self) -> Item:
        """As the service knows it."""
        return Item(**{**self.model_dump(), "tags": tuple(self.tags)})


class ItemPatch(_In):
    """What is to change; what is left out stays. null empties a field. `attributes` are merged
    with those that are there, and null takes one of them away."""

    title: Title = ""
    description: Description | None = None
    tags: Tags | None = None
    category: Short | None = None
    brand: Short | None = None
    price: Amount | None = None
    currency: Currency | None = None
    availability: Availability | None = None
    created_at: Moment | None = None
    item_group_id: Group | None = None
    image: Image | None = None
    attributes: Annotated[dict[Name, Value | None], Field(max_length=2 * MAX_ATTRIBUTES)] | None = (
        None
    )
    hidden: bool | None = None

    def applied(self, item: Item) -> Item:
        """The item with the changes in it. TooLarge where it gets too many attributes."""
        changes: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        for name, value in changes.items():
            if value is None:
                changes[name] = ItemIn.model_fields[name].default
        if "tags" in changes:
            changes["tags"] = tuple(changes["tags"])
        if "hidden" in changes:
            changes["hidden"] = bool(self.hidden)
        if self.attributes is not None:
            changes["attributes"] = _merged(item, self.attributes)
        return replace(item, **changes)


def _merged(item: Item, given: dict[str, Any]) -> dict[str, Attribute]:
    merged = {n: v for n, v in {**item.attributes, **given}.items() if v is not None}
    if len(merged) > MAX_ATTRIBUTES:
        raise TooLarge(
            f"an item has at most {MAX_ATTRIBUTES} attributes, this one would have {len(merged)}",
            mend="Take some away by sending null for them.",
        )
    return merged


class UpsertedOut(BaseModel):
    accepted: int
    created: int
    updated: int
    unchanged: int


class DeletedOut(BaseModel):
    item_id: str
    deleted: Literal[True]


class ItemOut(BaseModel):
    item_id: str
    title: str
    description: str
    tags: list[str]
    category: str
    brand: str
    price: float | None
    currency: str
    availability: Availability
    created_at: datetime | None
    item_group_id: str
    image: str
    attributes: dict[str, Attribute]
    hidden: bool
    first_seen_at: datetime


class ItemsPage(BaseModel):
    """In the order of their ids; `next_cursor` is null on the last page."""

    items: list[ItemOut]
    next_cursor: str | None


class FailedRowOut(BaseModel):
    line: int
    item_id: str | None
    reason: str


class UploadOut(BaseModel):
    """`done` of `total` rows are worked off, `failed` of them could not be taken; `errors` tell
    of the first of those. `line` counts the items of the list from 1."""

    upload_id: str
    state: Literal["waiting", "working", "done"]
    total: int
    done: int
    failed: int
    errors: list[FailedRowOut]
    accepted_at: datetime
    finished_at: datetime | None
    progress: str


def item_out(stored: StoredItem) -> ItemOut:
    """An item as it is kept."""
    item = stored.item
    return ItemOut(
        item_id=item.item_id,
        title=item.title,
        description=item.description,
        tags=list(item.tags),
        category=item.category,
        brand=item.brand,
        price=item.price,
        currency=item.currency,
        availability=item.availability,
        created_at=None if item.created_at is None else _shown(item.created_at),
        item_group_id=item.item_group_id,
        image=item.image,
        attributes=dict(item.attributes),
        hidden=bool(item.hidden),
        first_seen_at=_shown(stored.arrived_at),
    )


def upload_out(upload: Upload) -> UploadOut:
    """How far an upload is."""
    return UploadOut(
        upload_id=upload.upload_id,
        state=upload.state,
        total=upload.total,
        done=upload.done,
        failed=upload.failed,
        errors=[FailedRowOut(**vars(error)) for error in upload.errors],
        accepted_at=_shown(upload.accepted_at),
        finished_at=None if upload.finished_at is None else _shown(upload.finished_at),
        progress=f"/v1/uploads/{upload.upload_id}",
    )


def checked_rows(chunk: Chunk) -> tuple[list[Item], list[FailedRow]]:
    """The items of a chunk, and why of each row that is none."""
    batch, failed = [], []
    for line, row in enumerate(chunk.rows, chunk.first_line):
        try:
            batch.append(ItemIn.model_validate(row).item())
        except ValidationError as error:
            item_id = row.get("item_id") if isinstance(row, dict) else None
            named = item_id[:ID_CHARS] if isinstance(item_id, str) else None
            reason = readable(error.errors(include_url=False)).removeprefix(": ")
            failed.append(FailedRow(line, named, reason[:_LONGEST_REASON]))
    return batch, failed


def _shown(seconds: float) -> datetime:
    # A file may number its rows instead of dating them: what no calendar holds is shown at its end.
    return datetime.fromtimestamp(min(max(seconds, EARLIEST), LATEST), UTC)
