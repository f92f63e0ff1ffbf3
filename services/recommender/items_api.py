"""Which endpoints do the shop's items have?"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError, WithJsonSchema
from starlette.responses import JSONResponse, Response

from core.errors import InvalidInput, NotFound, TooLarge
from core.web import requires
from services.recommender.api import Given, ItemId, no_such_item
from services.recommender.ingest import change_item, put_items
from services.recommender.item_schemas import (
    DeletedOut,
    ItemIn,
    ItemOut,
    ItemPatch,
    ItemsPage,
    UploadOut,
    UpsertedOut,
    item_out,
    upload_out,
)
from services.recommender.tables import ID_CHARS

router = APIRouter(prefix="/v1", dependencies=[requires("items")])

_ITEM = ItemIn.model_json_schema()
# A large batch is checked row by row later, so the body comes as it is.
OneOrManyItems = Annotated[
    Any, Body(), WithJsonSchema({"anyOf": [_ITEM, {"type": "array", "items": _ITEM}]})
]
_ITEMS = TypeAdapter(list[ItemIn])


@router.put("/items", response_model=UpsertedOut, responses={202: {"model": UploadOut}})
async def upsert_items(body: OneOrManyItems, parts: Given) -> Any:
    """Add or replace one item or a list of them; all are in the next answer. A longer list is
    accepted with 202 and worked off by the worker; `progress` tells how far it is."""
    if isinstance(body, list) and len(body) > parts.settings.max_items_per_request:
        return await _accept(body, parts)
    batch = [given.item() for given in _checked(body)]
    done = await put_items(parts.items, parts.live, batch, now=parts.seconds())
    return UpsertedOut(accepted=len(batch), **vars(done))


async def _accept(rows: list[Any], parts: Given) -> Response:
    settings = parts.settings
    if len(rows) > settings.max_items_per_upload:
        raise TooLarge(
            f"{len(rows)} items in one request, at most {settings.max_items_per_upload} are taken",
            mend="Send them in several requests, or use `trefoil recommender import`.",
        )
    upload = await asyncio.to_thread(
        parts.uploads.accept, rows, parts.seconds(), most_waiting=settings.max_waiting_uploads
    )
    shown = upload_out(upload)
    return JSONResponse(shown.model_dump(mode="json"), 202, {"Location": shown.progress})


def _checked(body: Any) -> list[ItemIn]:
    try:
        return _ITEMS.validate_python(body if isinstance(body, list) else [body])
    except ValidationError as error:
        # As FastAPI tells of a body that it checks itself.
        place = 0 if isinstance(body, list) else 1
        found = error.errors(include_url=False, include_input=False)
        told = [{**one, "loc": ("body", *one["loc"][place:])} for one in found]
        raise RequestValidationError(told) from error


@router.get("/items", response_model=ItemsPage)
def list_items(
    parts: Given,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: Annotated[str, Query(max_length=ID_CHARS)] = "",
) -> Any:
    """The shop's items in the order of their ids, hidden ones too. `cursor` is the `next_cursor`
    of the page before."""
    found = parts.items.page(limit + 1, cursor)
    page = found[:limit]
    following = page[-1].item.item_id if len(found) > limit else None
    return ItemsPage(items=[item_out(stored) for stored in page], next_cursor=following)


@router.get("/items/{item_id:path}", response_model=ItemOut)
def read_item(item_id: ItemId, parts: Given) -> Any:
    """One item as it is kept."""
    stored = parts.items.find(item_id)
    if stored is None:
        raise no_such_item(item_id)
    return item_out(stored)


@router.patch("/items/{item_id:path}", response_model=ItemOut)
async def patch_item(item_id: ItemId, body: ItemPatch, parts: Given) -> Any:
    """Change the named fields of an item, the others stay; in the next answer. A hidden item is
    recommended no more until `hidden` is false again."""
    if not body.model_fields_set:
        raise InvalidInput("nothing to change", mend='Name a field, as in {"hidden": true}.')
    now = parts.seconds()
    stored = await change_item(parts.items, parts.live, item_id, body.applied, now=now)
    if stored is None:
        raise no_such_item(item_id)
    return item_out(stored)


@router.delete("/items/{item_id:path}", response_model=DeletedOut)
def delete_item(item_id: ItemId, parts: Given) -> Any:
    """Take an item out of the shop; it is in no later answer. Its events stay."""
    if not parts.items.delete(item_id, parts.seconds()):
        raise no_such_item(item_id)
    return DeletedOut(item_id=item_id, deleted=True)


@router.get("/uploads/{upload_id}", response_model=UploadOut)
def read_upload(upload_id: Annotated[str, Path(max_length=32)], parts: Given) -> Any:
    """How far a large batch of items is."""
    upload = parts.uploads.find(upload_id)
    if upload is None:
        raise NotFound(
            f"there is no upload {upload_id!r}",
            mend="Uploads are named by the answer that accepted them, and kept for a week.",
        )
    return upload_out(upload)
