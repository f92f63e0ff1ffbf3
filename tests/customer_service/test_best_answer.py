"""Of many answers the best is chosen: resolved and well rated first, then frequent, then new."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.customer_service.best_answer import Candidate, answer_score, choose_answer

DAY = 86_400.0

candidates = st.lists(
    st.builds(
        Candidate,
        st.sampled_from(["Under My account.", "Ask your bank.", "请在账户里查看。"]),
        st.sampled_from([None, True, False]),
        st.none() | st.floats(0, 1),
        st.none() | st.floats(0, 1e9),
    ),
    min_size=1,
    max_size=8,
)


def test_an_answer_that_resolved_beats_one_that_did_not_however_new() -> None:
    old = [Candidate("Thirty days.", resolved=True, time=0.0)] * 2
    new = [Candidate("Ask your bank.", resolved=False, time=900 * DAY)] * 2
    chosen = choose_answer([*new, *old])
    assert (chosen.text, chosen.agreement, chosen.resolved_share) == ("Thirty days.", 0.5, 1.0)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (Candidate("Thirty days.", rating=1.0), Candidate("Ask your bank.", rating=0.0)),
        (Candidate("Thirty days.", time=400 * DAY), Candidate("Ask your bank.", time=0.0)),
    ],
)
def test_of_two_that_differ_in_one_thing_it_decides(better: Candidate, worse: Candidate) -> None:
    assert choose_answer([worse, better]).text == better.text


def test_the_frequent_answer_wins_where_nothing_else_is_known() -> None:
    many = [Candidate("It is under My account, order 111."), Candidate("Ask your bank.")]
    many.append(Candidate("It is under My account, order 222."))
    chosen = choose_answer(many)
    assert chosen.text.startswith("It is under My account")
    assert chosen.agreement == pytest.approx(2 / 3)
    assert chosen.resolved_share is None


def test_one_good_conversation_does_not_beat_twenty_that_nearly_all_were() -> None:
    twenty = [Candidate("a", resolved=number > 0) for number in range(20)]
    one = [Candidate("b", resolved=True)]
    assert answer_score(twenty, 21, None) > answer_score(one, 21, None)


def test_a_group_speaks_in_the_words_it_used_most_and_of_equals_the_latest() -> None:
    said = "You have 30 days from the day of delivery"
    assert (
        choose_answer(
            [Candidate(f"{said}!", time=3.0), Candidate(said, time=1.0), Candidate(said, time=2.0)]
        ).text
        == said
    )
    assert choose_answer([Candidate(f"{said}!", time=3.0), Candidate(said, time=1.0)]).text == (
        f"{said}!"
    )


@given(candidates)
def test_the_choice_is_one_of_the_answers_and_its_figures_are_shares(
    given_answers: list[Candidate],
) -> None:
    chosen = choose_answer(given_answers)
    assert chosen.text in {candidate.text for candidate in given_answers}
    assert 0 < chosen.agreement <= 1
    assert 0 <= chosen.score <= 1
    assert chosen == choose_answer(given_answers)
