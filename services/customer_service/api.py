"""Which endpoints are there? They translate between HTTP and the service, and decide nothing.

`router` is for keys; `bound` holds what a website's widget calls too, with what lies open in its
page; `public` proves by itself who calls. Other programs' protocols are in channels/.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, WebSocket
from starlette.requests import HTTPConnection

from core.web import Caller, requires
from core.web.auth import PUBLISHABLE
from services.customer_service import dashboard_api, desk_teaching_api, teaching_api
from services.customer_service.admin import Admin
from services.customer_service.answers import Intent
from services.customer_service.answers_reading import as_mapping
from services.customer_service.articles import Article
from services.customer_service.channels import OPENERS, chatwoot, check_may_open, openai, rasa
from services.customer_service.desk_api import public as desk_public
from services.customer_service.desk_api import router as desk_router
from services.customer_service.feedback import FeedbackStore, Opinion
from services.customer_service.following import Following
from services.customer_service.people import People
from services.customer_service.reply import Replier
from services.customer_service.schemas import (
    ArticleIn,
    ArticleOut,
    ChatRequest,
    ChatResponse,
    ConversationOut,
    Cursor,
    FeedbackIn,
    FeedbackOut,
    FeedbackPage,
    Identifier,
    IntentIn,
    IntentOut,
    Limit,
    SessionIn,
    SessionOut,
)
from services.customer_service.sessions import CHANNEL, SESSION, SessionTokens
from services.customer_service.situation import Message
from services.customer_service.store import ConversationStore
from services.customer_service.stream import (
    EVENT_STREAM,
    PATH,
    OpenSockets,
    SocketRules,
    converse,
    event_response,
    wants_events,
)
from services.customer_service.transcript import position, read_page, shown_message

router = APIRouter()
bound = APIRouter()
public = APIRouter()
router.include_router(rasa.router)
router.include_router(openai.router)
# Before the intents below, whose names may hold slashes.
router.include_router(teaching_api.router)
router.include_router(dashboard_api.router)
public.include_router(chatwoot.router)
public.include_router(desk_public)
router.include_router(desk_router)
router.include_router(desk_teaching_api.router)

_STREAMS: dict[int | str, dict[str, Any]] = {200: {"content": {EVENT_STREAM: {}}}}

Chatting = Annotated[Caller, requires("chat", SESSION)]


# Not plain functions: those are handed over to a worker thread at every request.
async def _replier(connection: HTTPConnection) -> Replier:
    replier: Replier = connection.app.state.replier
    return replier


async def _conversations(connection: HTTPConnection) -> ConversationStore:
    store: ConversationStore = connection.app.state.conversations
    return store


async def _feedback(connection: HTTPConnection) -> FeedbackStore:
    store: FeedbackStore = connection.app.state.feedback
    return store


async def _people(connection: HTTPConnection) -> People:
    people: People = connection.app.state.people
    return people


async def _tokens(connection: HTTPConnection) -> SessionTokens:
    tokens: SessionTokens = connection.app.state.tokens
    return tokens


async def _admin(connection: HTTPConnection) -> Admin:
    admin: Admin = connection.app.state.admin
    return admin


@bound.post(PATH, response_model=ChatResponse, responses=_STREAMS)
async def chat(
    body: ChatRequest,
    connection: HTTPConnection,
    caller: Chatting,
    replier: Annotated[Replier, Depends(_replier)],
) -> Any:
    """Answer one message. The same message_id in a conversation gets the stored answer. With
    Accept: text/event-stream it comes piece by piece."""
    answer = await replier.reply(_message(body, caller))
    return event_response(answer) if wants_events(connection.headers) else answer


@bound.websocket(f"{PATH}/ws")
async def socket(
    socket: WebSocket, caller: Chatting, replier: Annotated[Replier, Depends(_replier)]
) -> None:
    """The same messages and answers, over one connection."""
    state = socket.app.state
    sockets: OpenSockets = state.sockets
    rules: SocketRules = state.socket_rules

    following = Following(state.people.handoffs)

    async def answer(body: ChatRequest, caller: Caller) -> dict[str, Any]:
        message = _message(body, caller)
        if message.conversation_id is not None:
            await following.follow(message.conversation_id)
        told = await replier.reply(message)
        await following.follow(told["conversation_id"])
        return told

    with sockets.place(rules.limiter.bucket(socket.scope), caller):
        if caller.subject is not None:
            await following.follow(caller.subject)
        await converse(socket, rules, answer, following)


def _message(body: ChatRequest, caller: Caller) -> Message:
    """Forbidden where the conversation is not the caller's."""
    conversation_id = body.conversation_id or caller.subject
    if conversation_id is not None:
        check_may_open(caller, conversation_id)
    return Message(
        text=body.message,
        conversation_id=conversation_id,
        message_id=body.message_id,
        locale=body.locale,
        channel=body.channel or (None if caller.subject is None else CHANNEL),
        metadata=body.metadata,
    )


@bound.post("/v1/sessions", response_model=SessionOut, status_code=201)
def open_session(
    connection: HTTPConnection,
    caller: Annotated[Caller, requires(PUBLISHABLE)],
    tokens: Annotated[SessionTokens, Depends(_tokens)],
    body: SessionIn | None = None,
) -> Any:
    """A conversation of one's own for a visitor of a website, with the token that opens it."""
    token = None if body is None else body.token
    opened = tokens.open(caller, connection.headers.get("origin"), token)
    return SessionOut(
        token=opened.token, conversation_id=opened.subject, expires_at=opened.expires_at
    )


@bound.post("/v1/feedback", response_model=FeedbackOut)
def give_feedback(
    body: FeedbackIn, caller: Chatting, store: Annotated[FeedbackStore, Depends(_feedback)]
) -> Any:
    """What somebody thought of an answer; a later opinion takes the place of the earlier."""
    check_may_open(caller, body.conversation_id)
    return store.put(Opinion(**body.model_dump()))


@router.get("/v1/admin/feedback", response_model=FeedbackPage, dependencies=[requires("admin")])
def read_feedback(
    store: Annotated[FeedbackStore, Depends(_feedback)], limit: Limit = 50, cursor: Cursor = ""
) -> Any:
    """All feedback, in the order it first came, a page at a time."""
    found, following = store.page(limit=limit, cursor=position(cursor))
    return {"feedback": found, "next_cursor": None if following is None else str(following)}


@bound.get("/v1/conversations/{conversation_id}", response_model=ConversationOut)
def conversation(
    conversation_id: Annotated[Identifier, Path()],
    caller: Annotated[Caller, requires(*OPENERS)],
    store: Annotated[ConversationStore, Depends(_conversations)],
    people: Annotated[People, Depends(_people)],
    limit: Limit = 50,
    cursor: Annotated[str, Query(max_length=41)] = "",
) -> Any:
    """The turns of a conversation and what agents said in it, oldest first, a page at a time."""
    check_may_open(caller, conversation_id)
    page = read_page(store, people.handoffs, conversation_id, limit=limit, cursor=cursor)
    found = page.conversation
    handoff = people.handoffs.latest(conversation_id)
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
        "messages": [shown_message(said) for said in page.messages],
        "handoff": None if handoff is None else handoff.state,
        "next_cursor": page.next_cursor,
        "poll_cursor": page.poll_cursor,
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
    return _shown_intent(admin.put_intent(name, body.model_dump(by_alias=True)), admin)


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
    return {
        "name": intent.name,
        **as_mapping(intent),
        "trained": admin.is_trained(intent.name),
        "taught": admin.count_taught(intent.name),
    }
