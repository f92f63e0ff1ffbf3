"""Files into the database: whole, once, and with an account."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.artifacts import Registry
from core.data.records import Item
from core.db.engine import make_engine, session_factory
from core.errors import DataError
from services.recommender.event_store import EventStore
from services.recommender.importing import run_import
from services.recommender.model import KIND
from services.recommender.settings import Settings
from services.recommender.store import ItemStore
from tests.recommender.conftest import Clock, Files


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def stored(settings: Settings) -> tuple[int, int]:
    """(items, events) in the database."""
    engine = make_engine(settings.database_url)
    sessions = session_factory(engine, read_only=True)
    counts = ItemStore(sessions, sessions).count(), EventStore(sessions, sessions).count()
    engine.dispose()
    return counts


def test_a_second_import_changes_nothing(
    settings: Settings, database_url: str, shop_files: Files, clock: Clock
) -> None:
    chosen = settings.replace(database_url=database_url)
    from core.db.migrations import upgrade
    from services.recommender.tables import MIGRATIONS

    upgrade(database_url, MIGRATIONS)
    first = run_import(chosen, items=shop_files.items, events=shop_files.events, now=clock)
    counts = stored(chosen)
    clock.forward(days=1)
    second = run_import(chosen, items=shop_files.items, events=shop_files.events, now=clock)
    assert first.items is not None and second.items is not None
    assert first.events is not None and second.events is not None
    assert first.items.created == 40 and second.items.unchanged == 40
    assert first.events.repeated == 0 and second.events.accepted == 0
    assert stored(chosen) == counts == (40, first.events.accepted)


def test_two_equal_rows_without_an_id_are_two_events(
    settings: Settings, tmp_path: Path, clock: Clock
) -> None:
    row = "u,a,purchase,1760000000"
    path = write(tmp_path / "e.csv", "user_id,item_id,event,timestamp", row, row)
    for accepted in (2, 0):
        done = run_import(settings, items=None, events=path, now=clock)
        assert done.events is not None and done.events.accepted == accepted


def test_a_bad_row_is_named_and_nothing_of_its_file_is_taken(
    settings: Settings, tmp_path: Path, clock: Clock
) -> None:
    items = write(tmp_path / "i.csv", "item_id,title,price", "a,Tent,9", "b,Map,cheap")
    with pytest.raises(DataError, match=r"i\.csv, line 3: `price`"):
        run_import(settings, items=items, events=None, now=clock)
    events = write(
        tmp_path / "e.csv",
        "user_id,item_id,event,timestamp",
        "u,a,click,1760000000",
        "u,a,teleport,1760000001",
    )
    with pytest.raises(DataError, match=r"e\.csv, line 3: `event`"):
        run_import(settings, items=None, events=events, now=clock)
    run_import(settings, items=write(tmp_path / "ok.csv", "item_id,title", "c,Pan"), events=None)
    assert stored(settings) == (1, 0)


def test_a_bad_events_file_keeps_the_items_out_too(
    settings: Settings, tmp_path: Path, shop_files: Files, clock: Clock
) -> None:
    events = write(tmp_path / "e.csv", "user_id,item_id,event,timestamp", "u,a,click,never")
    with pytest.raises(DataError, match="line 2"):
        run_import(settings, items=shop_files.items, events=events, now=clock)
    assert not Path(settings.database_url.removeprefix("sqlite:///")).exists()


def test_an_id_that_is_too_long_to_keep_is_named(
    settings: Settings, tmp_path: Path, clock: Clock
) -> None:
    items = write(tmp_path / "i.csv", "item_id,title", f"{'x' * 201},Tent")
    with pytest.raises(DataError, match="line 2: `item_id`: at most 200 characters"):
        run_import(settings, items=items, events=None, now=clock)


def test_events_of_unknown_items_are_kept_and_reported(
    settings: Settings, tmp_path: Path, clock: Clock
) -> None:
    path = write(tmp_path / "e.csv", "user_id,item_id,event,timestamp", "u,later,click,1760000000")
    done = run_import(settings, items=None, events=path, now=clock)
    assert "later" in " ".join(done.lines()) and stored(settings) == (0, 1)


def test_without_a_model_texts_wait_and_the_account_says_so(
    settings: Settings, shop_files: Files, clock: Clock
) -> None:
    done = run_import(settings, items=shop_files.items, events=None, now=clock)
    assert (done.encoded, done.waiting) == (0, 40)
    assert "until a model is live" in " ".join(done.lines())


def test_with_a_model_every_text_has_its_vector(
    settings: Settings, model_folder: Path, shop_files: Files, clock: Clock
) -> None:
    Registry(settings.models_dir, KIND).promote(model_folder)
    done = run_import(settings, items=shop_files.items, events=None, now=clock)
    assert (done.encoded, done.waiting) == (40, 0)


def test_an_empty_log_is_fine(settings: Settings, tmp_path: Path, clock: Clock) -> None:
    path = write(tmp_path / "e.csv", "user_id,item_id,event,timestamp")
    done = run_import(settings, items=None, events=path, now=clock)
    assert done.events is not None and done.events.accepted == 0


def test_bad_rows_can_be_left_out_and_are_told(
    settings: Settings, tmp_path: Path, clock: Clock
) -> None:
    long = "x" * 201
    items = write(tmp_path / "i.csv", "item_id,title", "a,Tent", "b,", f"{long},Map", "c,Pan,9")
    head = "user_id,item_id,event,timestamp"
    events = write(tmp_path / "e.csv", head, "u,a,click,1760000000", "u,a,click,never")
    done = run_import(settings, items=items, events=events, skip_bad_rows=True, now=clock)
    told = "\n".join(done.lines())
    assert "bad rows left out: 4" in told and len(done.left_out) == 4
    for place in ("i.csv, line 3", "i.csv, line 4", "i.csv, line 5", "e.csv, line 3"):
        assert place in told
    assert stored(settings) == (1, 1)


def test_a_google_feed_is_taken_and_leaves_hidden_items_hidden(
    settings: Settings, tmp_path: Path, clock: Clock
) -> None:
    feed = write(tmp_path / "feed.txt", "id\ttitle\tprice", "a\tTent\t15.00 USD", "b\tMap\t2 USD")
    run_import(settings, items=feed, events=None, now=clock)
    engine = make_engine(settings.database_url)
    store = ItemStore(session_factory(engine), session_factory(engine, read_only=True))
    store.upsert([Item("a", "Tent", price=15.0, currency="USD", hidden=True)], 0.0)
    write(feed, "id\ttitle\tprice", "a\tTent\t12.00 USD", "b\tMap\t2 USD")
    done = run_import(settings, items=feed, events=None, now=clock)
    assert done.items is not None and (done.items.updated, done.items.unchanged) == (1, 1)
    found = {s.item.item_id: (s.item.price, s.item.hidden) for s in store.page(9)}
    assert found == {"a": (12.0, True), "b": (2.0, False)}
    engine.dispose()
