"""How is a company's webhook asked, so that neither a slow nor a hostile one harms the bot?

Through the guarded client, below the addresses of the settings alone, without redirects, in little
time, with a small reply. Whatever goes wrong ends here: the reason goes to the log and is counted,
and the caller gets None.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final

from core.errors import (
    AddressRefused,
    FetchError,
    FetchTimeout,
    ResponseTooLarge,
    SettingsError,
    TooManyRedirects,
    TrefoilError,
)
from core.net import FetchPolicy, GuardedClient
from services.customer_service.calls import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    Asked,
    address,
    facts_of,
    signature,
)
from services.customer_service.settings import Settings

_log = logging.getLogger(__name__)

MAX_REPLY_BYTES: Final = 64_000
# Calls under way; beyond them a customer is better passed on than kept waiting.
AT_ONCE: Final = 20
_MAX_CLIENTS: Final = 8

_OUTCOMES: Final = (
    (AddressRefused, "refused"),
    (FetchTimeout, "timeout"),
    (ResponseTooLarge, "too_large"),
    (TooManyRedirects, "redirect"),
)


class Actions:
    """Asks webhooks. `on_call` hears the name of each call and how it ended."""

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], datetime],
        on_call: Callable[[str, str], None] = lambda name, outcome: None,
    ) -> None:
        if settings.action_urls and not settings.action_secret:
            raise SettingsError(
                "action_urls is set and action_secret is not, so no receiver could tell our calls "
                "from others",
                mend="Set action_secret to 20 random characters or more, here and at the receiver.",
            )
        self._bases, self._secret = settings.action_urls, settings.action_secret
        self._allow, self._now, self._on_call = settings.fetch_allow, now, on_call
        self._clients: dict[float, GuardedClient] = {}
        self._opening = threading.Lock()
        self._free = threading.BoundedSemaphore(AT_ONCE)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook")

    async def ask(self, asked: Asked) -> dict[str, str] | None:
        """The flat values of the webhook's reply; None where it gave none."""
        if not self._free.acquire(blocking=False):
            self._failed(asked, "busy", f"{AT_ONCE} calls are under way")
            return None
        running = asyncio.get_running_loop().run_in_executor(self._threads, self._ask, asked)
        # Whoever has gone leaves the call to its end, and its place is free then.
        return await asyncio.shield(running)

    def stop(self) -> None:
        """Finish the calls under way."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for client in self._clients.values():
            client.close()

    def _ask(self, asked: Asked) -> dict[str, str] | None:
        try:
            facts = self._exchange(asked)
        except TrefoilError as error:
            kinds = (name for kind, name in _OUTCOMES if isinstance(error, kind))
            self._failed(asked, next(kinds, "failed"), str(error))
            return None
        finally:
            self._free.release()
        self._on_call(asked.call.name, "ok")
        return facts

    def _exchange(self, asked: Asked) -> dict[str, str]:
        url = address(asked.call.url, self._bases)
        if url is None:
            raise AddressRefused(
                f"the address of the call {asked.call.name} lies below none of action_urls",
                mend="Name its beginning in the setting, or mend the intent.",
            )
        body, stamp = asked.body, str(int(self._now().timestamp()))
        headers = {
            "content-type": "application/json",
            "idempotency-key": asked.key,
            TIMESTAMP_HEADER: stamp,
            SIGNATURE_HEADER: signature(self._secret, stamp, body),
        }
        with self._opening:
            client = self._client(asked.call.timeout)
        answer = client.post(url, content=body, headers=headers)
        if not answer.ok:
            raise FetchError(f"the webhook answered {answer.status}")
        facts = facts_of(answer.json())
        if facts is None:
            raise FetchError("expected a JSON object, the answer is another value")
        return facts

    def _client(self, seconds: float) -> GuardedClient:
        """One for each time-out, kept for its open connections; beyond a few, the nearest longer
        or the longest does."""
        if seconds not in self._clients and len(self._clients) >= _MAX_CLIENTS:
            seconds = min((s for s in self._clients if s >= seconds), default=max(self._clients))
        if seconds not in self._clients:
            policy = FetchPolicy(
                max_bytes=MAX_REPLY_BYTES,
                connect_timeout=seconds,
                read_timeout=seconds,
                total_timeout=seconds,
                max_redirects=0,
                retries=1,
                allow=self._allow,
            )
            self._clients[seconds] = GuardedClient(policy)
        return self._clients[seconds]

    def _failed(self, asked: Asked, outcome: str, reason: str) -> None:
        _log.warning(
            "a company's webhook gave no answer",
            extra={"call": asked.call.name, "outcome": outcome, "reason": reason},
        )
        self._on_call(asked.call.name, outcome)
