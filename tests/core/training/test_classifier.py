"""Do both presets end in one kind of artefact that serves what training promised?"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.artifacts import read_manifest, verify
from core.data.records import LabeledText
from core.errors import DataError, ModelCorrupt, ModelNotFound
from core.evaluation import open_set_scores
from core.evaluation.classification import accuracy, macro_f1
from core.inference import quantize
from core.inference.classifier import TextClassifier
from core.inference.encoder import TextEncoder
from core.inference.export import export_base_encoder
from core.inference.heads import LinearHead
from core.inference.ngrams import featurize
from core.training import classifier as module
from core.training import finetune
from core.training.classifier import Extra, train_classifier

Train = Callable[..., SimpleNamespace]
Label = Callable[..., list[LabeledText]]

ENGLISH = [
    ("where is my order", "order"),
    ("when will my order arrive", "order"),
    ("my order did not arrive", "order"),
    ("i want my money back", "refund"),
    ("give the money back now", "refund"),
    ("money back please", "refund"),
]


def serve(trained: SimpleNamespace) -> TextClassifier:
    """Load the artefact as a server does."""
    settings = read_manifest(trained.folder).settings["classifier"]
    return TextClassifier.load(trained.folder, settings, threads=1)


def texts_of(trained: SimpleNamespace) -> list[str]:
    return [row.text for row in trained.rows]


def intents_of(trained: SimpleNamespace) -> list[str]:
    return [row.labels["intent"] for row in trained.rows]


# --- one artefact --------------------------------------------------------------------------------


def test_every_preset_writes_the_same_files(trained: SimpleNamespace) -> None:
    journal = {"training.jsonl"}  # where something was tuned
    assert set(verify(trained.folder, kind="test").files) - journal == {
        *("encoder/encoder.json", "encoder/model.onnx", "encoder/tokenizer.json"),
        *("heads.safetensors", "open_set.safetensors"),
    }


def test_both_presets_say_the_same_things_of_themselves(
    trained_fast: SimpleNamespace, trained_accurate: SimpleNamespace
) -> None:
    fast, accurate = (t.result for t in (trained_fast, trained_accurate))
    assert (fast.settings["preset"], accurate.settings["preset"]) == ("fast", "accurate")
    assert fast.settings.keys() == accurate.settings.keys()
    for part in ("heads", "choices"):
        assert fast.settings[part]["intent"].keys() == accurate.settings[part]["intent"].keys()
    for part in ("open_set", "precision"):
        assert fast.settings[part].keys() == accurate.settings[part].keys()
    assert fast.metrics["intent"].keys() == accurate.metrics["intent"].keys()
    assert fast.data_sha256 == accurate.data_sha256


def test_the_history_of_tuning_is_kept(trained_accurate: SimpleNamespace) -> None:
    tuning = trained_accurate.result.settings["tuning"]
    assert tuning["config"]["epochs"] == 2
    assert [entry["epoch"] for entry in tuning["history"]] == [0, 1, 2]
    assert 0 <= tuning["best_epoch"] <= 2


def test_the_precision_and_why_it_was_chosen_are_in_the_manifest(trained: SimpleNamespace) -> None:
    said = read_manifest(trained.folder).settings["classifier"]["precision"]
    assert said["chosen"] == "fp32"
    assert "200 are needed" in said["reason"]
    assert 0 < said["texts"] <= 54, "only what the encoder can read judges its precision"


# --- what is served is what was learnt -----------------------------------------------------------


def test_a_loaded_model_predicts_what_the_trained_heads_predicted_in_memory(
    train: Train, shop_rows: list[LabeledText], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, Any] = {}
    save = module.save_heads

    def keep(heads: list[LinearHead], idf: np.ndarray, path: Path) -> None:
        kept.update(heads=heads, idf=idf)
        save(heads, idf, path)

    monkeypatch.setattr(module, "save_heads", keep)
    trained = train(shop_rows, "fast")
    texts = [*texts_of(trained), "an unseen question about money", "退款", "", "\ud83d"]
    encoded = TextEncoder.load(trained.folder / "encoder", threads=1).encode(texts)
    [head] = kept["heads"]
    expected = head.predict(encoded.embeddings, featurize(texts, kept["idf"]), encoded.readable)
    served = serve(trained).predict(texts).heads["intent"]
    assert served.best_labels == expected.best_labels
    # The n-gram weights are stored in half precision.
    np.testing.assert_allclose(served.probabilities, expected.probabilities, atol=2e-3)


def test_the_tuned_encoder_is_the_one_that_is_served_and_judged(
    train: Train,
    shop_rows: list[LabeledText],
    trained_fast: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The final head is that of the only fold, so the held-out figures must be the served ones."""
    scores = iter([0.1, 0.2, 0.3])
    monkeypatch.setattr(finetune, "_score", lambda *said: next(scores))
    monkeypatch.setattr(module, "_REFIT_BELOW", 0)
    # So fast that the frozen embeddings would give clearly other figures.
    trained = train(shop_rows, "accurate", learning_rate=1e-2)
    assert trained.result.settings["tuning"]["best_epoch"] == 2
    classifier = serve(trained)
    assert classifier.encoder.encoder_id != serve(trained_fast).encoder.encoder_id
    held_out = trained.result.held_out["intent"]
    served = classifier.predict([shop_rows[row].text for row in held_out.rows]).heads["intent"]
    np.testing.assert_allclose(served.probabilities, held_out.probabilities, atol=2e-3)


