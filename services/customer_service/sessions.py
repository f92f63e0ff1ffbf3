"""How does a website's visitor get a conversation of their own, and nobody else's?

A widget opens a session with its publishable key and gets a token whose subject is a new
conversation; see services/session_tokens.py.
"""

from __future__ import annotations

from typing import Final

from services.session_tokens import SESSION, SessionTokens

CHANNEL: Final = "widget"

__all__ = ["CHANNEL", "SESSION", "SessionTokens"]
