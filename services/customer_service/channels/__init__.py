"""Whose conversation is it, and who may open it?

Other programs know their customers by names of their own ("bob", 17). Such a name becomes a
conversation id with its channel in front ("rasa:bob"), so that it never meets another channel's, or
one of our own. What is behind a channel opens for keys with that channel's scope (or `admin`): who
may chat in our own conversations does not read those, whatever name they send.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from core.errors import Forbidden
from core.web import Caller

CHANNELS: Final = ("rasa", "openai", "chatwoot")
# Who may ask for a conversation at all; `check_may_open` says for which.
OPENERS: Final = ("chat", "session", "admin", *CHANNELS)
_PLAIN = re.compile(r"[\w.:@+-]{1,150}")
_DIGEST: Final = "sha256."


def conversation_id_of(channel: str, name: str) -> str:
    """The conversation of somebody whom the channel calls `name`, however odd the name is."""
    if _PLAIN.fullmatch(name) and not name.startswith(_DIGEST):
        return f"{channel}:{name}"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{channel}:{_DIGEST}{digest}"


def channel_of(conversation_id: str) -> str | None:
    """The channel that a conversation belongs to, None for one of our own."""
    channel = conversation_id.partition(":")[0]
    return channel if channel in CHANNELS and channel != conversation_id else None


def check_may_open(caller: Caller, conversation_id: str) -> None:
    """Forbidden where this caller may neither read nor write the conversation."""
    channel = channel_of(conversation_id)
    if caller.subject is not None:
        allowed = conversation_id == caller.subject
    elif channel is None:
        allowed = caller.may("chat")
    else:
        allowed = caller.may("admin") or caller.may(channel)
    if not allowed:
        needed = "chat" if channel is None else f"{channel} or admin"
        raise Forbidden(
            "this conversation is not open to you",
            mend="Leave conversation_id out for one of your own, "
            f"or use a key with the scope {needed}.",
        )
