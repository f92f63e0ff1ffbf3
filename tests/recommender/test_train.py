"""From files to an artefact, and from an artefact to figures."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.artifacts import read_manifest, verify
from core.data.records import Event, Item
from core.errors import ArtifactCorrupt, ArtifactError, DataError
from services.gate import headline
from services.recommender.baselines import NAMES
from services.recommender.evaluate import evaluate
from services.recommender.figures import METRICS, SLICES
from services.recommender.learning import encoder as tuning
from services.recommender.model import load_encoder, load_model
from services.recommender.rankers import PARTS, SIGNALS
from services.recommender.train import summary, train
from tests.recommender.conftest import Files
from tests.recommender.shop import (
    DAY,
    NEVER_SOLD,
    START,
    make_events,
    make_items,
    write_events,
    write_items,
)


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the same people did in the month after, the new items among it."""
    events = [replace(e, timestamp=e.timestamp + 31 * DAY) for e in make_events(seed=1)]
    new = [
        Event(f"u{n}", item, "click", START + 40 * DAY)
        for n, item in enumerate(["hiking-sun-pack", "baking-sun-rack"] * 10)
    ]
    stranger = Event("nobody", "hiking-sun-map", "click", START + 41 * DAY)
    return write_events(tmp_path_factory.mktemp("later") / "later.csv", [*events, *new, stranger])


@pytest.fixture(scope="module")
def figures(model_folder: Path, shop_files: Files, later: Path) -> dict:
    return evaluate(model_folder, shop_files.items, shop_files.events, later, threads=1)


# --- training ----------------------------------------------------------------------------------


def test_the_artefact_is_whole_and_of_its_kind(model_folder: Path) -> None:
    assert verify(model_folder, kind="recommender").metrics["users"] > 20


def test_the_gate_finds_its_headline(model_folder: Path) -> None:
    figure = headline(read_manifest(model_folder).metrics)
    assert figure is not None and figure.name == "ndcg@10"
    assert figure.low < figure.value < figure.high


def test_the_manifest_says_what_entered_with_which_weight_and_why(model_folder: Path) -> None:
    settings = read_manifest(model_folder).settings
    assert list(settings["ranker"]["signals"]) == list(SIGNALS)
    learnt = settings["learnt"]
    assert learnt["rung"] in ("frozen", "adapter") and learnt["why"]
    assert {"all", *PARTS} == set(learnt["ndcg@10_without"])
    assert "takes" in settings["p_interest"]["meaning"]
    assert set(read_manifest(model_folder).metrics["baselines"]) == set(NAMES)


def test_p_interest_is_judged_on_what_users_saw(model_folder: Path) -> None:
    told = read_manifest(model_folder).metrics["p_interest"]
    assert told["pairs"] > 20 and 0 < told["mean_predicted"] < 1
    assert 0 <= told["ece"] <= 1 and 0 <= told["brier"] <= 1


def test_the_model_loads_as_it_was_saved(model_folder: Path) -> None:
    model = load_model(model_folder)
    assert len(model.prepared) == 40 and model.version == read_manifest(model_folder).identity
    assert set(model.seen) == {i.item_id for i in make_items()} - NEVER_SOLD
    encoder = load_encoder(model_folder, 1)
    assert encoder.dimensions == model.tower.basis.shape[0]


