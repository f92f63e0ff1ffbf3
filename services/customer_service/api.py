"""Which endpoints are there? They translate between HTTP and the service, and decide nothing."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from core.errors import InvalidInput
from core.web import requires
from services.customer_service.admin import Admin
from services.customer_service.answers import Intent, as_mapping
from services.customer_service.articles import Article
from services.customer_service.reply import Message, Replier
from services.customer_service.schemas import (
    ArticleIn,
    ArticleOut,
    ChatRequest,
    ChatResponse,
    ConversationOut,
    Identifier,
    IntentIn,
    IntentOut,
)
from services.customer_service.store import ConversationStore

router = APIRouter()

_LARGEST_CURSOR = 2**63 - 1


def _replier(request: Request) -> Replier:
    replier: Replier = request.app.state.replier
    return replier


def _conversations(request: Request) -> ConversationStore:
    store: ConversationStore = request.app.state.conversations
    return store


def _admin(request: Request) -> Admin:
    admin: Admin = request.app.state.admin
    return admin


@router.post("/v1/chat", response_model=ChatResponse, dependencies=[requires("chat")])
async def chat(body: ChatRequest, replier: Annotated[Replier, Depends(_replier)]) -> Any:
    """Answer one message. The same message_id in a conversation gets the stored answer."""
    return await replier.reply(
        Message(
            text=body.message,
            conversation_id=body.conversation_id,
            message_id=body.message_id,
            locale=body.locale,
            channel=body.channel,
            metadata=body.metadata,
        )
    )


@router.get(
    "/v1/conversations/{conversation_id}",
    response_model=ConversationOut,
    dependencies=[requires("chat")],
)
def conversation(
    conversation_id: Annotated[Identifier, Path()],
    store: Annotated[ConversationStore, Depends(_conversations)],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(max_length=20)] = "",
) -> Any:
    """The turns of a conversation, oldest first, a page at a time."""
    found = store.conversation(conversation_id, limit=limit, cursor=_position(cursor))
    return {
        "conversation_id": found.conversation_id,
        "channel": found.channel,
        "locale": found.locale,
        "created_at": found.created_at,
        "turns": [
            {
                "message_id": turn.message_id,
                "message": turn.message,
                "created_at": turn.created_at,
                "reply": turn.reply,
            }
            for turn in found.turns
        ],
        "next_cursor": None if found.next_cursor is None else str(found.next_cursor),
    }


@router.get(
    "/v1/admin/articles/{article_id}",
    response_model=ArticleOut,
    dependencies=[requires("admin")],
)
def read_article(article_id: str, admin: Annotated[Admin, Depends(_admin)]) -> Any:
    """One article."""
    return _shown_article(admin.article(article_id))


@router.put(
    "/v1/admin/articles/{article_id}",
    response_model=ArticleOut,
    dependencies=[requires("admin")],
)
def write_article(
    article_id: str, body: ArticleIn, admin: Annotated[Admin, Depends(_admin)]
) -> Any:
    """Store an article; the next message may be answered from it."""
    return _shown_article(admin.put_article(article_id, body.model_dump()))


@router.get(
    "/v1/admin/intents/{name:path}",
    response_model=IntentOut,
    dependencies=[requires("admin")],
)
def read_intent(name: str, admin: Annotated[Admin, Depends(_admin)]) -> Any:
    """The answers of one intent."""
    return _shown_intent(admin.intent(name), admin)


@router.put(
    "/v1/admin/intents/{name:path}",
    response_model=IntentOut,
    dependencies=[requires("admin")],
)
def write_intent(name: str, body: IntentIn, admin: Annotated[Admin, Depends(_admin)]) -> Any:
    """Store the answers of an intent; the next message is answered with them."""
    return _shown_intent(admin.put_intent(name, body.model_dump()), admin)


def _position(cursor: str) -> int:
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdigit()) or int(cursor) > _LARGEST_CURSOR:
        raise InvalidInput("`cursor` must be the next_cursor of an earlier page")
    return int(cursor)


def _shown_article(article: Article) -> dict[str, Any]:
    return {
        "article_id": article.article_id,
        "title": article.title,
        "body": article.body,
        "url": article.url,
        "lang": article.language,
        "tags": list(article.tags),
    }


def _shown_intent(intent: Intent, admin: Admin) -> dict[str, Any]:
    return {"name": intent.name, **as_mapping(intent), "trained": admin.is_trained(intent.name)}
