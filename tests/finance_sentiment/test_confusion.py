"""Is the share that a mistaken model says put right, as far as its mistakes are known?"""

from __future__ import annotations

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from services.finance_sentiment.app import ServedModel, create_app
from services.finance_sentiment.confusion import Confusion
from services.finance_sentiment.domain import GIVEN
from services.finance_sentiment.labels import Labeler
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.tables import MIGRATIONS
from tests.finance_sentiment.conftest import NOW
from tests.finance_sentiment.test_api import fill

KNOWN = Confusion(negative=2000, found=1600, other=8000, mistaken=800)


def test_labels_are_counted_by_what_they_are_and_what_they_were_said_to_be() -> None:
    truth = ["negative", "negative", "neutral", "positive"]
    said = ["negative", "neutral", "negative", "positive"]
    assert Confusion.count(truth, said) == Confusion(2, 1, 2, 1)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_the_true_share_is_found(share: float) -> None:
    said = 0.8 * share + 0.1 * (1 - share)
    found = KNOWN.corrected(100_000, round(100_000 * said))
    assert found is not None
    assert found[0] == pytest.approx(share, abs=0.002)


def test_the_interval_holds_the_true_share_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        known = Confusion(150, int(rng.binomial(150, 0.8)), 450, int(rng.binomial(450, 0.1)))
        found = known.corrected(200, int(rng.binomial(200, 0.8 * 0.3 + 0.1 * 0.7)))
        assert found is not None
        held += found[1][0] <= 0.3 <= found[1][1]
    assert 0.92 <= held / 400 <= 0.99


def test_fewer_held_out_rows_leave_more_open() -> None:
    few, many = Confusion(20, 16, 80, 8), KNOWN
    wide, narrow = (known.corrected(500, 120) for known in (few, many))
    assert wide is not None and narrow is not None
    assert wide[1][1] - wide[1][0] > narrow[1][1] - narrow[1][0]


@pytest.mark.parametrize(
    ("known", "stories"),
    [
        (KNOWN, 0),
        (Confusion(0, 0, 5, 1), 9),
        (Confusion(9, 8, 0, 0), 9),
        (Confusion(9, 4, 9, 4), 9),
    ],
)
def test_where_nothing_can_be_said_nothing_is(known: Confusion, stories: int) -> None:
    assert known.corrected(stories, 0) is None


@given(st.integers(1, 500), st.data())
def test_a_share_stays_a_share_and_more_said_is_more_found(
    stories: int, data: st.DataObject
) -> None:
    negative = data.draw(st.integers(0, stories - 1))
    less, more = (KNOWN.corrected(stories, k) for k in (negative, negative + 1))
    assert less is not None and more is not None
    assert 0 <= less[1][0] <= less[0] <= less[1][1] <= 1
    assert more[0] >= less[0]


def test_it_survives_a_manifest() -> None:
    assert Confusion.from_json(KNOWN.to_json()) == KNOWN
    assert Confusion.from_json(None) is None


def test_training_counts_it_and_the_labeler_knows_it(labeler: Labeler) -> None:
    assert labeler.confusion is not None
    assert labeler.confusion.negative > 0 < labeler.confusion.other


@pytest.mark.parametrize(("version", "expected"), [(GIVEN, True), ("another", False)])
def test_trends_are_put_right_where_the_live_model_labelled_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, version: str, expected: bool
) -> None:
    monkeypatch.setattr(ServedModel, "confusion", lambda _: (version, KNOWN))
    engine = make_engine(settings.database_url)
    upgrade(engine, MIGRATIONS)
    fill(session_factory(engine))
    engine.dispose()
    with TestClient(create_app(settings, now=lambda: NOW)) as client:
        [topic] = client.get("/v1/trends").json()["topics"]
    corrected = topic["negative_share_corrected"]
    assert (corrected is not None) is expected
    if expected:
        # Two of four are said to be negative: (.5 − .1) / (.8 − .1).
        assert corrected == pytest.approx(0.571, abs=0.002)
        low, high = topic["negative_share_corrected_ci"]
        assert 0 <= low < corrected < high <= 1
