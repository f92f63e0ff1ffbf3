"""Which endpoints does the desk have? They translate between HTTP and the people's modules.

`public` is the door; everything else is for somebody who logged in (their cookie, and for what
changes anything X-CSRF-Token: desk_cookie.py), but for `/v1/admin/…`, which an API key opens too.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from core.errors import NotFound, Unauthorized
from core.web import Caller, requires
from core.web.limits import address_bucket
from core.web.page_login import check_own_page
from services.customer_service.accounts import Agent
from services.customer_service.desk_cookie import (
    DESK,
    clear_cookie,
    cookie_of,
    csrf_token,
    set_cookie,
)
from services.customer_service.desk_schemas import (
    AgentOut,
    CannedIn,
    CannedList,
    CannedName,
    CannedOut,
    DeskMessage,
    HandoffOut,
    HoursIn,
    HoursOut,
    LogInRequest,
    MessageIn,
    PasswordIn,
    QueuePage,
    TranscriptOut,
)
from services.customer_service.handoff import Handoff, Queued
from services.customer_service.hours import when
from services.customer_service.people import People
from services.customer_service.schemas import Identifier, Limit
from services.customer_service.store import ConversationStore
from services.customer_service.transcript import guesses, position, read_page

_log = logging.getLogger(__name__)
# Of the customer's last message, in the list.
_SHOWN = 300

router = APIRouter()
public = APIRouter()

Cursor = Annotated[str, Query(max_length=41)]
Conversation = Annotated[Identifier, Path()]


async def _people(request: Request) -> People:
    people: People = request.app.state.people
    return people


async def _conversations(request: Request) -> ConversationStore:
    store: ConversationStore = request.app.state.conversations
    return store


Desk = Annotated[People, Depends(_people)]
Store = Annotated[ConversationStore, Depends(_conversations)]


async def _person(caller: Annotated[Caller, requires(DESK)]) -> Caller:
    if not caller.person:
        raise Unauthorized("nobody is logged in here", mend="Log in: POST /v1/desk/login.")
    return caller


Person = Annotated[Caller, Depends(_person)]
ADMIN = requires("admin")


# --- logging in ----------------------------------------------------------------------------------


@public.post("/v1/desk/login", response_model=AgentOut)
async def log_in(body: LogInRequest, request: Request, response: Response, desk: Desk) -> Any:
    """Begin a session: a cookie, and the token that changing calls must send."""
    check_own_page(request.headers)
    begun = await desk.door.attempt(
        body.name,
        address_bucket(request.scope),
        lambda: desk.accounts.log_in(body.name, body.password),
    )
    set_cookie(response, begun, secure=desk.secure_cookie or request.url.scheme == "https")
    return _shown_agent(begun.agent, begun.token)


@router.get("/v1/desk/me", response_model=AgentOut)
def me(request: Request, person: Person, desk: Desk) -> Any:
    """Who is logged in."""
    token = cookie_of(request.headers)
    agent = desk.accounts.of_token(token)
    if agent is None:
        raise Unauthorized("this session is over", mend="Log in again.")
    return _shown_agent(agent, token)


@router.post("/v1/desk/logout", status_code=204)
def log_out(request: Request, response: Response, person: Person, desk: Desk) -> None:
    """End the session."""
    desk.accounts.log_out(cookie_of(request.headers))
    clear_cookie(response)


@router.post("/v1/desk/password", status_code=204)
async def change_password(
    body: PasswordIn, request: Request, response: Response, person: Person, desk: Desk
) -> None:
    """Another password; all sessions end, this one too."""
    await desk.door.attempt(
        person.name,
        address_bucket(request.scope),
        lambda: desk.accounts.change_password(person.name, body.old, body.new),
    )
    clear_cookie(response)


# --- conversations -------------------------------------------------------------------------------


@router.get("/v1/desk/queue", response_model=QueuePage)
def queue(person: Person, desk: Desk, limit: Limit = 50, cursor: Cursor = "") -> Any:
    """Who waits and what is taken, in the order in which customers began to wait."""
    found, following = desk.handoffs.queue(limit=limit, cursor=position(cursor))
    return {
        "queue": [_shown_queued(queued, desk) for queued in found],
        "next_cursor": None if following is None else str(following),
    }


@router.get("/v1/desk/conversations/{conversation_id}", response_model=TranscriptOut)
def transcript(
    conversation_id: Conversation,
    person: Person,
    desk: Desk,
    store: Store,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Any:
    """A conversation with what the model made of it. Agents see those that were handed over,
    admins all."""
    handoff = desk.handoffs.latest(conversation_id)
    if handoff is None and not person.may("admin"):
        raise NotFound("there is no conversation of this id that was handed over")
    page = read_page(store, desk.handoffs, conversation_id, limit=limit, cursor=cursor)
    found = page.conversation
    return {
        "conversation_id": found.conversation_id,
        "channel": found.channel,
        "locale": found.locale,
        "created_at": found.created_at,
        "handoff": None if handoff is None else _shown_handoff(handoff, desk),
        "turns": [
            {
                "message_id": turn.message_id,
                "message": turn.message,
                "created_at": turn.created_at,
                "action": turn.action,
                "text": turn.reply.get("text", ""),
                "guesses": guesses(turn.reply),
                "sources": turn.reply.get("sources", []),
            }
            for turn in found.turns
        ],
        "messages": page.messages,
        "next_cursor": page.next_cursor,
        "poll_cursor": page.poll_cursor,
    }


@router.post("/v1/desk/conversations/{conversation_id}/take", response_model=HandoffOut)
def take(conversation_id: Conversation, person: Person, desk: Desk) -> Any:
    """Take over; 409 where somebody else has."""
    return _shown_handoff(desk.handoffs.take(conversation_id, person.name), desk)


@router.post("/v1/desk/conversations/{conversation_id}/release", response_model=HandoffOut)
def release(conversation_id: Conversation, person: Person, desk: Desk) -> Any:
    """Put it back into its place in line; an admin may with anybody's."""
    anybodys = person.may("admin")
    released = desk.handoffs.release(conversation_id, person.name, anybodys=anybodys)
    return _shown_handoff(released, desk)


