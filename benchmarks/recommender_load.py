"""How is the recommender loaded without the load itself taking the machine's cores?

Plain sockets, one kept HTTP/1.1 connection a caller, requests ready before the clock starts, in a
process of its own: as load.py, for POST /v1/recommendations.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

_HEAD: Final = (
    "POST /v1/recommendations HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
)


@dataclass(frozen=True)
class Answer:
    """Of request `number`. `milliseconds` from when it was due, `ended` seconds after the start."""

    number: int
    milliseconds: float
    ended: float
    item_ids: tuple[str, ...]


def closed_loop(port: int, bodies: Sequence[bytes], callers: int, seconds: float) -> list[Answer]:
    """`callers` ask one after the other until they run out or the time is over."""
    return asyncio.run(_loop(port, bodies, callers, seconds, None))


def open_loop(port: int, bodies: Sequence[bytes], callers: int, rate: float) -> list[Answer]:
    """Each at its time, `rate` a second, over `callers` connections; where the server falls so far
    behind that it would take twice as long, what is left then is not asked."""
    return asyncio.run(_loop(port, bodies, callers, 2 * len(bodies) / rate, rate))


async def _loop(
    port: int, bodies: Sequence[bytes], callers: int, seconds: float, rate: float | None
) -> list[Answer]:
    waiting = iter([(number, _request(body)) for number, body in enumerate(bodies)])
    answers: list[Answer] = []
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(callers)]
    start = time.perf_counter()

    async def caller(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, request in waiting:
            due = time.perf_counter() if rate is None else start + number / rate
            if time.perf_counter() - start > seconds:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(request)
            said = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(said.split("content-length:")[1].split("\r\n")[0])
            content = await reader.readexactly(length)
            ended = time.perf_counter()
            if " 200 " not in said.splitlines()[0]:
                raise RuntimeError(f"a request failed: {content.decode()[:500]}")
            ids = tuple(item["item_id"] for item in json.loads(content)["items"])
            answers.append(Answer(number, (ended - due) * 1e3, ended - start, ids))
        writer.close()

    await asyncio.gather(*(caller(*pair) for pair in opened))
    return answers


def _request(body: bytes) -> bytes:
    return f"{_HEAD}content-length: {len(body)}\r\n\r\n".encode() + body


def in_process(load: Callable[..., list[Answer]], *arguments: Any) -> list[Answer]:
    """What the load generator brings back from a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        answers: list[Answer] = pool.apply(load, arguments)
    return answers
