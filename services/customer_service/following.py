"""Which of the agents' words has one WebSocket not passed on yet?

It looks into the database, so it does not matter which process the agent spoke to. A conversation
is followed from the moment it is first spoken of; what was said before is read over
`GET /v1/conversations/{id}`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from anyio.to_thread import run_sync

from services.customer_service.handoff import Handoffs
from services.customer_service.schemas import MessageOut
from services.customer_service.transcript import shown_message

# Of a server's socket that speaks for many customers, those it spoke for last.
MOST: Final = 100
_AT_ONCE: Final = 50


class Following:
    """For one socket, which looks and speaks in turns."""

    def __init__(self, handoffs: Handoffs) -> None:
        self._handoffs = handoffs
        # conversation -> the number of the last thing that was passed on
        self._passed: OrderedDict[str, int] = OrderedDict()

    async def follow(self, conversation_id: str) -> None:
        """Pass on what is said there from now on."""
        if conversation_id not in self._passed:
            number = await run_sync(self._handoffs.last_number, conversation_id)
            self._passed[conversation_id] = number
        self._passed.move_to_end(conversation_id)
        while len(self._passed) > MOST:
            self._passed.popitem(last=False)

    async def news(self) -> list[Mapping[str, Any]]:
        """What agents have said since the last look, oldest first."""
        if not self._passed:
            return []
        said = await run_sync(self._handoffs.said, dict(self._passed), _AT_ONCE)
        for message in said:
            self._passed[message.conversation_id] = message.number
        return [MessageOut(**shown_message(m)).model_dump(mode="json") for m in said]
