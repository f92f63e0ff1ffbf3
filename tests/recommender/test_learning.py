"""What is learnt from a log, on the made-up shop where the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.data.records import Event, Item
from services.recommender import baselines
from services.recommender.baselines import CANDIDATES, NAMES, BaselineSettings
from services.recommender.interests import Interests
from services.recommender.learning.adapter import AdapterConfig, item_texts, plain_tower, tune
from services.recommender.learning.log import EventLog, fingerprint, moment_of_share, read_log
from services.recommender.learning.pairs import Pairs, make_pairs
from services.recommender.learning.shop import Shop
from services.recommender.learning.window import Window, open_window
from tests.recommender.shop import DAY, START, make_items


@pytest.fixture(scope="module")
def window(shop: Shop, log: EventLog) -> Window:
    cut = moment_of_share(log, 0.8)
    return open_window(shop, log, cut, np.inf, np.random.default_rng(0))


@pytest.fixture(scope="module")
def pairs(log: EventLog) -> Pairs:
    return make_pairs(log, None, per_user=5, rng=np.random.default_rng(0))


# --- the log -----------------------------------------------------------------------------------


def test_a_log_is_in_order_of_time_whatever_the_files_order() -> None:
    items = [Item("a", "a"), Item("b", "b")]
    events = [Event("u", "b", "click", 9.0), Event("v", "a", "view", 3.0)]
    log = read_log(items, events).log
    assert log.time.tolist() == [3.0, 9.0] and log.item.tolist() == [0, 1]
    assert [log.users[n] for n in log.user] == ["v", "u"]


def test_events_of_items_outside_the_catalogue_are_counted_and_left_out() -> None:
    read = read_log([Item("a", "a")], [Event("u", "a", "click", 1.0), Event("u", "x", "click", 2)])
    assert (len(read.log), read.unknown_items) == (1, 1)


def test_the_parts_of_a_log_are_the_whole(log: EventLog) -> None:
    cut = moment_of_share(log, 0.8)
    assert len(log.before(cut)) + len(log.between(cut, np.inf)) == len(log)
    assert len(log.before(cut)) / len(log) == pytest.approx(0.8, abs=0.01)


def test_the_fingerprint_changes_with_any_row() -> None:
    items, events = [Item("a", "a")], [Event("u", "a", "click", 1.0)]
    assert fingerprint(items, events) != fingerprint(items, [*events, events[0]])
    assert fingerprint(items, events) != fingerprint([Item("a", "b")], events)
    tagged = [replace(items[0], tags=("new",)), *items[1:]]
    assert fingerprint(items, events) != fingerprint(tagged, events), "the encoder reads tags"
    moved = [replace(item, line=item.line + 7) for item in items]
    assert fingerprint(items, events) == fingerprint(moved, events)


# --- windows and pairs -------------------------------------------------------------------------


def test_a_window_knows_nothing_of_its_own_time(log: EventLog, window: Window) -> None:
    assert window.before.time.max() < window.start
    for own in window.history:
        assert (window.before.time[own] < window.start).all()


def test_relevant_are_new_to_the_user_and_refused_were_seen_and_not_taken(window: Window) -> None:
    for took, saw, had in zip(window.relevant, window.refused, window.known, strict=True):
        assert not set(took) & set(had)
        assert not set(saw) & (set(took) | set(had))


def test_rivals_are_all_that_the_user_had_done_nothing_with(window: Window) -> None:
    takers = window.takers()
    rivals, taken = takers.rivals(), takers.taken()
    for user, (had, saw) in enumerate(zip(takers.known, takers.glimpsed, strict=True)):
        assert rivals[user, taken[user]].all() and rivals[user, saw].all()
        assert not rivals[user, np.setdiff1d(had, saw)].any()


def test_what_was_only_seen_may_be_taken_later_and_what_was_done_may_not() -> None:
    items = [Item(name, name) for name in "abcd"]
    before = [Event("u", "a", "impression", 1), Event("u", "b", "view", 1)]
    before += [Event("u", "c", "impression", 1), Event("u", "c", "click", 2)]
    later = [Event("u", name, "click", 10) for name in "acd"]
    log = read_log(items, [*before, *later]).log
    shop = Shop(items, [], np.eye(4, dtype=np.float32), np.zeros(4), np.ones(4, bool))
    found = open_window(shop, log, 5.0, np.inf, np.random.default_rng(0))
    assert found.glimpsed[0].tolist() == [0, 1] and found.again[0].tolist() == [0]
    assert found.relevant[0].tolist() == [3] and found.taken()[0].tolist() == [0, 3]
    assert found.rivals().tolist() == [[True, True, False, True]]
    glimpsed = found.interests(None)[0].glimpsed
    assert glimpsed is not None and glimpsed.rows.tolist() == [0, 1]


def test_items_that_came_after_the_window_are_not_ranked(log: EventLog) -> None:
    items = make_items()
    items[0] = replace(items[0], created_at=START + 29 * DAY)
    shop = Shop(items, [], np.eye(40, dtype=np.float32), np.zeros(40), np.ones(40, bool))
    early = log.select(log.item != 0)
    window = open_window(shop, early, START + 10 * DAY, START + 20 * DAY, np.random.default_rng(0))
    assert window.present.tolist() == [False] + [True] * 39


def test_a_pair_holds_only_what_came_before_its_target(log: EventLog, pairs: Pairs) -> None:
    for interests, target in zip(pairs.interests, pairs.target, strict=True):
        assert target not in interests.rows
        assert len(interests) > 0


def test_a_pair_knows_what_was_passed_by_at_that_time() -> None:
    items = [Item(name, name) for name in "abcde"]
    events = [Event("u", "a", "click", 0.0)]
    events += [Event("u", name, "impression", 5_000.0) for name in "bcd"]
    events += [Event("u", "b", "click", 5_060.0), Event("u", "e", "impression", 90_000.0)]
    events += [Event("u", "d", "click", 90_000.0)]
    found = make_pairs(read_log(items, events).log, None, per_user=5, rng=np.random.default_rng(0))
    assert found.target.tolist() == [1, 3] and found.refused is not None
    assert [own.tolist() for own in found.refused] == [[2], [4]], "d was taken in the end"
    assert found.select(np.array([1])).refused == [found.refused[1]]


def test_a_user_gives_no_more_pairs_than_asked_for(log: EventLog) -> None:
    few = make_pairs(log, None, per_user=1, rng=np.random.default_rng(0))
    assert len(few) <= len(log.users)


# --- the adapter -------------------------------------------------------------------------------


def test_an_untuned_adapter_is_the_plain_one(shop: Shop, pairs: Pairs) -> None:
    tower = plain_tower(shop.embeddings, shop.readable, shop.texts)
    items = item_texts(tower, shop.embeddings, shop.readable, shop.texts)
    found = tune(tower.plain, items, pairs, seed=0, epochs=0)
    assert found.adapter is tower.plain and found.epochs == 0


def test_the_epoch_that_ranks_best_is_kept(shop: Shop, pairs: Pairs) -> None:
    tower = plain_tower(shop.embeddings, shop.readable, shop.texts)
    items = item_texts(tower, shop.embeddings, shop.readable, shop.texts)
    scores = iter([0.1, 0.5, 0.3, 0.2])
    config = AdapterConfig(epochs=3, patience=10_000)
    found = tune(tower.plain, items, pairs, seed=0, validate=lambda _: next(scores), config=config)
    assert found.epochs == 1 and found.scores == (0.1, 0.5, 0.3, 0.2)
    again = tune(tower.plain, items, pairs, seed=0, epochs=1, config=config)
    assert again.adapter.turn == pytest.approx(found.adapter.turn)


def test_where_nothing_ranks_better_the_plain_vectors_stay(shop: Shop, pairs: Pairs) -> None:
    tower = plain_tower(shop.embeddings, shop.readable, shop.texts)
    items = item_texts(tower, shop.embeddings, shop.readable, shop.texts)
    config = AdapterConfig(epochs=2)
    found = tune(tower.plain, items, pairs, seed=0, validate=lambda _: 0.0, config=config)
    assert found.adapter is tower.plain and found.epochs == 0


def test_tuning_brings_together_what_is_taken_together(shop: Shop, log: EventLog) -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=shop.embeddings.shape).astype(np.float32)
    blind = replace(shop, embeddings=noise / np.linalg.norm(noise, axis=1, keepdims=True))
    tower = plain_tower(blind.embeddings, blind.readable, blind.texts)
    items = item_texts(tower, blind.embeddings, blind.readable, blind.texts)
    pairs = make_pairs(log, None, per_user=30, rng=rng)
    tuned = tune(tower.plain, items, pairs, seed=0, epochs=8).adapter

    def gap(adapter) -> float:
        vectors = adapter.combine(items.embedded, items.bag)
        likeness = vectors @ vectors.T
        return float(likeness[:20, :20].mean() - likeness[:20, 20:].mean())

    assert gap(tuned) > gap(tower.plain) + 0.05


def test_what_users_pass_by_is_told_apart_from_what_they_take(shop: Shop) -> None:
    """All take item 1 where 2 and 3 lie beside it, after item 0."""
    tower = plain_tower(shop.embeddings, shop.readable, shop.texts)
    items = item_texts(tower, shop.embeddings, shop.readable, shop.texts)
    interests = [Interests(np.array([0]), np.array([1.0]))] * 40
    target = np.tile([1, 4], 20)
    refused = [np.array([2, 3])] * 39 + [np.empty(0, np.int64)]

    def lead(pairs: Pairs) -> float:
        tuned = tune(tower.plain, items, pairs, seed=0, epochs=5).adapter
        match = tuned.match(tuned.combine(items.embedded, items.bag), interests[0])
        return float(match[[1, 4]].mean() - match[[2, 3]].mean())

    assert lead(Pairs(interests, target, refused)) > lead(Pairs(interests, target)) + 0.05


# --- the rivals --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_baseline_ranks_kinds_right_or_popular_first(
    name: str, shop: Shop, log: EventLog
) -> None:
    from scipy.sparse import csr_matrix

    scorer = baselines.fit(name, log, shop.embeddings, BaselineSettings(), seed=0)
    assert scorer is not None
    known = np.zeros((2, len(shop)), dtype=np.float32)
    known[0, [1, 2, 3]] = 1.0
    scores = scorer(csr_matrix(known))
    assert scores.shape == (2, len(shop)) and np.isfinite(scores).all()
    if "popular" not in name:
        assert scores[0, :20].mean() > scores[0, 20:].mean()
    if name != "recent_popular":
        popular = log.select(log.positive)
        counts = np.bincount(popular.item, minlength=len(shop))
        assert np.corrcoef(scores[1], counts)[0, 1] > 0.9  # a newcomer gets the popular ones


def test_ease_is_not_tried_on_a_catalogue_that_is_too_large(shop: Shop, log: EventLog) -> None:
    large = replace(log, items=20_001)
    assert baselines.fit("ease", large, shop.embeddings, BaselineSettings(), seed=0) is None


def test_a_log_without_events_has_baselines_too(shop: Shop, log: EventLog) -> None:
    from scipy.sparse import csr_matrix

    empty = log.select(np.zeros(len(log), bool))
    for name in NAMES:
        scorer = baselines.fit(name, empty, shop.embeddings, BaselineSettings(), seed=0)
        assert scorer is not None
        assert np.isfinite(scorer(csr_matrix((1, len(shop)), dtype=np.float32))).all()


def test_settings_of_baselines_survive_the_manifest() -> None:
    settings = BaselineSettings(ease_regularisation=7.0)
    assert BaselineSettings.from_json(settings.to_json()) == settings
    assert BaselineSettings.from_json({"of_a_later_version": 1}) == BaselineSettings()
    assert all(hasattr(settings, name) for name, _ in CANDIDATES.values())
