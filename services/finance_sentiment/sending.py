"""How does one message leave, and what came of it?

A thin shell: payloads.py says which bytes, the guarded client, mailing.py or through_apprise.py
carries them, and the answer becomes an outcome.

    arrived   any 2xx
    later     no connection, no answer in time, 408, 425, 429, 5xx: tried again, not before what a
              Retry-After asks for (seconds or a date, at most an hour)
    never     an address that is refused, a redirect, any other 4xx: no attempt would help
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from core.errors import AddressRefused, FetchError, TooManyRedirects
from core.net import FetchPolicy, GuardedClient, Response
from core.net.retry import retry_after
from services.finance_sentiment.channels import Channel
from services.finance_sentiment.mailing import send_mail
from services.finance_sentiment.outcomes import ARRIVED, LATER, NEVER, Outcome
from services.finance_sentiment.payloads import (
    KEY_HEADER,
    pushed_alert,
    signed,
    slack_body,
    webhook_body,
)
from services.finance_sentiment.through_apprise import send_through_apprise
from services.finance_sentiment.wording import Note, shown

# From the first look-up to the last byte of one attempt; a worker holds its channel for longer.
TOTAL_SECONDS: Final = 15.0
LONGEST_REST: Final = 3600.0
_PASSING = frozenset({408, 425, 429})
_MAX_EXCERPT = 200
_MOVED = "Redirects are not followed: put the new address into the list of channels"


class Send(Protocol):
    """Sends one note to one channel."""

    def __call__(
        self, channel: Channel, note: Note, key: str, now: datetime, *, after: str | None = None
    ) -> Outcome:
        """What came of it. `key`: the same for every attempt; `after`: that of the message which
        this one answers."""


@dataclass(frozen=True)
class Sender:
    """Sends by all kinds of channels; safe to share between threads. `allow`: addresses that may
    be reached although they are not public."""

    allow: tuple[str, ...] = ()
    client: GuardedClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        policy = FetchPolicy(
            max_bytes=100_000,
            total_timeout=TOTAL_SECONDS,
            # Nobody moves a webhook without telling; a redirect could carry a signature elsewhere.
            max_redirects=0,
            # The outbox tries again.
            retries=0,
            allow=self.allow,
            user_agent="trefoil-news-monitor",
        )
        object.__setattr__(self, "client", GuardedClient(policy))

    def __call__(
        self, channel: Channel, note: Note, key: str, now: datetime, *, after: str | None = None
    ) -> Outcome:
        if channel.kind == "email":
            return send_mail(channel, note, key, now, after)
        if channel.kind == "apprise":
            return send_through_apprise(channel, note, self.client.policy)
        if channel.kind == "alertmanager":
            return self.push(channel, [note], now)
        if channel.kind == "slack":
            return self._post(channel, channel.address, slack_body(note), key, now)
        return self._post(channel, channel.address, webhook_body(note, channel.name), key, now)

    def push(self, channel: Channel, notes: Sequence[Note], now: datetime) -> Outcome:
        """Tell an Alertmanager how these alerts stand."""
        url = f"{channel.address.rstrip('/')}/api/v2/alerts"
        return self._post(channel, url, [pushed_alert(note, now) for note in notes], "", now)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self.client.close()

    def _post(self, channel: Channel, url: str, content: Any, key: str, now: datetime) -> Outcome:
        body = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"content-type": "application/json"}
        if key:
            headers[KEY_HEADER] = key
        if channel.secret:
            headers |= signed(channel.secret, int(now.timestamp()), body)
        if channel.token:
            headers["authorization"] = f"Bearer {channel.token}"
        try:
            return judged(self.client.post(url, content=body, headers=headers), now)
        except AddressRefused as error:
            mend = "If it is meant, name it in the setting DELIVER_ALLOW, as host:port or network"
            return Outcome(NEVER, f"{error.message}. {mend}.")
        except TooManyRedirects:
            return Outcome(NEVER, f"redirected. {_MOVED}.")
        except FetchError as error:
            return Outcome(LATER, str(error))


def judged(answer: Response, now: datetime) -> Outcome:
    """What an answer means."""
    text = shown(answer.body[: 4 * _MAX_EXCERPT].decode("utf-8", "replace"), _MAX_EXCERPT)
    said = f"answered {answer.status}" + (f": {text}" if text else "")
    if answer.ok:
        return Outcome(ARRIVED, said)
    if answer.status in _PASSING or answer.status >= 500:
        wait = retry_after(answer.headers.get("retry-after"), now.astimezone(UTC))
        return Outcome(LATER, said, min(wait, LONGEST_REST))
    return Outcome(NEVER, said)
