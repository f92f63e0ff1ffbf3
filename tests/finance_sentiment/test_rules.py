"""Do the user's own rules fire as they read?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import DataError
from services.finance_sentiment.counts import HourlyCounts
from services.finance_sentiment.domain import moment_of
from services.finance_sentiment.rules import Rule, apply_rules, read_rules

HALF = Rule("half", negative_share=0.5, min_stories=4, window_hours=2)


def counts(*hours: tuple[int, int]) -> HourlyCounts:
    stories, negative = (np.array([column]) for column in zip(*hours, strict=True))
    return HourlyCounts(1000, ("banking",), stories, negative)


def test_a_rule_fires_at_its_share_and_volume_and_ends_when_untrue() -> None:
    [alert] = apply_rules([HALF], counts((2, 0), (2, 2), (2, 2), (4, 0), (4, 0)))
    assert alert.detector == "rule:half"
    assert alert.started_at == moment_of(1002)
    assert alert.resolved_at == moment_of(1004)
    assert (alert.evidence["stories"], alert.evidence["negative"]) == (4, 2)


def test_too_few_stories_fire_nothing() -> None:
    assert apply_rules([HALF], counts((1, 1), (1, 1), (1, 1))) == []


def test_a_rule_with_for_waits_so_long() -> None:
    patient = Rule("p", negative_share=0.5, min_stories=2, window_hours=1, for_hours=3)
    assert apply_rules([patient], counts((2, 2), (2, 2), (2, 0), (2, 2))) == []
    [alert] = apply_rules([patient], counts((2, 2), (2, 2), (2, 2)))
    assert (alert.started_at, alert.resolved_at) == (moment_of(1003), None)


def test_a_rule_for_one_topic_leaves_others_alone() -> None:
    other = Rule("o", negative_share=0.0, min_stories=1, window_hours=1, topic="energy")
    assert apply_rules([other], counts((5, 5))) == []


def test_rules_are_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("- {name: half, negative_share: 0.5, min_stories: 4, window_hours: 2}\n")
    assert read_rules(path) == [HALF]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {name: x}", "negative_share"),
        ("- {name: x, negative_share: 2, min_stories: 1, window_hours: 1}", "from 0 to 1"),
        ("- {name: x, negative_share: .nan, min_stories: 1, window_hours: 1}", "negative_share"),
        ("- {name: x, negative_share: 1, min_stories: many, window_hours: 1}", "min_stories"),
        ("- {name: x, negative_share: 1, min_stories: 1, window_hours: 1, foo: 2}", "foo"),
        ("- {name: 1, negative_share: 1, min_stories: 1, window_hours: 1}", "name"),
    ],
)
def test_a_wrong_rule_is_named_by_its_key(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=told):
        read_rules(path)
