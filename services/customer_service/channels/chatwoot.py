"""How are we the agent bot of a Chatwoot?

    a customer writes   Chatwoot sends `message_created`; we answer while the conversation is
                        `pending`, that is, the bot's
    a button is pressed `message_updated` with the values that were chosen
    a person is needed  the conversation is set to `open`

An event proves where it comes from: it is signed with the shared secret (X-Chatwoot-Signature over
time and body), or the secret is the end of the path, for a Chatwoot that does not sign. What is to
be said goes through the outbox, at least once, and is sent by the guarded client to the one
configured address. An event that we fail to take makes Chatwoot open the conversation for a person.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker
from starlette.requests import Request

from core.db.outbox import DEAD, due, enqueue, mark_failed, mark_sent, prune
from core.db.outbox import Message as Letter
from core.errors import FetchError, InvalidInput, NotFound, Unauthorized
from core.net import FetchPolicy, GuardedClient
from core.web.errors import readable
from core.web.json_check import check_json
from services.customer_service.channels import conversation_id_of
from services.customer_service.reply import Replier
from services.customer_service.settings import Settings
from services.customer_service.situation import Message
from services.customer_service.tables import outbox

_log = logging.getLogger(__name__)

CHANNEL: Final = "chatwoot"
# A signed event that is older was caught on its way and sent again.
FRESH_SECONDS: Final = 300
# An answer that comes later would speak into a conversation that has gone on without it.
USEFUL: Final = timedelta(minutes=10)
_SECONDS_OF_A_CALL: Final = 8.0
# What was sent is kept so long that an event that comes twice is told; it holds customers' affairs.
_REMEMBERED: Final = timedelta(days=1)

Number = Annotated[int, Field(ge=1, le=2**63 - 1)]

router = APIRouter()


class _Foreign(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Account(_Foreign):
    id: Number


class _Conversation(_Foreign):
    id: Number
    status: str = ""


class Event(_Foreign):
    """What we read of an event; other kinds have other members, so nearly all may be missing."""

    event: str = Field(max_length=100)
    id: Number | None = None
    content: str | None = None
    message_type: str | int | None = None
    private: bool | None = None
    content_type: str | None = None
    content_attributes: dict[str, Any] | None = None
    conversation: _Conversation | None = None
    account: _Account | None = None

    @property
    def said(self) -> str | None:
        """What the customer said, "" for a message without text (a picture); None where the event
        is none of a customer's."""
        if self.event == "message_created":
            incoming = self.message_type in ("incoming", 0) and not self.private
            return (self.content or "").strip() if incoming else None
        if self.event == "message_updated" and self.content_type == "input_select":
            chosen = (self.content_attributes or {}).get("submitted_values")
            first = chosen[0] if isinstance(chosen, list) and chosen else None
            value = first.get("value") if isinstance(first, dict) else None
            return value if isinstance(value, str) and value else None
        return None


