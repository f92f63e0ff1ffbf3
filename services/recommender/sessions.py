"""What may a web page do with its token? Recommend and send events for its own session.

A page opens a session with its publishable key and gets a token whose subject is the session_id;
see services/session_tokens.py.
"""

from __future__ import annotations

from core.errors import Forbidden
from core.web import Caller
from services.session_tokens import SESSION, SessionTokens

__all__ = ["SESSION", "SessionTokens", "check_own_session"]


def check_own_session(caller: Caller, user_id: str | None, session_id: str | None) -> None:
    """Forbidden where a session token is used for anybody but its own session."""
    if caller.subject is None or (user_id is None and session_id == caller.subject):
        return
    raise Forbidden(
        "a session token is for its own session alone",
        mend="Send session_id as POST /v1/sessions gave it, and no user_id; tell who it is with "
        "POST /v1/users/merge from a server.",
    )
