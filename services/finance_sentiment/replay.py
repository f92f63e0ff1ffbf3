"""How can a stream of past stories come in again, as if it happened now?

A small local server with one RSS feed for each source of a file of stories. The stream is moved so
that its last story is published at the start (the anchor); what is older than the last hours is
there from the beginning, the last hours then appear faster than they happened:

    /                      the feeds, as JSON
    /sources.yaml          the feeds, as a list that `import --sources` takes
    /feeds/<source>.xml    RSS 2.0, newest first; ETag, and 304 to who has it already

A story's date is the one it has in the moved stream, so hours look like hours in the trends.
For demonstrations and tests: it listens on loopback, and knows neither keys nor limits.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from core.errors import SettingsError
from services.finance_sentiment.history import PastStory, read_history, rebased

FEED_ENTRIES = 50
_FEED = re.compile(r"/feeds/([a-z0-9-]+)\.xml")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class Replay:
    """The stream and its clock. Pure: `now` is passed to every call."""

    def __init__(
        self,
        stories: Sequence[PastStory],
        *,
        anchor: datetime,
        last: timedelta,
        speed: float,
        base_url: str,
    ) -> None:
        """`speed`: seconds of the stream in a second; `last`: the part that is played."""
        moved = sorted(rebased(stories, anchor), key=lambda story: story.published_at)
        self._anchor = anchor
        self._starts_at = anchor - last
        self._speed = speed
        self._base_url = base_url
        self._feeds: dict[str, list[PastStory]] = {}
        self.names: dict[str, str] = {}
        for story in moved:
            slug = _slug(story.source)
            self.names.setdefault(slug, story.source)
            self._feeds.setdefault(slug, []).append(story)

    @property
    def history(self) -> list[PastStory]:
        """What had been published before the played part begins, oldest first."""
        stories = [story for feed in self._feeds.values() for story in feed]
        past = [story for story in stories if story.published_at < self._starts_at]
        return sorted(past, key=lambda story: story.published_at)

    def stream_time(self, now: datetime) -> datetime:
        """Where the stream is at this moment; it stands still at its end."""
        played = (now - self._anchor) * self._speed
        return min(self._starts_at + max(played, timedelta()), self._anchor)

    def answer(self, path: str, headers: Mapping[str, str], now: datetime) -> Answer:
        """The answer to a GET. Header names in lower case."""
        if path == "/":
            feeds = [{"name": name, "url": self._url(slug)} for slug, name in self.names.items()]
            about = {"stream_time": self.stream_time(now).isoformat(), "feeds": feeds}
            return Answer(200, _typed("application/json"), json.dumps(about).encode())
        if path == "/sources.yaml":
            return Answer(200, _typed("application/yaml"), self.sources_yaml().encode())
        found = _FEED.fullmatch(path)
        if found is None or found[1] not in self._feeds:
            return Answer(404, _typed("text/plain"), b"no such feed; see /\n")
        body = self._rss(found[1], self.stream_time(now))
        etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        cached = {"ETag": etag, "Cache-Control": "no-cache"}
        tags = headers.get("if-none-match", "").split(",")
        asked = [tag.strip().removeprefix("W/") for tag in tags]
        if etag in asked or "*" in asked:
            return Answer(304, cached)
        return Answer(200, {**_typed("application/rss+xml"), **cached}, body)

    def sources_yaml(self, interval_minutes: float | None = None) -> str:
        """The feeds as `import --sources` and settings.sources take them."""
        lines = []
        for slug, name in self.names.items():
            # JSON strings are YAML strings.
            lines += [f"- name: {json.dumps(name)}", f"  url: {json.dumps(self._url(slug))}"]
            if interval_minutes is not None:
                lines.append(f"  interval_minutes: {interval_minutes:g}")
        return "\n".join(lines) + "\n"

    def _url(self, slug: str) -> str:
        return f"{self._base_url}/feeds/{slug}.xml"

    def _rss(self, slug: str, until: datetime) -> bytes:
        shown = [story for story in self._feeds[slug] if story.published_at <= until]
        items = "".join(_item(story) for story in reversed(shown[-FEED_ENTRIES:]))
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel>\n'
            f"<title>{_xml(self.names[slug])}</title>\n<link>{_xml(self._url(slug))}</link>\n"
            f"<description>A replay of past stories</description>\n{items}</channel></rss>\n"
        ).encode()


def _item(story: PastStory) -> str:
    identity = story.story_id or story.url or f"{story.source}-{story.line}"
    link = f"<link>{_xml(story.url)}</link>" if story.url else ""
    text = f"<description>{_xml(escape(story.summary))}</description>" if story.summary else ""
    date = format_datetime(story.published_at.astimezone(UTC), usegmt=True)
    return (
        f"<item><title>{_xml(escape(story.title))}</title>{link}{text}"
        f'<guid isPermaLink="false">{_xml(identity)}</guid><pubDate>{date}</pubDate></item>\n'
    )


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("", text))


def _slug(source: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-")
    # Names without a Latin letter still need an address of their own.
    return plain or f"source-{hashlib.sha256(source.encode()).hexdigest()[:8]}"


def _typed(kind: str) -> dict[str, str]:
    return {"Content-Type": f"{kind}; charset=utf-8"}


def load_replay(
    path: Path,
    *,
    anchor: datetime,
    last_hours: float,
    hours_per_minute: float,
    base_url: str,
) -> Replay:
    """The stream of a file; its speed is told in hours of the stream in a minute."""
    return Replay(
        read_history(path, anchor=anchor),
        anchor=anchor,
        last=timedelta(hours=last_hours),
        speed=hours_per_minute * 60,
        base_url=base_url,
    )


def make_server(
    replay: Replay, host: str, port: int, now: Callable[[], datetime]
) -> ThreadingHTTPServer:
    """The server, bound and not yet serving. SettingsError where the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = replay.answer(urlsplit(self.path).path, headers, now())
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 304:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the worker tells of its checks."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    try:
        return Server((host, port), Handler)
    except OSError as error:
        raise SettingsError(
            f"port {port} on {host} cannot be used ({error.strerror})",
            mend="Stop what uses it, or choose another one with --port.",
        ) from error


def serve(server: ThreadingHTTPServer, stop: threading.Event) -> None:
    """Answer until `stop` is set."""
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        stop.wait()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
