"""How do stories come in from files that somebody puts into a folder?

A file is read whole once: feeds (.xml .rss .atom .rdf .json) as they would come from the web, and
lists of stories (.csv .tsv .jsonl .yaml .parquet) as for `import --stories`. It then moves into
`done/`, or into `failed/` with a .txt beside it that says why. A worker that dies in between reads
it again, and repeats are no news. Write a file under a name that begins with a dot or ends in
.part, and rename it when it is whole.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event

from sqlalchemy.orm import Session, sessionmaker

from core.data.tables import EXTENSIONS
from core.errors import DataError, TrefoilError
from services.finance_sentiment.feed_formats import parse_feed
from services.finance_sentiment.importing import import_stories
from services.finance_sentiment.intake import Incoming, add_stories

logger = logging.getLogger("trefoil.finance_sentiment")

FEEDS = (".xml", ".rss", ".atom", ".rdf", ".json")
_FILES_A_PASS = 100
# A list of stories may be long; a feed is bounded as those from the web are.
_MAX_LIST_BYTES = 50_000_000


@dataclass(frozen=True)
class Folder:
    """A watched folder, and what reading it needs."""

    path: Path
    sessions: sessionmaker[Session]
    now: Callable[[], datetime]
    max_feed_bytes: int
    max_feed_entries: int

    def take(self, stop: Event) -> int:
        """Read what is there, oldest first; how many new stories came in. DataError where the
        folder cannot be read."""
        added = 0
        for path in self._waiting()[:_FILES_A_PASS]:
            if stop.is_set():
                break
            try:
                added += self._read(path)
            except (TrefoilError, OSError) as error:
                self._set_aside(path, "failed", str(error))
                logger.warning("file not read", extra={"file": path.name, "error": str(error)})
            else:
                self._set_aside(path, "done")
        return added

    def _waiting(self) -> list[Path]:
        try:
            found = [
                (entry.stat().st_mtime, Path(entry.path))
                for entry in os.scandir(self.path)
                # A link could lead anywhere.
                if entry.is_file(follow_symlinks=False)
                and not entry.name.startswith(".")
                and not entry.name.endswith(".part")
            ]
        except OSError as error:
            raise DataError(
                f"the watched folder cannot be read: {error.strerror}",
                self.path,
                mend="Make it, or mend the setting WATCH_FOLDER.",
            ) from error
        return [path for _, path in sorted(found)]

    def _read(self, path: Path) -> int:
        kind = path.suffix.lower()
        limit = self.max_feed_bytes if kind in FEEDS else _MAX_LIST_BYTES
        if path.stat().st_size > limit:
            raise DataError(f"expected at most {limit} bytes", path)
        if kind not in FEEDS:
            if kind not in EXTENSIONS:
                known = ", ".join((*FEEDS, *EXTENSIONS))
                raise DataError(f"expected a file ending in one of {known}", path)
            return import_stories(self.sessions, path, now=self.now, as_news=True).added
        feed = parse_feed(path.read_bytes(), max_entries=self.max_feed_entries)
        incoming = [Incoming(entry) for entry in feed.entries]
        source = (feed.title or path.stem)[:200]
        with self.sessions.begin() as session:
            return add_stories(session, incoming, source=source, source_id=None, now=self.now())

    def _set_aside(self, path: Path, place: str, reason: str = "") -> None:
        """Move a file that was read; one of the same name there is written over."""
        folder = self.path / place
        folder.mkdir(exist_ok=True)
        # Another worker may have been faster.
        if path.exists():
            path.replace(folder / path.name)
        if reason:
            (folder / f"{path.name}.txt").write_text(reason + "\n", encoding="utf-8")
