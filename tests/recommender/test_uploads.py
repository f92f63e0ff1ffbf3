"""Large batches of items, worked off once, in either database."""

from __future__ import annotations

import pytest

from core.data.records import Item
from core.errors import Overloaded
from services.recommender.ingest import work_off
from services.recommender.uploads import KEPT_SECONDS, UploadStore
from tests.recommender.conftest import Database

NOW = 1_800_000_000.0


@pytest.fixture
def uploads(database: Database) -> UploadStore:
    return UploadStore(database.sessions, database.readers)


def rows(count: int, **values: object) -> list[dict]:
    return [{"item_id": f"i{n}", "title": f"thing {n}", **values} for n in range(count)]


def work(uploads: UploadStore, database: Database, now: float = NOW + 10) -> int:
    done = 0
    while more := work_off(uploads, database.items, None, now):
        done += more
    return done


def test_a_batch_goes_from_waiting_over_working_to_done(
    uploads: UploadStore, database: Database
) -> None:
    upload = uploads.accept(rows(250), NOW, most_waiting=9)
    states = [upload.state]
    while work_off(uploads, database.items, None, NOW + 5):
        found = uploads.find(upload.upload_id)
        assert found is not None
        states.append(f"{found.state} {found.done}")
    assert states == ["waiting", "working 100", "working 200", "done 250"]
    assert database.items.count() == 250


def test_a_chunk_whose_worker_died_is_done_by_the_next_and_by_one_only(
    uploads: UploadStore, database: Database
) -> None:
    upload = uploads.accept(rows(150), NOW, most_waiting=9)
    chunk = uploads.next_chunk()  # taken by one that dies before it commits
    assert chunk is not None and len(chunk.rows) == 100
    assert work(uploads, database) == 150
    # … and by one that was only slow: what it comes with is not stored again.
    assert uploads.finish(chunk, [Item("i0", "late")], (), NOW + 99) is False
    found, item = uploads.find(upload.upload_id), database.items.find("i0")
    assert found is not None and (found.done, found.finished_at) == (150, NOW + 10)
    assert item is not None and item.item.title == "thing 0"


def test_a_chunk_is_stored_whole_with_its_progress_or_not_at_all(
    uploads: UploadStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = uploads.accept(rows(3), NOW, most_waiting=9)
    with monkeypatch.context() as patched:
        patched.setattr("services.recommender.uploads._advance", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            work(uploads, database)
    assert database.items.count() == 0 and uploads.find(upload.upload_id) == upload
    assert work(uploads, database) == 3 and database.items.count() == 3


def test_what_was_said_after_a_batch_was_accepted_is_not_overwritten(
    uploads: UploadStore, database: Database
) -> None:
    database.items.upsert([Item(f"i{n}", "old") for n in range(4)], NOW - 60)
    uploads.accept(rows(4), NOW, most_waiting=9)
    database.items.upsert([Item("i1", "newer")], NOW + 1)
    database.items.delete("i2", NOW + 1)
    assert work(uploads, database) == 4
    titles = {s.item.item_id: s.item.title for s in database.items.page(9)}
    assert titles == {"i0": "thing 0", "i1": "newer", "i3": "thing 3"}


def test_a_later_batch_replaces_an_earlier_one_and_a_later_row_an_earlier(
    uploads: UploadStore, database: Database
) -> None:
    uploads.accept(rows(2, brand="one"), NOW, most_waiting=9)
    uploads.accept(
        [*rows(2, brand="two"), {"item_id": "i0", "title": "last"}], NOW + 1, most_waiting=9
    )
    assert work(uploads, database) == 5
    found = {s.item.item_id: (s.item.title, s.item.brand) for s in database.items.page(9)}
    assert found == {"i0": ("last", ""), "i1": ("thing 1", "two")}


def test_waiting_batches_are_bounded_and_finished_ones_forgotten_in_the_end(
    uploads: UploadStore, database: Database
) -> None:
    first = uploads.accept(rows(1), NOW, most_waiting=1)
    with pytest.raises(Overloaded, match="worker"):
        uploads.accept(rows(1), NOW, most_waiting=1)
    work(uploads, database)
    uploads.accept(rows(1), NOW + KEPT_SECONDS, most_waiting=1)
    assert uploads.find(first.upload_id) is not None
    work(uploads, database, NOW + KEPT_SECONDS)
    uploads.accept(rows(1), NOW + 11 + KEPT_SECONDS, most_waiting=1)
    assert uploads.find(first.upload_id) is None
