"""Which web do the 1,000 feeds of the throughput benchmark come from?

A server in a process of its own, on as many loopback addresses as there are feeds: half say that
nothing is new, some are out of order, the rest send a feed.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

# What does not simply send its feed, and how many of a thousand: nothing new · a feed after three
# seconds · a byte a second · breaks off · no feed · never ends · a circle of redirects.
KINDS = (
    ("unchanged", 500),
    ("late", 10),
    ("trickling", 5),
    ("broken", 10),
    ("garbage", 10),
    ("endless", 10),
    ("circling", 10),
)
ANSWERED = ("fresh", "unchanged", "late")
LATE_SECONDS = 3.0


def kind_of(number: int, feeds: int) -> str:
    """What feed `number` does; the kinds lie spread among the others."""
    place = (number * 617) % feeds * 1000 // feeds
    for kind, count in KINDS:
        if place < count:
            return kind
        place -= count
    return "fresh"


class FeedServer:
    """A context manager around the process."""

    def __init__(self, pages: Sequence[bytes], feeds: int) -> None:
        self._feeds = feeds
        context = multiprocessing.get_context("spawn")
        self._said, saying = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_serve, args=(list(pages), feeds, saying), daemon=True
        )
        self._port = 0

    def __enter__(self) -> Self:
        self._process.start()
        self._port = self._said.recv()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.join()

    def url(self, number: int) -> str:
        """The address of a feed, on a host of its own."""
        return f"http://127.1.{number // 250}.{number % 250 + 1}:{self._port}/{number}"


def _serve(pages: list[bytes], feeds: int, saying: Connection) -> None:
    asyncio.run(_run(pages, feeds, saying))


async def _run(pages: list[bytes], feeds: int, saying: Connection) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                await _answer(int(line.split()[1].strip(b"/")), writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side had enough
        finally:
            writer.close()

    async def _answer(number: int, writer: asyncio.StreamWriter) -> None:
        kind = kind_of(number, feeds)
        if kind == "unchanged":
            writer.write(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n')
        elif kind == "circling":
            where = f"Location: /{number}\r\nContent-Length: 0\r\n\r\n"
            writer.write(f"HTTP/1.1 302 Found\r\n{where}".encode())
        elif kind in ("trickling", "endless"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n")
            while True:
                writer.write(b"<" if kind == "trickling" else b"<item>" * 10_000)
                await writer.drain()
                if kind == "trickling":
                    await asyncio.sleep(1)
        elif kind == "broken":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n<rss>")
            writer.close()
        else:
            if kind == "late":
                await asyncio.sleep(LATE_SECONDS)
            body = b"\x00\xff" * 500 if kind == "garbage" else pages[number % len(pages)]
            head = f'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: {len(body)}\r\n\r\n'
            writer.write(head.encode() + body)
        await writer.drain()

    server = await asyncio.start_server(answer, "0.0.0.0", 0, backlog=1024)
    saying.send(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()