@router.post("/v1/desk/conversations/{conversation_id}/resolve", status_code=204)
def resolve(conversation_id: Conversation, person: Person, desk: Desk) -> None:
    """It is done, the bot answers again; an admin may with anybody's."""
    desk.handoffs.resolve(conversation_id, person.name, anybodys=person.may("admin"))


@router.post("/v1/desk/conversations/{conversation_id}/messages", response_model=DeskMessage)
def say(
    conversation_id: Conversation, body: MessageIn, request: Request, person: Person, desk: Desk
) -> Any:
    """Say something to the customer; a repeated message_id gives what was stored."""
    agent = desk.accounts.of_token(cookie_of(request.headers))
    shown_as = person.name if agent is None else agent.shown_as
    return desk.handoffs.say(conversation_id, body.message_id, person.name, shown_as, body.text)


# --- canned answers ------------------------------------------------------------------------------


@router.get("/v1/desk/canned", response_model=CannedList)
def canned(person: Person, desk: Desk) -> Any:
    """All canned answers, by name."""
    return {"canned": desk.texts.canned()}


@router.put("/v1/desk/canned/{name}", response_model=CannedOut)
def put_canned(
    name: Annotated[CannedName, Path()], body: CannedIn, person: Person, desk: Desk
) -> Any:
    """Keep a canned answer, in place of an earlier one of its name."""
    desk.texts.put_canned(name, body.texts)
    return {"name": name, "texts": body.texts}


@router.delete("/v1/desk/canned/{name}", status_code=204)
def delete_canned(name: Annotated[CannedName, Path()], person: Person, desk: Desk) -> None:
    """Forget a canned answer."""
    desk.texts.delete_canned(name)


# --- what an owner does --------------------------------------------------------------------------


@router.get("/v1/admin/hours", response_model=HoursOut, dependencies=[ADMIN])
def hours(desk: Desk) -> Any:
    """The business hours, and how the desk stands now."""
    return _shown_hours(desk)


@router.put("/v1/admin/hours", response_model=HoursOut, dependencies=[ADMIN])
def put_hours(body: HoursIn, desk: Desk) -> Any:
    """Set the business hours; the next hand-over tells them."""
    desk.texts.put_hours(body.model_dump())
    return _shown_hours(desk)


@router.delete("/v1/admin/hours", status_code=204, dependencies=[ADMIN])
def delete_hours(desk: Desk) -> None:
    """No business hours: customers are told of none."""
    desk.texts.put_hours(None)


@router.delete("/v1/admin/conversations/{conversation_id}", status_code=204)
def erase(conversation_id: Conversation, caller: Annotated[Caller, ADMIN], store: Store) -> None:
    """Erase a conversation with everything in it: the customer's right."""
    store.delete(conversation_id)
    digest = hashlib.sha256(conversation_id.encode()).hexdigest()
    # The id may be the customer's name; whoever knows it can tell the line by its hash.
    _log.info("conversation erased", extra={"by": caller.name, "sha256": digest})


# --- how things are shown ------------------------------------------------------------------------


def _shown_agent(agent: Agent, token: str) -> dict[str, Any]:
    return {
        "name": agent.name,
        "shown_as": agent.shown_as,
        "role": agent.role,
        "language": agent.language,
        "csrf_token": csrf_token(token),
    }


def _shown_handoff(handoff: Handoff, desk: People) -> dict[str, Any]:
    waited = (handoff.resolved_at or desk.now()) - handoff.since
    return {
        "state": handoff.state,
        "reason": handoff.reason,
        "language": handoff.language,
        "since": handoff.since,
        "waiting_seconds": max(0.0, waited.total_seconds()),
        "agent": handoff.agent,
    }


def _shown_queued(queued: Queued, desk: People) -> dict[str, Any]:
    return {
        **_shown_handoff(queued.handoff, desk),
        "conversation_id": queued.handoff.conversation_id,
        "channel": queued.channel,
        "last_message": queued.last_message[:_SHOWN],
        "last_at": queued.last_at,
        "position": queued.position,
    }


def _shown_hours(desk: People) -> dict[str, Any]:
    document, known = desk.texts.hours_document(), desk.texts.hours()
    standing = None if known is None else when(known, desk.now())
    return {
        "hours": document,
        "open": None if standing is None else standing.open,
        "until": None if standing is None else standing.until,
    }
