"""Does a candidate pass where it is as good, and only there?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from core.artifacts import Manifest
from core.data.readers import read_events
from core.data.records import Event
from core.errors import ModelCorrupt
from services.recommender import promotion
from services.recommender.figures import Judged, Slice
from services.recommender.learning.log import EventLog, read_log
from services.recommender.learning.parts import Effort
from services.recommender.learning.shop import Shop
from services.recommender.promotion import (
    FEWEST_USERS,
    Options,
    against_popular,
    compared,
    differences,
    later_window,
    make_candidate,
)
from tests.recommender.conftest import Files
from tests.recommender.shop import DAY, NEVER_SOLD, START, make_events, make_items, write_events

UNTIL = START + 30 * DAY
OPTIONS = Options("fast", "unused")


def later_events() -> list[Event]:
    """A second month; in it the items that were never sold are taken by many."""
    month = [replace(e, timestamp=e.timestamp + 31 * DAY) for e in make_events(seed=1)]
    # Whoever hikes takes the pack, whoever bakes the rack: text alone knows.
    of_kind = ["hiking-sun-pack", "baking-sun-rack"]
    new = [Event(f"u{n}", of_kind[n % 2], "click", START + (32 + n / 4) * DAY) for n in range(60)]
    return sorted([*make_events(), *month, *new], key=lambda event: event.timestamp)


@pytest.fixture(scope="module")
def two_months(shop: Shop) -> EventLog:
    return read_log(shop.items, later_events()).log


@pytest.fixture(scope="module")
def live(model_folder: Path) -> promotion._Judge:
    return promotion._Judge.open(model_folder, make_items(), 1)


@pytest.fixture(scope="module")
def window(live: promotion._Judge, two_months: EventLog) -> promotion.Window:
    found, _ = later_window(live.shop, two_months, UNTIL)
    assert found is not None
    return found


def judged(overall: list[float], cold: list[float]) -> Judged:
    def part(values: list[float]) -> Slice:
        return Slice({"ndcg@10": np.array(values)}, np.zeros((len(values), 10), np.int64), 5)

    slices = {name: part(cold) for name in ("cold_items", "cold_among_cold", "short_history")}
    return Judged(part(overall), slices)


def objections(mine: Judged, theirs: Judged) -> list[str]:
    return differences(mine, theirs, np.random.default_rng(0))[0]


# --- the decision --------------------------------------------------------------------------------


def test_what_is_chance_is_not_held_against_it() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.random(200).tolist() for _ in range(2))
    assert objections(judged(a, a), judged(b, b)) == []
    assert objections(judged(a, a), judged(a, a)) == []


def test_worse_over_all_is_refused_with_both_figures() -> None:
    good, bad = [0.5] * 30, [0.25, 0.3] * 15
    [reason] = objections(judged(bad, good), judged(good, good))
    assert reason.startswith("overall: NDCG@10 is 0.2750, the live model's 0.5000")
    assert objections(judged(good, good), judged(bad, good)) == []


def test_worse_on_new_items_is_refused_though_the_whole_is_better() -> None:
    good, bad = [0.5] * 30, [0.2] * 30
    reasons = objections(judged(good, bad), judged(bad, good))
    assert [reason.split(":")[0] for reason in reasons] == ["cold items", "cold among cold"]


def test_a_few_users_of_new_items_decide_nothing_and_are_shown() -> None:
    few = FEWEST_USERS - 1
    reasons, told = differences(
        judged([0.5] * 30, [0.0] * few), judged([0.5] * 30, [1.0] * few), np.random.default_rng(0)
    )
    assert reasons == []
    assert told["cold_items"] == {
        "users": few, "ndcg@10": -1.0, "ndcg@10_ci": [-1.0, -1.0], "decides": False
    }  # fmt: skip


def test_nobody_with_a_new_item_is_told_and_not_made_up() -> None:
    _, told = differences(judged([0.5], []), judged([0.5], []), np.random.default_rng(0))
    assert told["cold_items"]["ndcg@10"] is None and told["cold_items"]["ndcg@10_ci"] is None


# --- the first model -----------------------------------------------------------------------------


def first(gain: list[float] | None, metrics: bool = True) -> list[str]:
    baselines = {"popular": {"ndcg@10": 0.1}, "recent_popular": {"ndcg@10": 0.2}}
    over = {"ndcg@10": 0.0, "ndcg@10_ci": gain}
    worse = {"ndcg@10": -1.0, "ndcg@10_ci": [-2.0, -1.0]}
    held = {
        "ndcg@10": 0.15,
        "baselines": baselines,
        "gain_over": {"recent_popular": over, "popular": worse},
    }
    settings = {"learnt": {"rung": "frozen", "why": "the log is too short"}}
    manifest = Manifest("recommender", "", "", "", "", held if metrics else {}, settings)
    return list(against_popular(manifest).reasons)


def test_the_first_model_must_not_be_worse_than_the_better_of_the_popular_ones() -> None:
    assert first([-0.1, 0.01]) == []
    [reason] = first([-0.1, -0.01])
    assert "0.1500, that of recent_popular 0.2000" in reason


def test_a_first_model_whose_weights_were_set_beforehand_has_nothing_to_prove() -> None:
    assert first(None, metrics=False) == []


# --- who judges ----------------------------------------------------------------------------------


def test_those_who_judge_come_after_both_trainings(
    live: promotion._Judge, two_months: EventLog, window: promotion.Window
) -> None:
    assert window.start > UNTIL
    assert window.before.time.max() < window.start
    assert window.before.time.max() > UNTIL, "part of what is new may be learned from"
    late = float(np.quantile(two_months.time, 0.93))
    shorter, _ = later_window(live.shop, two_months, late)
    assert shorter is not None and shorter.start == np.nextafter(late, np.inf)


def test_too_few_later_users_are_told(live: promotion._Judge, two_months: EventLog) -> None:
    for until in (two_months.time[-1], two_months.time[-1] + DAY):
        found, why = later_window(live.shop, two_months, float(until))
        assert found is None and why.startswith("nothing happened after")
    found, why = later_window(live.shop, two_months, float(two_months.time[-5]))
    assert found is None and f"{FEWEST_USERS} are needed" in why


def test_a_log_that_ends_where_the_live_model_ends_is_not_trained_on(
    model_folder: Path, shop_files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("nothing to judge by, so nothing to train")

    monkeypatch.setattr(promotion, "_train", never)
    verdict = make_candidate(
        shop_files.items,
        shop_files.events,
        tmp_path / "model",
        OPTIONS,
        live=model_folder,
        live_until=UNTIL,
    )
    assert "nothing happened after" in verdict.reasons[0]
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("passes", [True, False])
def test_what_goes_live_is_trained_on_the_whole_log_after_a_part_of_it_was_judged(
    passes: bool,
    model_folder: Path,
    shop_files: Files,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained: list[list[float]] = []

    def copied(items: Path, events: Path, output: Path, *_: object) -> None:
        trained.append([event.timestamp for event in read_events(events)])
        copytree(model_folder, output)

    verdict = promotion.Verdict(() if passes else ("it is worse",), {"judged_from": UNTIL})
    monkeypatch.setattr(promotion, "_train", copied)
    monkeypatch.setattr(promotion, "compared", lambda *_: verdict)
    log = write_events(tmp_path / "two-months.csv", later_events())
    output = tmp_path / "model"
    told = make_candidate(
        shop_files.items, log, output, OPTIONS, live=model_folder, live_until=UNTIL
    )
    assert told is verdict and (output / "manifest.json").is_file()
    assert UNTIL < max(trained[0]) < max(e.timestamp for e in later_events())
    assert [len(times) for times in trained[1:]] == ([len(later_events())] if passes else [])


def test_a_live_model_of_an_earlier_program_has_no_place_to_defend(
    model_folder: Path, shop_files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copied(items: Path, events: Path, output: Path, *_: object) -> None:
        copytree(model_folder, output)

    monkeypatch.setattr(promotion, "_train", copied)
    old = copytree(model_folder, tmp_path / "old")
    (old / "items.json").write_text("{}")
    files = (shop_files.items, shop_files.events, tmp_path / "model", OPTIONS)
    verdict = make_candidate(*files, live=old, live_until=UNTIL)
    assert verdict.figures["compared"] in ("with popular", "with recent_popular")
    (old / "items.json").unlink()
    with pytest.raises(ModelCorrupt, match=r"items\.json"):
        make_candidate(*files, live=old, live_until=UNTIL)


# --- two models on the same users ----------------------------------------------------------------


def test_a_model_is_not_worse_than_itself_and_the_usual_methods_stand_beside(
    live: promotion._Judge, window: promotion.Window
) -> None:
    verdict = compared(live, live, window, Effort(threads=1))
    assert verdict.reasons == ()
    figures = verdict.figures
    assert figures["difference"]["overall"]["ndcg@10"] == 0.0
    assert figures["users"] == len(window) >= FEWEST_USERS
    assert {"popular", "recent_popular", "item_knn", "ease", "ials", "frozen_text"} <= set(
        figures["baselines"]
    )
    assert figures["candidate"]["ndcg@10_ci"] and figures["live"]["slices"]["cold_items"]
    assert set(live.model.seen).isdisjoint(NEVER_SOLD)


def test_a_model_that_ranks_the_wrong_way_round_is_refused(
    live: promotion._Judge, window: promotion.Window
) -> None:
    upside_down = replace(live.model.ranker, weights=-live.model.ranker.weights)
    worse = replace(live, model=replace(live.model, ranker=upside_down))
    assert compared(live, worse, window, Effort(threads=1)).reasons[0].startswith("overall")
    assert compared(worse, live, window, Effort(threads=1)).reasons == ()
