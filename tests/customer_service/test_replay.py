"""Which answers would change if another model went live."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.customer_service.domain import Candidate, Reading
from services.customer_service.replay import Outcome, compare, objections, outcomes
from services.customer_service.understanding import Understood

Outcomes = list[Outcome]


def replayed(before: Outcomes, after: Outcomes) -> dict[str, object]:
    return compare([f"text {n}" for n in range(len(before))], before, after).as_mapping()


def test_every_change_is_counted_by_where_it_came_from_and_where_it_goes() -> None:
    before: Outcomes = ["a", "a", "a", "b", None, "b", None]
    after: Outcomes = ["a", "b", "b", None, "a", "b", None]
    said = replayed(before, after)
    assert (said["turns"], said["changed"]) == (7, 4)
    assert (said["swapped"], said["gained"], said["lost"]) == (2, 1, 1)
    assert said["by_intent"] == [
        {"from": "a", "to": "b", "count": 2},
        {"from": "b", "to": None, "count": 1},
        {"from": None, "to": "a", "count": 1},
    ]


def test_what_people_read_has_lost_its_personal_data() -> None:
    found = compare(["write to anna@example.com please"], ["a"], ["b"])
    assert found.as_mapping()["sample"] == [
        {"text": "write to [email] please", "from": "a", "to": "b"}
    ]


def test_a_few_other_answers_are_what_the_risk_allows() -> None:
    before: Outcomes = ["a"] * 200
    assert objections(compare(["x"] * 200, before, ["b"] * 10 + ["a"] * 190), 0.05) == []


def test_more_other_answers_than_twice_the_risk_speak_against_it() -> None:
    before: Outcomes = ["a"] * 200
    [said] = objections(compare(["x"] * 200, before, ["b"] * 60 + ["a"] * 140), 0.05)
    assert said.startswith("60 of 200 messages")


def test_fewer_answers_than_chance_explains_speak_against_it() -> None:
    before: Outcomes = ["a"] * 20 + [None] * 20
    lost: Outcomes = [None] * 12 + ["a"] * 8 + [None] * 20
    [said] = objections(compare(["x"] * 40, before, lost), 0.05)
    assert said == "fewer answers: 12 messages lose theirs, 0 get one"
    even: Outcomes = [None] * 6 + ["a"] * 14 + ["a"] * 6 + [None] * 14
    assert objections(compare(["x"] * 40, before, even), 0.05) == []


def understood(sure: bool) -> Understood:
    reading = Reading((Candidate("a", 0.9),), 0.9, 0.9, sure=sure)
    return Understood(reading, 1.0, "e", None, True)  # type: ignore[arg-type]


def test_an_outcome_is_an_answer_that_somebody_wrote() -> None:
    assert outcomes([understood(True), understood(False)], {"a": False}) == ["a", None]
    assert outcomes([understood(True)], {}) == [None]


ANY = st.lists(
    st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from(["a", "b", None])), max_size=60
)


@given(ANY)
def test_counts_add_up(pairs: list[tuple[Outcome, Outcome]]) -> None:
    found = compare(["x"] * len(pairs), [p[0] for p in pairs], [p[1] for p in pairs])
    assert found.swapped + found.gained + found.lost == len(found.changes)
    assert found.swapped <= found.both <= found.turns == len(pairs)


@given(ANY)
def test_a_model_that_changes_nothing_is_never_refused(
    pairs: list[tuple[Outcome, Outcome]],
) -> None:
    same = [before for before, _ in pairs]
    assert objections(compare(["x"] * len(same), same, same), 0.05) == []
