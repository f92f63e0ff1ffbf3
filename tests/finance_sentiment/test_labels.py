"""Is readable text labelled by the served model, and unreadable text left alone?"""

from __future__ import annotations

import numpy as np
import pytest

from services.finance_sentiment.labels import Labeler
from services.finance_sentiment.train import UNREADABLE_RISK, least_confidence

NEWS = "bank oslo hit by losses as bad loans rise and deposits flee"


def test_a_story_gets_both_labels_and_the_model_version(labeler: Labeler) -> None:
    [label] = labeler.label([NEWS])
    assert (label.sentiment, label.topic, label.state) == ("negative", "banking", "labelled")
    assert label.model_version == labeler.version
    assert label.p_negative is not None and label.p_neutral is not None
    assert label.p_positive is not None
    assert label.p_negative + label.p_neutral + label.p_positive == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "text", ["净利润同比增长四成", "Щось незрозуміле", "", "!!!", "🚀🚀🚀", "\x00"]
)
def test_text_that_the_model_cannot_read_is_never_guessed(labeler: Labeler, text: str) -> None:
    [label] = labeler.label([text])
    assert (label.sentiment, label.topic, label.state) == (None, None, "unlabelled")


def test_ngrams_are_believed_from_their_confidence_on(labeler: Labeler) -> None:
    easy = Labeler(labeler.model, "v", {"zh": {"sentiment": 0.0, "topic": 0.0}})
    hard = Labeler(labeler.model, "v", {"zh": {"sentiment": 0.0, "topic": 1.1}})
    text = ["净利润同比增长四成"]
    assert easy.label(text)[0].sentiment is not None
    assert hard.label(text)[0].sentiment is None


def test_no_texts_give_no_labels(labeler: Labeler) -> None:
    assert labeler.label([]) == []


def test_a_label_does_not_depend_on_its_neighbours(labeler: Labeler) -> None:
    alone = labeler.label([NEWS])[0].p_negative
    among = labeler.label(["oil", NEWS, "words " * 300])[1].p_negative
    assert alone == pytest.approx(among, abs=1e-4)


def test_the_confidence_asked_for_keeps_the_risk() -> None:
    confidence = np.linspace(0.99, 0.01, 99)
    right = confidence > 0.5
    limit = least_confidence(confidence, right)
    assert limit is not None
    taken = confidence >= limit
    assert (~right[taken]).mean() <= UNREADABLE_RISK
    assert taken.sum() > 40


def test_too_few_rows_promise_nothing() -> None:
    assert least_confidence(np.array([0.9, 0.8]), np.array([True, True])) is None
    assert least_confidence(np.array([]), np.array([], dtype=bool)) is None


def test_personal_data_is_read_as_its_placeholder_also_from_tokens_made_ahead(
    labeler: Labeler,
) -> None:
    text, clean = f"{NEWS}, tel. +49 30 901820", f"{NEWS}, tel. [phone]"
    redacting = Labeler(labeler.model, "v", {}, redacted=True)
    keeping = Labeler(labeler.model, "v", {})
    assert redacting.tokenize([text])[0].ids.tolist() == keeping.tokenize([clean])[0].ids.tolist()
    ahead = redacting.label([text], redacting.tokenize([text]))
    assert ahead == redacting.label([text]) == keeping.label([clean])
    assert keeping.label([text]) != keeping.label([clean])