def test_of_few_rows_the_encoder_is_tuned_once_more_on_all_of_them(
    train: Train, shop_rows: list[LabeledText], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is served has seen every row; the figures are of the model before, which had not."""
    scores = iter([0.1, 0.2, 0.3])
    seen: list[int] = []
    tune = module.fine_tune

    def fine_tune(*given: Any, **options: Any) -> Any:
        fold = given[5]
        seen.append(len(fold.train))
        if len(fold.held_out):
            monkeypatch.setattr(finetune, "_score", lambda *said: next(scores))
        return tune(*given, **options)

    monkeypatch.setattr(module, "fine_tune", fine_tune)
    trained = train(shop_rows, "accurate", learning_rate=1e-3)
    held_out = trained.result.held_out["intent"]
    assert seen == [len(shop_rows) - len(held_out.rows), len(shop_rows)]
    served = serve(trained).predict([shop_rows[row].text for row in held_out.rows]).in_scope
    assert not np.allclose(served, held_out.in_scope, atol=1e-2), "another model than was judged"


def test_where_int8_is_chosen_it_is_what_is_served_compared_with_and_judged(
    train: Train,
    shop_rows: list[LabeledText],
    trained_fast: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, lenient in (("MIN_TEXTS", 10), ("MIN_AGREEMENT", 0.0), ("MAX_ACCURACY_LOSS", 1.0)):
        monkeypatch.setattr(quantize, name, lenient)
    trained = train(shop_rows, "fast")
    assert trained.result.settings["precision"]["chosen"] == "int8"
    classifier = serve(trained)
    assert classifier.encoder.config.precision == "int8"
    readable = [row.text for row in shop_rows if row.text.isascii()]
    in_int8, in_fp32 = (
        model.encoder.encode(readable).embeddings for model in (classifier, serve(trained_fast))
    )
    np.testing.assert_allclose(classifier._open_set.model.reference, in_int8, atol=1e-3)
    assert np.abs(classifier._open_set.model.reference - in_fp32).max() > 5e-3
    held_out, before = (t.result.held_out["intent"] for t in (trained, trained_fast))
    assert not np.allclose(held_out.in_scope, before.in_scope, atol=1e-3)


def test_training_rows_are_recognised_in_both_languages(trained: SimpleNamespace) -> None:
    served = serve(trained).predict(texts_of(trained)).heads["intent"]
    right = np.array(served.best_labels) == np.array(intents_of(trained))
    chinese = np.array([not row.text.isascii() for row in trained.rows])
    assert right[~chinese].mean() > 0.9
    assert right[chinese].mean() > 0.9


def test_a_text_gives_the_same_answer_alone_and_in_a_crowd(trained: SimpleNamespace) -> None:
    classifier = serve(trained)
    texts = [*texts_of(trained)[::7], "退款", "", "word " * 500]
    together = classifier.predict(texts)
    for row, text in enumerate(texts):
        alone = classifier.predict([text])
        np.testing.assert_allclose(
            alone.heads["intent"].logits[0], together.heads["intent"].logits[row], atol=1e-4
        )
        assert alone.in_scope[0] == pytest.approx(together.in_scope[row], abs=1e-3)


def test_no_texts_give_no_predictions(trained: SimpleNamespace) -> None:
    predictions = serve(trained).predict([])
    assert predictions.heads["intent"].probabilities.shape == (0, 3)
    assert predictions.in_scope.shape == (0,)


@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "🎧" * 50, "x" * 1_000_000, "\ud83d", "مرحبا", "<script>", "{}"]
)
def test_any_text_gets_a_finite_answer(trained: SimpleNamespace, text: str) -> None:
    predictions = serve(trained).predict([text])
    assert np.isfinite(predictions.heads["intent"].probabilities).all()
    assert np.isfinite(predictions.in_scope).all()


def test_tokens_may_be_made_before(trained: SimpleNamespace) -> None:
    classifier = serve(trained)
    texts = ["where is my order", "退款"]
    np.testing.assert_array_equal(
        classifier.predict(texts, classifier.tokenize(texts)).heads["intent"].logits,
        classifier.predict(texts).heads["intent"].logits,
    )


def test_serving_a_trained_model_imports_no_training_library(
    trained: SimpleNamespace, run_python: Callable[..., str]
) -> None:
    heavy = ("torch", "transformers", "sklearn", "scipy", "onnx")
    code = f"""
import sys
from pathlib import Path
from core.artifacts import verify
from core.inference.classifier import TextClassifier
folder = Path({str(trained.folder)!r})
settings = verify(folder).settings["classifier"]
TextClassifier.load(folder, settings, threads=1).predict(["where is my order"])
print([name for name in {heavy!r} if name in sys.modules])
"""
    assert run_python(code) == "[]"


# --- the out-of-scope score ----------------------------------------------------------------------


def test_the_score_of_held_out_rows_is_centred_as_it_will_be_served(
    trained_fast: SimpleNamespace,
) -> None:
    scores = trained_fast.result.held_out["intent"].in_scope
    assert np.isfinite(scores).all()
    assert abs(scores[np.isfinite(scores)].mean()) < 1.0
    served = serve(trained_fast).predict(texts_of(trained_fast)).in_scope
    assert served.mean() > scores.mean(), "trained rows look more familiar than held-out ones"


def test_an_unreadable_texts_score_does_not_depend_on_its_neighbours(
    trained_fast: SimpleNamespace,
) -> None:
    classifier = serve(trained_fast)
    before = classifier.predict(["退款要多久", "where is my order"]).in_scope
    known = classifier._open_set.model
    classifier._open_set = replace(
        classifier._open_set, model=replace(known, reference=-known.reference)
    )
    after = classifier.predict(["退款要多久", "where is my order"]).in_scope
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_the_reference_holds_only_rows_that_the_encoder_can_read(
    trained: SimpleNamespace,
) -> None:
    assert serve(trained)._open_set.model.reference.shape == (54, 32)


def test_a_reference_of_many_rows_is_a_random_part_of_them(
    train: Train, shop_rows: list[LabeledText], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_set_scores, "MAX_REFERENCE", 20)
    trained = train(shop_rows, "fast")
    classifier = serve(trained)
    reference = classifier._open_set.model.reference
    assert len(reference) == 20
    english = [row.text for row in trained.rows if row.text.isascii()]
    near = classifier.encoder.encode(english).embeddings @ reference.T
    of_each = [int((near[start : start + 18] > 0.999).any(axis=1).sum()) for start in (0, 18, 36)]
    assert all(of_each), "not the first 20 of a file that is sorted by intent"


# --- honest figures ------------------------------------------------------------------------------


def test_every_labelled_row_is_judged_once_by_a_model_that_did_not_see_it(
    trained_fast: SimpleNamespace,
) -> None:
    held_out = trained_fast.result.held_out["intent"]
    assert sorted(held_out.rows) == list(range(66))
    names = np.array(held_out.classes)[held_out.labels]
    assert names.tolist() == [intents_of(trained_fast)[row] for row in held_out.rows]


def test_the_figures_are_those_of_held_out_rows(trained: SimpleNamespace) -> None:
    held_out = trained.result.held_out["intent"]
    best = held_out.probabilities.argmax(axis=1)
    said = read_manifest(trained.folder).metrics["intent"]
    assert said["rows"] == len(held_out.rows)
    assert said["accuracy"] == accuracy(held_out.labels, best)
    assert said["macro_f1"] == macro_f1(held_out.labels, best)
    low, high = said["accuracy_ci"]
    assert 0 <= low <= said["accuracy"] <= high <= 1


def test_labels_drawn_at_random_get_the_figures_of_chance(train: Train, label: Label) -> None:
    rng = np.random.default_rng(3)
    pairs = [(f"my order {i} {i * 37}", "ab"[rng.integers(2)]) for i in range(120)]
    assert train(label(pairs)).result.metrics["intent"]["accuracy"] < 0.65


# --- the same again ------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["fast", "accurate"])
def test_the_same_seed_gives_the_same_model(train: Train, label: Label, preset: str) -> None:
    rows = label(ENGLISH * 3)
    first, second = (read_manifest(train(rows, preset, epochs=1).folder) for _ in range(2))
    for name in ("heads.safetensors", "open_set.safetensors", "encoder/encoder.json"):
        assert first.files[name] == second.files[name]
    assert first.metrics == second.metrics
    assert first.data_sha256 == second.data_sha256


# --- odd data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["fast", "accurate"])
@pytest.mark.parametrize(
    ("count", "reason"), [(0, "found none"), (1, "found only"), (2, "2 rows are too few")]
)
def test_too_few_rows_are_refused_with_the_mend(
    train: Train, label: Label, preset: str, count: int, reason: str
) -> None:
    rows = label([("where is my order", "order"), ("money back", "refund")][:count])
    with pytest.raises(DataError, match=reason) as refused:
        train(rows, preset)
    assert refused.value.mend


def test_a_single_class_is_refused_before_a_model_is_loaded(label: Label, tmp_path: Path) -> None:
    rows = label([("a", "order")] * 50)
    with pytest.raises(DataError, match="at least 2 different labels") as refused:
        train_classifier(rows, ["intent"], folder=tmp_path, base_model="/no/such/model")
    assert refused.value.mend == "Add rows of another class."


def test_a_base_model_that_is_not_there_is_told(label: Label, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="/no/such/model"):
        train_classifier(label(ENGLISH), ["intent"], folder=tmp_path, base_model="/no/such/model")


@pytest.mark.parametrize("preset", ["fast", "accurate"])
def test_a_class_of_one_row_is_learnt_too(train: Train, label: Label, preset: str) -> None:
    rows = label([*ENGLISH * 3, ("a light jacket for hiking", "weather")])
    trained = train(rows, preset)
    served = serve(trained).predict(["a light jacket for hiking"]).heads["intent"]
    assert "weather" in served.labels
    if preset == "fast":
        assert served.best_labels == ["weather"]


@pytest.mark.parametrize("preset", ["fast", "accurate"])
def test_three_rows_are_enough_to_get_a_model(train: Train, label: Label, preset: str) -> None:
    trained = train(label([ENGLISH[0], ENGLISH[1], ENGLISH[3]]), preset)
    assert serve(trained).predict(["order"]).heads["intent"].labels == ("order", "refund")


@pytest.mark.parametrize("preset", ["fast", "accurate"])
def test_rows_may_lack_a_label_for_one_of_two_heads(
    train: Train, label: Label, preset: str
) -> None:
    topics = [("shares of the oil company", "oil"), ("the bank cuts its forecast", "banks")]
    rows = [
        *label(ENGLISH * 3),
        *label([(f"{t} {i}", of) for i in range(9) for t, of in topics], "topic"),
    ]
    trained = train(rows, preset, "intent", "topic")
    for name in ("intent", "topic"):
        judged = trained.result.held_out[name].rows.tolist()
        assert all(name in rows[row].labels for row in judged)
        assert len(judged) == 18 if preset == "fast" else 0 < len(judged) < 9
    predictions = serve(trained).predict(["money back please", topics[0][0]])
    assert predictions.heads["topic"].best_labels[1] == "oil"
    assert predictions.heads["intent"].best_labels[0] == "refund"


@pytest.mark.parametrize("order", [("intent", "topic"), ("topic", "intent")])
def test_a_head_of_which_no_row_could_be_held_out_has_no_figures(
    train: Train, label: Label, order: tuple[str, str]
) -> None:
    topics = label([("the oil company", "oil"), ("the bank", "banks")], "topic")
    trained = train([*label(ENGLISH * 3), *topics], "fast", *order)
    assert trained.result.metrics["intent"]["rows"] > 0
    assert trained.result.metrics["topic"] == {
        **{"rows": 0, "accuracy": None, "accuracy_ci": None},
        **{"macro_f1": None, "ece": None},
    }
    predictions = serve(trained).predict(["the oil company"])
    assert predictions.heads["topic"].best_labels == ["oil"]
    assert np.isfinite(predictions.in_scope).all()


@pytest.mark.parametrize("preset", ["fast", "accurate"])
def test_rows_that_the_encoder_cannot_read_at_all_are_learnt_by_their_n_grams(
    train: Train, label: Label, preset: str
) -> None:
    words = {
        "order": ("订单在哪", "订单到了没", "查订单"),
        "refund": ("要退款", "怎么退款", "退款多久"),
    }
    pairs = [
        (f"{text}{tail}", of) for of, ts in words.items() for text in ts for tail in "吗呢啊吧"
    ]
    trained = train(label(pairs), preset)
    assert trained.result.metrics["intent"]["accuracy"] > 0.9
    predictions = serve(trained).predict(["我的订单呢", "我想退款", "where is my order"])
    assert predictions.heads["intent"].best_labels[:2] == ["order", "refund"]
    assert predictions.encoded.readable.tolist() == [False, False, True]
    assert np.isfinite(predictions.in_scope).all()


def test_rows_of_any_characters_can_be_trained_on(train: Train, label: Label) -> None:
    odd = ["", "\x00", "\ud83d", "🎧", "x" * 100_000, "<b>", "مرحبا"]
    rows = label([*ENGLISH * 2, *((text, "odd") for text in odd)])
    trained = train(rows)
    assert np.isfinite(serve(trained).predict(odd).heads["intent"].probabilities).all()


# --- broken artefacts ----------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["heads.safetensors", "open_set.safetensors"])
def test_a_file_that_is_missing_when_serving_is_named(
    trained_fast: SimpleNamespace, tmp_path: Path, file: str
) -> None:
    folder = Path(shutil.copytree(trained_fast.folder, tmp_path / "model"))
    (folder / file).unlink()
    settings = read_manifest(folder).settings["classifier"]
    with pytest.raises(ModelCorrupt, match=file):
        TextClassifier.load(folder, settings)


# --- the real one --------------------------------------------------------------------------------


def test_the_bundled_model_learns_a_small_task(label: Label, tmp_path: Path) -> None:
    intents = {
        "refund": [
            *("i want my money back", "how do i get a refund", "please reimburse me"),
            *("return the amount to my card", "can i be refunded for this", "refund my purchase"),
            *("the item is faulty and i expect my money", "send back what i paid"),
            *("when will my refund arrive", "i would like to be paid back"),
        ],
        "delivery": [
            *("where is my parcel", "when will my order arrive", "track my shipment"),
            *("has my package been sent", "the courier has not come", "delivery is late"),
            *("how long does shipping take", "my box is still not here"),
            *("which day will it be delivered", "the tracking page shows nothing"),
        ],
    }
    rows = label([(text, intent) for intent, texts in intents.items() for text in texts])
    result = train_classifier(rows, ["intent"], folder=tmp_path / "model", threads=1)
    assert result.metrics["intent"]["accuracy"] >= 0.9
    classifier = TextClassifier.load(tmp_path / "model", result.settings, threads=1)
    unseen = ["give me back the cash", "my delivery did not show up"]
    assert classifier.predict(unseen).heads["intent"].best_labels == ["refund", "delivery"]


def test_the_frozen_base_model_can_be_exported_for_search(
    tiny_base_model: Path, tmp_path: Path
) -> None:
    config = export_base_encoder(tmp_path / "search", str(tiny_base_model))
    encoder = TextEncoder.load(tmp_path / "search", threads=1)
    assert encoder.encoder_id == config.encoder_id
    assert encoder.encode(["order"]).embeddings.shape == (1, 32)


def test_the_name_of_a_label_teaches_words_that_no_text_has(
    train: Train, shop_rows: list[LabeledText]
) -> None:
    names = {"order": "parcel_whereabouts", "refund": "reimbursement", "weather": "forecast"}
    rows = [replace(row, labels={"intent": names[row.labels["intent"]]}) for row in shop_rows]
    plain, named = train(rows), train(rows, extra=Extra(label_names=True))
    assert (plain.result.settings["label_names"], named.result.settings["label_names"]) == (
        False,
        True,
    )
    found = {}
    for which, trained in (("plain", plain), ("named", named)):
        settings = read_manifest(trained.folder).settings["classifier"]
        model = TextClassifier.load(trained.folder, settings, threads=1)
        found[which] = model.predict(["reimbursement", "forecast"]).heads["intent"].best_labels
    assert found["named"] == ["reimbursement", "forecast"] != found["plain"]
    judged = [t.result.metrics["intent"]["rows"] for t in (plain, named)]
    assert judged[0] == judged[1], "names are never judged"