def proven(secret: str, body: bytes, headers: Mapping[str, str], now: float) -> bool:
    """Whether Chatwoot signed this body with the secret, not long ago."""
    stamp = headers.get("x-chatwoot-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit()) or len(stamp) > 12:
        return False
    signed = hmac.new(secret.encode("ascii"), stamp.encode("ascii") + b"." + body, hashlib.sha256)
    given = headers.get("x-chatwoot-signature", "").encode("utf-8", "replace")
    right = hmac.compare_digest(f"sha256={signed.hexdigest()}".encode(), given)
    return right and abs(now - int(stamp)) <= FRESH_SECONDS


class Courier:
    """Sends what lies in the outbox, one letter after the other, in a thread of its own.

    `wake` sends what is due now; what fails stays due and goes with a later call, by whichever
    process that is.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: sessionmaker[Session],
        now: Callable[[], datetime],
        *,
        client: GuardedClient | None = None,
    ) -> None:
        self._url, self._token = settings.chatwoot_url, settings.chatwoot_token
        self._sessions, self._now = sessions, now
        policy = FetchPolicy(
            max_bytes=1_000_000,
            total_timeout=_SECONDS_OF_A_CALL,
            max_redirects=0,
            allow=settings.fetch_allow,
        )
        self._client = client or GuardedClient(policy)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="chatwoot")
        self._waiting = threading.Lock()
        self._stopped = False

    def wake(self) -> None:
        """Send soon; a call while one waits is the same one."""
        if self._waiting.acquire(blocking=False):
            self._thread.submit(self._send_logged)

    def send_due(self) -> int:
        """Send everything that is due; how many arrived."""
        arrived = 0
        while not self._stopped:
            with self._sessions.begin() as session:
                letters = due(session, outbox, self._now())
            if not letters:
                break
            arrived += sum(self._send(letter) for letter in letters)
        with self._sessions.begin() as session:
            prune(session, outbox, self._now() - _REMEMBERED)
        return arrived

    def stop(self) -> None:
        """Finish the letter in hand; the rest stays due."""
        self._stopped = True
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def _send_logged(self) -> None:
        self._waiting.release()
        try:
            self.send_due()
        except Exception as error:
            # The letters are kept; the next call sends them.
            _log.error("cannot send to Chatwoot", exc_info=error)

    def _send(self, letter: Letter) -> bool:
        said = "content" in letter.payload["body"]
        if said and self._now() - letter.created_at > USEFUL:
            self._bury(letter)
            return False
        headers = {"api_access_token": self._token, "idempotency-key": letter.idempotency_key}
        try:
            path, body = letter.payload["path"], letter.payload["body"]
            answer = self._client.post(f"{self._url}{path}", json=body, headers=headers)
            failure = "" if answer.ok else f"Chatwoot answered {answer.status}"
        except FetchError as error:
            failure = str(error)
        with self._sessions.begin() as session:
            if not failure:
                mark_sent(session, outbox, letter.id, self._now())
                return True
            again = mark_failed(session, outbox, letter, self._now(), failure)
        _log.warning("a message to Chatwoot failed", extra={"reason": failure, "again": again})
        return False

    def _bury(self, letter: Letter) -> None:
        values = {"state": DEAD, "last_error": "it was too late to say this"}
        with self._sessions.begin() as session:
            session.execute(update(outbox).where(outbox.c.id == letter.id).values(values))
        _log.warning("an answer to Chatwoot came too late", extra={"reason": letter.last_error})


@dataclass(frozen=True)
class Desk:
    """Answers events. `secret` proves them; `now` is the clock."""

    replier: Replier
    sessions: sessionmaker[Session]
    courier: Courier
    secret: str
    now: Callable[[], datetime]

    def check(self, body: bytes, headers: Mapping[str, str], path_secret: str | None) -> None:
        """Unauthorized where the event does not prove to be Chatwoot's."""
        if path_secret is None:
            right = proven(self.secret, body, headers, self.now().timestamp())
        else:
            right = hmac.compare_digest(self.secret.encode(), path_secret.encode())
        if not right:
            raise Unauthorized(
                "this is not signed by the Chatwoot that is set up here",
                mend="Set CHATWOOT_SECRET to the webhook's secret, or end the path with it.",
            )

    async def take(self, event: Event) -> str:
        """Answer the event where that is ours to do: "answered", "handed over" or "ignored"."""
        said, talk, account = event.said, event.conversation, event.account
        if said is None or event.id is None or talk is None or account is None:
            return "ignored"
        if talk.status != "pending":
            return "ignored"
        path = f"/api/v1/accounts/{account.id}/conversations/{talk.id}"
        name = f"{account.id}:{talk.id}:{event.id}"
        if event.event == "message_updated":
            name += ":chosen"
        answer = await self._answer(said, f"{account.id}:{talk.id}", name)
        await run_sync(self._post, path, name, answer)
        self.courier.wake()
        return "answered" if answer and answer["action"] != "handoff" else "handed over"

    async def _answer(
        self, said: str, conversation: str, message_id: str
    ) -> Mapping[str, Any] | None:
        """None where there is nothing that a bot could read."""
        message = Message(
            text=said,
            conversation_id=conversation_id_of(CHANNEL, conversation),
            message_id=message_id,
            channel=CHANNEL,
        )
        try:
            return await self.replier.reply(message) if said else None
        except InvalidInput:
            return None  # too long, or nothing but signs: a person can read it

    def _post(self, path: str, name: str, answer: Mapping[str, Any] | None) -> None:
        """Put into the outbox what is to be said, and that a person takes over."""
        with self.sessions.begin() as session:
            if answer is not None:
                self._enqueue(session, f"{path}/messages", f"{name}:answer", _said(answer))
            if answer is None or answer["action"] == "handoff":
                self._enqueue(session, f"{path}/toggle_status", f"{name}:open", {"status": "open"})

    def _enqueue(self, session: Session, path: str, key: str, body: Mapping[str, Any]) -> None:
        enqueue(
            session,
            outbox,
            kind=CHANNEL,
            payload={"path": path, "body": body},
            idempotency_key=f"{CHANNEL}:{key}",
            now=self.now(),
        )


def _said(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer as one of Chatwoot's messages; buttons are its options."""
    said = {"content": answer["text"], "message_type": "outgoing", "private": False}
    if answer["buttons"]:
        items = [{"title": b["title"], "value": b["payload"]} for b in answer["buttons"]]
        said |= {"content_type": "input_select", "content_attributes": {"items": items}}
    return said


async def _desk(request: Request) -> Desk:
    desk: Desk | None = request.app.state.desk
    if desk is None:
        raise NotFound(
            "no Chatwoot is set up here", mend="Set CHATWOOT_URL, CHATWOOT_TOKEN, CHATWOOT_SECRET."
        )
    return desk


async def _take(request: Request, desk: Desk, path_secret: str | None) -> dict[str, str]:
    body = await request.body()
    desk.check(body, request.headers, path_secret)
    check_json(body)
    try:
        event = Event.model_validate_json(body)
    except ValidationError as error:
        raise InvalidInput(readable(error.errors())) from error
    return {"status": await desk.take(event)}


@router.post("/webhooks/chatwoot")
async def signed(request: Request, desk: Annotated[Desk, Depends(_desk)]) -> dict[str, str]:
    """An event that Chatwoot signed."""
    return await _take(request, desk, None)


@router.post("/webhooks/chatwoot/{secret}", include_in_schema=False)
async def by_path(
    secret: str, request: Request, desk: Annotated[Desk, Depends(_desk)]
) -> dict[str, str]:
    """An event whose path ends with the secret."""
    return await _take(request, desk, secret)
