"""Who works at the desk, and how do they log in?

An agent has a name (or an e-mail address), a password and a role. Logging in gives a random token,
which the browser keeps in a cookie and the database as a hash. A session ends by time without use,
at the latest after some hours, with a new password, and with its agent.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Row, delete, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.db.statements import insert_or_ignore, rows_changed
from core.errors import Conflict, InvalidInput, NotFound, Unauthorized
from services.customer_service import passwords
from services.customer_service.tables import agent_sessions, agents

_log = logging.getLogger(__name__)

Role = Literal["agent", "admin"]
ROLES: Final[tuple[Role, ...]] = ("agent", "admin")
_NAME = re.compile(r"[\w.@+-]{1,200}")
_TOKEN_BYTES: Final = 32
# A session that is in use is written down this often and not with each request.
_SEEN_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody who works at the desk. `shown_as` is what customers see of the name."""

    name: str
    shown_as: str
    role: Role
    language: str
    disabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LogIn:
    """A session just begun: the token for the cookie, and when it is over at the latest."""

    agent: Agent
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """How long a session lasts: without use, and altogether."""

    idle: timedelta
    longest: timedelta


class Accounts:
    """`sessions` write, `readers` are read-only; `now` is the clock. All calls may block, those
    that take a password for some tenths of a second."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        readers: sessionmaker[Session],
        now: Callable[[], datetime],
        times: SessionTimes,
    ) -> None:
        self._sessions, self._readers, self._now = sessions, readers, now
        self._times = times

    def add(
        self, name: str, password: str, *, role: Role, language: str = "en", shown_as: str = ""
    ) -> Agent:
        """A new agent. InvalidInput for a name or password that will not do, Conflict for a name
        that is taken."""
        name = checked_name(name)
        shown = " ".join((shown_as or name.partition("@")[0]).split())
        if not 1 <= len(shown) <= 100 or not shown.isprintable():
            raise InvalidInput("what customers see has 1 to 100 printable characters")
        agent = Agent(name, shown, role, language, disabled=False, created_at=self._now())
        line = passwords.hashed(passwords.checked(password))
        row = {field: getattr(agent, field) for field in Agent.__slots__} | {"password_hash": line}
        with self._sessions.begin() as session:
            if not insert_or_ignore(session, agents, row):
                raise Conflict(f"there is an agent {name!r} already", mend="Choose another name.")
        _log.info("agent added", extra={"agent": name, "role": role})
        return agent

    def all(self) -> list[Agent]:
        """Every agent, by name."""
        with self._readers() as session:
            return [_agent(row) for row in session.execute(select(agents).order_by(agents.c.name))]

    def set_disabled(self, name: str, disabled: bool) -> None:
        """Shut an agent out, at once, or let them in again. NotFound."""
        name = checked_name(name)
        with self._sessions.begin() as session:
            self._change(session, name, {"disabled": disabled})
        _log.info("agent changed", extra={"agent": name, "disabled": disabled})

    def set_password(self, name: str, password: str) -> None:
        """Another password; all sessions end. NotFound, InvalidInput."""
        name = checked_name(name)
        line = passwords.hashed(passwords.checked(password))
        with self._sessions.begin() as session:
            self._change(session, name, {"password_hash": line})
        _log.info("password changed", extra={"agent": name})

    def change_password(self, name: str, old: str, new: str) -> None:
        """As its owner does it, who knows the old one; Unauthorized where it is wrong."""
        self._proven(name, old)
        self.set_password(name, new)

    def log_in(self, name: str, password: str) -> LogIn:
        """A new session; Unauthorized, the same for a wrong name, a wrong password and an agent
        who is shut out."""
        agent = self._proven(name, password)
        now, token = self._now(), secrets.token_urlsafe(_TOKEN_BYTES)
        expires = now + self._times.longest
        row = {"token_hash": _hash(token), "agent": agent.name, "seen_at": now}
        over = (agent_sessions.c.expires_at <= now) | (
            agent_sessions.c.seen_at <= now - self._times.idle
        )
        with self._sessions.begin() as session:
            session.execute(delete(agent_sessions).where(over))
            insert_or_ignore(session, agent_sessions, row | {"expires_at": expires})
        _log.info("agent logged in", extra={"agent": agent.name})
        return LogIn(agent, token, expires)

    def log_out(self, token: str) -> None:
        """End the session; one that is over already is fine."""
        with self._sessions.begin() as session:
            mine = agent_sessions.c.token_hash == _hash(token)
            session.execute(delete(agent_sessions).where(mine))

    def of_token(self, token: str) -> Agent | None:
        """Whose session it is; None where it is over, unknown, or its agent is shut out."""
        now = self._now()
        mine = agent_sessions.c.token_hash == _hash(token)
        query = (
            select(agents, agent_sessions.c.seen_at, agent_sessions.c.expires_at)
            .join(agent_sessions, agent_sessions.c.agent == agents.c.name)
            .where(mine)
        )
        with self._readers() as session:
            row = session.execute(query).one_or_none()
        if row is None or row.disabled or now >= row.expires_at:
            return None
        if now - row.seen_at >= self._times.idle:
            return None
        if now - row.seen_at >= _SEEN_EVERY:
            with self._sessions.begin() as session:
                session.execute(update(agent_sessions).where(mine).values(seen_at=now))
        return _agent(row)

    def _proven(self, name: str, password: str) -> Agent:
        with self._readers() as session:
            query = select(agents).where(agents.c.name == name.strip().lower())
            row = session.execute(query).one_or_none()
        line = None if row is None else str(row.password_hash)
        right = passwords.verify(password, line)
        if row is None or not right or row.disabled:
            # The name is not logged: people type their password there.
            _log.warning("log-in refused", extra={"known": row is not None})
            raise Unauthorized(
                "name or password are wrong, or the agent is shut out",
                mend="Whoever runs the server can set another password: agents password NAME.",
            )
        return _agent(row)

    def _change(self, session: Session, name: str, values: dict[str, object]) -> None:
        """Change the agent and end their sessions."""
        if not rows_changed(session, update(agents).where(agents.c.name == name).values(values)):
            raise NotFound(f"there is no agent {name!r}", mend="`agents list` shows all of them.")
        session.execute(delete(agent_sessions).where(agent_sessions.c.agent == name))


def checked_name(name: str) -> str:
    """The name in the form in which it is kept; InvalidInput."""
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"an agent's name has 1 to 200 letters, digits and . _ @ + -, was: {name[:60]!r}",
            mend="A first name or an e-mail address will do.",
        )
    return name


def _agent(row: Row[tuple[object, ...]]) -> Agent:
    return Agent(**{field: getattr(row, field) for field in Agent.__slots__})


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