@pytest.mark.usefixtures("exported")
def test_the_same_seed_gives_the_same_model(
    model_folder: Path, shop_files: Files, tiny_base_model: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    base = str(tiny_base_model)
    train(shop_files.items, shop_files.events, again, base_model=base, threads=1)
    first, second = load_model(model_folder), load_model(again)
    assert second.ranker.weights == pytest.approx(first.ranker.weights, abs=1e-4)
    assert second.tower.learnt.turn == pytest.approx(first.tower.learnt.turn, abs=1e-5)


@pytest.mark.usefixtures("exported")
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_a_log_that_is_too_short_gives_a_model_that_says_so(
    rows: int, tiny_base_model: Path, tmp_path: Path
) -> None:
    items = write_items(tmp_path / "i.csv", make_items()[:3])
    known = {item.item_id for item in make_items()[:3]}
    log = make_events(users=10)
    events = write_events(tmp_path / "e.csv", [e for e in log if e.item_id in known][:rows])
    model = tmp_path / "model"
    metrics = train(items, events, model, base_model=str(tiny_base_model), threads=1)
    assert metrics == {}
    assert read_manifest(model).settings["learnt"]["rung"] == "frozen"
    assert "too short" in summary(metrics)[0]
    found = evaluate(model, items, events, write_events(tmp_path / "t.csv", log))
    assert found["users"] > 0 and found["ndcg@10"] is not None


def test_the_accurate_preset_ends_in_the_same_artefact(
    shop_files: Files,
    tiny_base_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    short_log: list[Event],
) -> None:
    events = write_events(tmp_path / "e.csv", short_log)
    monkeypatch.setattr(tuning, "_MAX_TEXTS", 256)
    model, base = tmp_path / "model", str(tiny_base_model)
    train(shop_files.items, events, model, preset="accurate", base_model=base, threads=1)
    manifest = verify(model, kind="recommender")
    assert manifest.settings["preset"] == "accurate"
    assert manifest.settings["learnt"]["rung"] in (
        "frozen",
        "adapter",
        "top_layers",
        "all_layers",
    )
    assert load_model(model).tower.basis.shape[0] == load_encoder(model, 1).dimensions


def test_a_missing_column_is_named_with_what_was_found(
    shop_files: Files, tiny_base_model: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "items.csv"
    bad.write_text("id,name\n1,x\n", encoding="utf-8")
    with pytest.raises(DataError, match="item_id"):
        train(bad, shop_files.events, tmp_path / "model", base_model=str(tiny_base_model))
    assert not (tmp_path / "model").exists()


# --- evaluating --------------------------------------------------------------------------------


def test_every_key_of_the_contract_is_there(figures: dict) -> None:
    for part in (figures, *figures["baselines"].values()):
        for one in (part, *(part["slices"][name] for name in SLICES)):
            assert {"users", "coverage", "ild", *METRICS} <= set(one)
            assert {f"{name}_ci" for name in METRICS} <= set(one)
    assert tuple(figures["baselines"]) == NAMES
    json.dumps(figures, allow_nan=False)


def test_it_ranks_better_than_popularity_and_finds_new_items_by_their_text(figures: dict) -> None:
    assert figures["ndcg@10"] > figures["baselines"]["popular"]["ndcg@10"]
    assert figures["gain_over"]["popular"]["ndcg@10_ci"][0] > 0
    among = figures["slices"]["cold_among_cold"]
    assert among["users"] == 20 and among["mrr"] > 0.9


def test_users_without_a_history_are_asked_about_too(figures: dict) -> None:
    assert figures["slices"]["short_history"]["users"] >= 1


def test_repeats_count_when_they_are_allowed(
    model_folder: Path, shop_files: Files, later: Path, figures: dict
) -> None:
    found = evaluate(
        model_folder, shop_files.items, shop_files.events, later, allow_repeats=True, threads=1
    )
    assert found["users"] >= figures["users"] and found["ndcg@10"] != figures["ndcg@10"]


def test_an_empty_history_is_a_shop_of_strangers(
    model_folder: Path, shop_files: Files, tmp_path: Path
) -> None:
    later = write_events(tmp_path / "later.csv", make_events(users=10))
    history = write_events(tmp_path / "none.csv", [])
    found = evaluate(model_folder, shop_files.items, history, later, threads=1)
    assert found["slices"]["short_history"]["users"] == found["users"] > 0


def test_items_that_training_never_saw_are_encoded_and_ranked(
    model_folder: Path, shop_files: Files, tmp_path: Path
) -> None:
    more = [*make_items(), Item("brand-new", "tent for hiking in the fog", tags=("hiking",))]
    items = write_items(tmp_path / "more.csv", more)
    later = write_events(tmp_path / "l.csv", [Event("u0", "brand-new", "click", START + 40 * DAY)])
    found = evaluate(model_folder, items, shop_files.events, later, threads=1)
    assert found["slices"]["cold_items"]["users"] == 1


def test_a_model_of_another_kind_or_an_edited_one_is_refused(
    model_folder: Path, shop_files: Files, later: Path, tmp_path: Path
) -> None:
    edited = tmp_path / "edited"
    shutil.copytree(model_folder, edited)
    (edited / "items.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ArtifactCorrupt, match=r"items\.json"):
        evaluate(edited, shop_files.items, shop_files.events, later)
    shutil.copytree(model_folder, tmp_path / "other")
    path = tmp_path / "other" / "manifest.json"
    text = path.read_text(encoding="utf-8").replace('"recommender"', '"finance_sentiment"')
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match="expected recommender"):
        evaluate(tmp_path / "other", shop_files.items, shop_files.events, later)


def test_the_summary_names_every_rival(figures: dict) -> None:
    text = "\n".join(summary(figures))
    assert all(name in text for name in NAMES)
    assert np.isfinite(figures["ndcg@10"])
