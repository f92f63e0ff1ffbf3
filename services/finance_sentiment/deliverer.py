"""How do messages leave, channel beside channel, so that none holds up another?

    tick    write what has become due since, and start a pass for each channel that has something
    pass    in a thread of the channel's own, under a lease: message after message, in their order,
            until none is due or one fails in a way that may pass; then the channel rests
    push    for an Alertmanager, every minute: what still fires

A tick waits for no pass. At most `MAX_CHANNELS` passes run, one a channel, each message within a
stated time. A worker that is killed between sending and marking leaves the message claimed: it is
due again after two minutes, with the same idempotency key.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Final

from sqlalchemy.orm import Session, sessionmaker

from core.db import leases
from core.db.outbox import Message, mark_failed, mark_sent
from services.finance_sentiment.channels import Channel
from services.finance_sentiment.delivery_store import channels_with_due, claim_next, rest, tidy
from services.finance_sentiment.outcomes import ARRIVED, LATER, NEVER, Outcome
from services.finance_sentiment.payloads import PUSH_EVERY
from services.finance_sentiment.sending import Sender
from services.finance_sentiment.tables import leases as leases_table
from services.finance_sentiment.tables import outbox
from services.finance_sentiment.telling import Teller
from services.finance_sentiment.wording import Note

logger = logging.getLogger("trefoil.finance_sentiment")

# Longer than one message takes, by any kind of channel.
LEASE: Final = timedelta(minutes=1)
# How long the other messages of a channel wait after one of them failed.
REST: Final = timedelta(seconds=10)
TIDY_EVERY: Final = timedelta(hours=1)
# A message for a channel that is no longer listed is given up after so long.
ORPHANED: Final = timedelta(days=1)


@dataclass
class Deliverer:
    """Sends what lies in the outbox. `owner` tells this worker from others; what was sent is kept
    for `keep`, so that a repeat and a question about it find it."""

    sessions: sessionmaker[Session]
    teller: Teller
    sender: Sender
    now: Callable[[], datetime]
    owner: str
    keep: timedelta
    stop: Event
    _passes: dict[str, Future[None]] = field(default_factory=dict, init=False)
    _pushed: dict[str, datetime] = field(default_factory=dict, init=False)
    _tidied: datetime | None = field(default=None, init=False)
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(max(1, len(self.channels)), "deliver")

    @property
    def channels(self) -> Sequence[Channel]:
        """All that are told."""
        return self.teller.channels

    def tick(self) -> int:
        """Write what is due, start the passes; how many messages were written."""
        now = self.now()
        written = self._tell(now)
        self._tidy(now)
        with self.sessions() as session:
            names = channels_with_due(session, now)
        for channel in self.channels:
            if channel.name in names or self._push_due(channel, now):
                self._start(channel)
        return written

    def settle(self) -> None:
        """Wait for the passes that have been started."""
        wait(list(self._passes.values()))

    def close(self) -> None:
        """Finish the messages in hand; the rest stays due."""
        self.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.sender.close()

    def _tell(self, now: datetime) -> int:
        with self.sessions() as session:
            if not self.teller.due(session, now):
                return 0  # a look that writes nothing makes no writer wait
        with self.sessions.begin() as session:
            return self.teller.tell(session, now)

    def _tidy(self, now: datetime) -> None:
        if self._tidied is not None and now - self._tidied < TIDY_EVERY:
            return
        names = [channel.name for channel in self.channels]
        with self.sessions.begin() as session:
            tidy(session, names, sent_before=now - self.keep, orphaned_before=now - ORPHANED)
        self._tidied = now

    def _start(self, channel: Channel) -> None:
        running = self._passes.get(channel.name)
        if running is None or running.done():
            self._passes[channel.name] = self._pool.submit(self._pass, channel)

    def _pass(self, channel: Channel) -> None:
        try:
            whole = True
            while whole and self._hold(channel):
                with self.sessions.begin() as session:
                    message = claim_next(session, channel.name, self.now())
                if message is None:
                    break
                whole = self._deliver(channel, message)
            if whole and self._push_due(channel, self.now()) and self._hold(channel):
                self._push(channel)
            with self.sessions.begin() as session:
                leases.release(session, leases_table, self._lease(channel), self.owner)
        except Exception as error:
            # The messages are kept, the lease ends by itself; a later tick begins anew.
            logger.error("a channel failed", exc_info=error, extra={"channel": channel.name})

    def _deliver(self, channel: Channel, message: Message) -> bool:
        """Send one message and keep what came of it; whether the channel takes more."""
        note, after = Note.from_json(message.payload["note"]), message.payload["after"]
        outcome = self._sent(channel, note, message.idempotency_key, after)
        now = self.now()
        with self.sessions.begin() as session:
            if outcome.came == ARRIVED:
                mark_sent(session, outbox, message.id, now)
            else:
                until = now + max(REST, timedelta(seconds=outcome.wait))
                for_good = outcome.came == NEVER
                if not for_good:
                    rest(session, channel.name, until)
                mark_failed(
                    session,
                    outbox,
                    message,
                    now,
                    outcome.said,
                    not_before=now + timedelta(seconds=outcome.wait),
                    for_good=for_good,
                )
        self._log(channel, message, outcome)
        return outcome.came != LATER

    def _sent(self, channel: Channel, note: Note, key: str, after: str | None) -> Outcome:
        try:
            return self.sender(channel, note, key, self.now(), after=after)
        except Exception as error:
            # A message that no sender can cope with must not hold up those behind it.
            logger.error("a message failed", exc_info=error, extra={"channel": channel.name})
            return Outcome(LATER, f"unexpected: {type(error).__name__}")

    def _push_due(self, channel: Channel, now: datetime) -> bool:
        if channel.kind != "alertmanager":
            return False
        last = self._pushed.get(channel.name)
        return last is None or now - last >= PUSH_EVERY

    def _push(self, channel: Channel) -> None:
        now = self.now()
        # A push that fails waits for the next minute too: three may fail.
        self._pushed[channel.name] = now
        with self.sessions() as session:
            notes = self.teller.still_firing(session, channel.name)
        if not notes:
            return
        outcome = self.sender.push(channel, notes, now)
        if outcome.came != ARRIVED:
            logger.warning(
                "an Alertmanager was not told that alerts go on",
                extra={"channel": channel.name, "reason": outcome.said},
            )

    def _hold(self, channel: Channel) -> bool:
        if self.stop.is_set():
            return False
        with self.sessions.begin() as session:
            return leases.acquire(
                session,
                leases_table,
                self._lease(channel),
                self.owner,
                now=self.now(),
                ttl=LEASE,
            )

    def _lease(self, channel: Channel) -> str:
        return f"deliver:{channel.name}"

    def _log(self, channel: Channel, message: Message, outcome: Outcome) -> None:
        say = logger.info if outcome.came == ARRIVED else logger.warning
        told = {"channel": channel.name, "key": message.idempotency_key, "came": outcome.came}
        say("message", extra=told | {"attempt": message.attempts, "reason": outcome.said})
