"""Which endpoints does a page ask for what it shows of the products? What stands in a shop's own
page may ask for cards: they tell no more than that page does."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from starlette.requests import Request

from core.data.records import Availability
from core.markup import web_address
from core.web import requires
from services.recommender.api import Given
from services.recommender.sample_shoppers import read_sample_shoppers
from services.recommender.schemas import Identifier
from services.recommender.sessions import SESSION
from services.recommender.showcase import MOST_CARDS, Showcase
from services.recommender.store import StoredItem
from services.recommender.tables import ID_CHARS

router = APIRouter(prefix="/v1")
bound = APIRouter(prefix="/v1", dependencies=[requires("recommend", SESSION)])

# Attributes in which feeds name the page of a product, the first that is there.
_LINKS: Final = ("link", "url")


async def _showcase(request: Request) -> Showcase:
    showcase: Showcase = request.app.state.showcase
    return showcase


Showing = Annotated[Showcase, Depends(_showcase)]


class CardOut(BaseModel):
    """What a shelf shows of an item. `link` is its page in the shop, where the shop told it."""

    item_id: str
    title: str
    category: str
    brand: str
    tags: list[str]
    price: float | None
    currency: str
    availability: Availability
    image: str
    link: str


class CardsOut(BaseModel):
    items: list[CardOut]


class CatalogueOut(BaseModel):
    """In the order of their ids; `next_cursor` is null on the last page."""

    items: list[CardOut]
    next_cursor: str | None


class CategoryOut(BaseModel):
    category: str
    items: int


class CategoriesOut(BaseModel):
    """The largest first; `items` are those of all that are listed."""

    categories: list[CategoryOut]
    items: int


class SampleShopperOut(BaseModel):
    user_id: str
    name: str
    label: str
    about: str


class SampleShoppersOut(BaseModel):
    shoppers: list[SampleShopperOut]


@bound.get("/cards", response_model=CardsOut)
def cards(
    showcase: Showing,
    item_id: Annotated[list[Identifier], Query(min_length=1, max_length=MOST_CARDS)],
) -> Any:
    """What a page shows of these items; those that are not in the shop, or hidden, are left out."""
    return CardsOut(items=[card_out(stored) for stored in showcase.cards(item_id)])


@router.get("/catalogue", response_model=CatalogueOut, dependencies=[requires("recommend")])
def catalogue(
    showcase: Showing,
    limit: Annotated[int, Query(ge=1, le=MOST_CARDS)] = 24,
    cursor: Annotated[str, Query(max_length=ID_CHARS)] = "",
    category: Annotated[str | None, Query(max_length=500)] = None,
) -> Any:
    """The shop's items that may be seen, all or of one category. `cursor` is the `next_cursor` of
    the page before."""
    found = showcase.page(limit + 1, cursor, category)
    page = found[:limit]
    following = page[-1].item.item_id if len(found) > limit else None
    return CatalogueOut(items=[card_out(stored) for stored in page], next_cursor=following)


@router.get("/categories", response_model=CategoriesOut, dependencies=[requires("recommend")])
def categories(showcase: Showing) -> Any:
    """The categories and how many items each has."""
    found = showcase.categories()
    return CategoriesOut(
        categories=[CategoryOut(category=one.category, items=one.items) for one in found],
        items=sum(one.items for one in found),
    )


@router.get(
    "/sample-shoppers", response_model=SampleShoppersOut, dependencies=[requires("recommend")]
)
def sample_shoppers(parts: Given) -> Any:
    """Shoppers to look at the shop with, as the file of the setting SAMPLE_SHOPPERS names them."""
    found = read_sample_shoppers(parts.settings.sample_shoppers)
    return SampleShoppersOut(shoppers=[SampleShopperOut(**vars(one)) for one in found])


def card_out(stored: StoredItem) -> CardOut:
    """What a page shows of an item."""
    item = stored.item
    named = [item.attributes.get(name) for name in _LINKS]
    links = [link for link in named if isinstance(link, str) and web_address(link)]
    return CardOut(
        item_id=item.item_id,
        title=item.title,
        category=item.category,
        brand=item.brand,
        tags=list(item.tags),
        price=item.price,
        currency=item.currency,
        availability=item.availability,
        image=item.image,
        link=links[0] if links else "",
    )
