"""What is the desk made of? Its parts together, for the endpoints, the replier and the sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from core.web.rate import parse_rate
from services.customer_service.accounts import Accounts, SessionTimes
from services.customer_service.channels import channel_of
from services.customer_service.desk_texts import DeskTexts
from services.customer_service.door import Door
from services.customer_service.handoff import Handoff, Handoffs
from services.customer_service.settings import Settings
from services.customer_service.standing import needs_standing, with_standing
from services.customer_service.wording import Voice, Wording


@dataclass(frozen=True)
class People:
    """The people who take over, and what they work with. `now` is the clock."""

    accounts: Accounts
    door: Door
    handoffs: Handoffs
    texts: DeskTexts
    secure_cookie: bool
    now: Callable[[], datetime]

    @classmethod
    def choose(
        cls,
        settings: Settings,
        sessions: sessionmaker[Session],
        readers: sessionmaker[Session],
        now: Callable[[], datetime],
    ) -> People:
        """The real ones; SettingsError where the rate cannot be read."""
        return cls(
            accounts=accounts_of(settings, sessions, readers, now),
            door=Door(parse_rate(settings.login_rate)),
            handoffs=Handoffs(sessions, readers, now, timedelta(minutes=settings.agent_minutes)),
            texts=DeskTexts(sessions, readers, now),
            secure_cookie=settings.desk_secure_cookie,
            now=now,
        )

    def standing(self, handoff: Handoff | None) -> Handoff | None:
        """How one that was read from the database stands now."""
        return self.handoffs.standing(handoff)

    def announced(
        self, wording: Wording, conversation_id: str, handoff: Handoff | None, voice: Voice
    ) -> Wording:
        """The words with what is to be said of the person who takes over: when somebody comes,
        and to a customer in line (`handoff`) their place. A Chatwoot has hours of its own."""
        foreign = channel_of(conversation_id) == "chatwoot"
        if foreign or not needs_standing(wording, waiting=handoff is not None):
            return wording
        position = None if handoff is None else self.handoffs.position(handoff)
        if handoff is not None and position is None:
            return wording  # taken this moment: the next message is the agent's
        expected = self.texts.expectation(voice.language, voice.fallback)
        return with_standing(wording, position, expected, voice)


def accounts_of(
    settings: Settings,
    sessions: sessionmaker[Session],
    readers: sessionmaker[Session],
    now: Callable[[], datetime],
) -> Accounts:
    """The accounts alone, for the command line."""
    times = SessionTimes(
        idle=timedelta(minutes=settings.desk_idle_minutes),
        longest=timedelta(hours=settings.desk_session_hours),
    )
    return Accounts(sessions, readers, now, times)
