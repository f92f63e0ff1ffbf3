"""How is a server loaded without the load itself taking the machine's cores?

Plain sockets, one kept HTTP/1.1 connection a caller, requests ready before the clock starts. Runs
in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

_CONNECTIONS = 64


@dataclass(frozen=True)
class Answer:
    """`milliseconds` from when the request was due; `ended`: seconds after the start."""

    status: int
    action: str
    version: str
    milliseconds: float
    ended: float


def open_loop(port: int, texts: Sequence[str], rate: float) -> list[Answer]:
    """Each text at its time, `rate` a second, whether or not the ones before were answered."""
    return asyncio.run(_open_loop(port, texts, rate))


def closed_loop(port: int, texts: Sequence[str], callers: int, seconds: float) -> list[Answer]:
    """`callers` ask one text after the other, until they run out or the time is over."""
    return asyncio.run(_closed_loop(port, texts, callers, seconds))


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> _Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> tuple[int, dict[str, object]]:
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        lengths = [x for x in lines if x.lower().startswith("content-length:")]
        body = await self._reader.readexactly(int(lengths[0].split(":")[1]))
        return int(lines[0].split(" ")[1]), json.loads(body)

    def close(self) -> None:
        self._writer.close()


def _request(text: str) -> bytes:
    body = json.dumps({"message": text}).encode()
    head = (
        "POST /v1/chat HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _answer(status: int, body: dict[str, object], due: float, start: float) -> Answer:
    now = time.perf_counter()
    action, version = str(body.get("action", "")), str(body.get("model_version", ""))
    return Answer(status, action, version, (now - due) * 1e3, now - start)


async def _open_loop(port: int, texts: Sequence[str], rate: float) -> list[Answer]:
    free: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        free.put_nowait(await _Connection.open(port))
    requests = [_request(text) for text in texts]
    start = time.perf_counter()

    async def one(number: int) -> Answer:
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = await free.get()
        status, body = await connection.ask(requests[number])
        free.put_nowait(connection)
        return _answer(status, body, due, start)

    answers = await asyncio.gather(*(one(number) for number in range(len(requests))))
    while not free.empty():
        free.get_nowait().close()
    return list(answers)


async def _closed_loop(
    port: int, texts: Sequence[str], callers: int, seconds: float
) -> list[Answer]:
    waiting = iter([_request(text) for text in texts])
    answers: list[Answer] = []
    start = time.perf_counter()

    async def caller() -> None:
        connection = await _Connection.open(port)
        for request in waiting:
            began = time.perf_counter()
            if began - start > seconds:
                break
            status, body = await connection.ask(request)
            answers.append(_answer(status, body, began, start))
        connection.close()

    await asyncio.gather(*(caller() for _ in range(callers)))
    return answers
