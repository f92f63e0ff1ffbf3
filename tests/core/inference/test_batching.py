"""Does every caller get its own result, whoever waits beside it and whatever goes wrong?

The model under the batcher stands at a gate until the test opens it, so that what waits meanwhile
is known, and no test sleeps.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import NotReady, Overloaded
from core.inference.batching import Batcher

PATIENCE = 30.0  # seconds until a test that hangs fails


class GatedModel:
    """Answers in capitals, when the gate is open; remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self._entered = threading.Semaphore(0)
        self.answer: Callable[[list[str]], Sequence[str]] = lambda items: [
            item.upper() for item in items
        ]

    def __call__(self, items: list[str]) -> Sequence[str]:
        self.batches.append(items)
        self._entered.release()
        assert self.gate.wait(PATIENCE)
        return self.answer(items)

    async def entered(self) -> None:
        """Wait until a batch stands at the gate."""
        assert await asyncio.to_thread(self._entered.acquire, timeout=PATIENCE)


Make = Callable[..., Batcher[str, str]]


@pytest.fixture
def model() -> GatedModel:
    return GatedModel()


@pytest.fixture
def make(model: GatedModel) -> Iterator[Make]:
    made: list[Batcher[str, str]] = []

    def make(**bounds: int) -> Batcher[str, str]:
        made.append(Batcher(model, **bounds))
        return made[-1]

    yield make
    model.gate.set()
    for batcher in made:
        batcher.stop()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, PATIENCE))


async def occupy(batcher: Batcher[str, str], model: GatedModel) -> asyncio.Task[str]:
    """One caller stands at the gate; whoever comes now must wait."""
    task = asyncio.create_task(batcher.submit("first"))
    await model.entered()
    return task


async def line_up(
    batcher: Batcher[str, str], *items: str, size: Callable[[str], int] = lambda item: 1
) -> list[asyncio.Task[str]]:
    """Callers in this order, all of them waiting when this returns."""
    tasks = [asyncio.create_task(batcher.submit(item, size(item))) for item in items]
    await asyncio.sleep(0)  # each task runs up to its wait
    return tasks


async def settled(*awaitables: Awaitable[str]) -> list[str | BaseException]:
    return await asyncio.gather(*awaitables, return_exceptions=True)


# --- who gets what -------------------------------------------------------------------------------


def test_an_idle_model_takes_a_single_item_at_once(make: Make, model: GatedModel) -> None:
    model.gate.set()

    async def test() -> None:
        batcher = make()
        assert await batcher.submit("a") == "A"
        assert await batcher.submit("b") == "B"

    run(test())
    assert model.batches == [["a"], ["b"]]


def test_what_waits_for_a_busy_model_runs_together_and_each_caller_gets_its_own(
    make: Make, model: GatedModel
) -> None:
    async def test() -> None:
        batcher = make()
        first = await occupy(batcher, model)
        others = await line_up(batcher, "b", "c", "d")
        model.gate.set()
        assert await settled(first, *others) == ["FIRST", "B", "C", "D"]

    run(test())
    assert model.batches == [["first"], ["b", "c", "d"]]


@settings(max_examples=25)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_whatever_the_sizes_all_are_answered_within_the_budget(sizes: list[int]) -> None:
    model = GatedModel()
    names = [f"item{i}x{size}" for i, size in enumerate(sizes)]

    async def test() -> None:
        batcher = Batcher(model, max_batch_tokens=64)
        first = await occupy(batcher, model)
        others = await line_up(batcher, *names, size=size_in)
        model.gate.set()
        assert await settled(first, *others) == ["FIRST", *(name.upper() for name in names)]
        batcher.stop()

    run(test())
    assert sorted(name for batch in model.batches[1:] for name in batch) == sorted(names)
    for batch in model.batches[1:]:
        assert len(batch) == 1 or len(batch) * max(map(size_in, batch)) <= 64


def size_in(item: str) -> int:
    return int(item.split("x")[1])


def test_items_of_like_length_run_together(make: Make, model: GatedModel) -> None:
    async def test() -> None:
        batcher = make(max_batch_tokens=64)
        first = await occupy(batcher, model)
        items = ["ax10", "bx30", "cx11", "dx30", "ex9"]
        others = await line_up(batcher, *items, size=size_in)
        model.gate.set()
        await settled(first, *others)

    run(test())
    assert [set(batch) for batch in model.batches[1:]] == [
        {"ax10", "cx11", "ex9"},
        {"bx30", "dx30"},
    ]


def test_the_one_who_has_waited_longest_is_always_in_the_next_batch(
    make: Make, model: GatedModel
) -> None:
    async def test() -> None:
        batcher = make(max_batch_tokens=64)
        first = await occupy(batcher, model)
        items = ["longx60", *(f"short{i}x2" for i in range(20))]
        others = await line_up(batcher, *items, size=size_in)
        model.gate.set()
        await settled(first, *others)

    run(test())
    assert model.batches[1] == ["longx60"]


def test_an_item_above_the_budget_runs_alone(make: Make, model: GatedModel) -> None:
    async def test() -> None:
        batcher = make(max_batch_tokens=8)
        first = await occupy(batcher, model)
        others = await line_up(batcher, "hugex100", "smallx1", size=size_in)
        model.gate.set()
        assert await settled(first, *others) == ["FIRST", "HUGEX100", "SMALLX1"]

    run(test())
    assert model.batches[1:] == [["hugex100"], ["smallx1"]]


def test_a_batch_is_made_of_the_window_only(make: Make, model: GatedModel) -> None:
    async def test() -> None:
        batcher = make(window=2)
        first = await occupy(batcher, model)
        others = await line_up(batcher, *"abcde")
        model.gate.set()
        await settled(first, *others)

    run(test())
    assert model.batches[1:] == [["a", "b"], ["c", "d"], ["e"]]


def test_callers_of_two_event_loops_share_the_model(make: Make, model: GatedModel) -> None:
    batcher = make()
    answers: dict[str, list[str | BaseException]] = {}

    def other_loop(name: str) -> None:
        async def ask() -> None:
            answers[name] = await settled(*(batcher.submit(f"{name}{i}") for i in range(20)))

        run(ask())

    async def test() -> None:
        first = await occupy(batcher, model)
        threads = [threading.Thread(target=other_loop, args=(name,)) for name in "xy"]
        for thread in threads:
            thread.start()
        model.gate.set()
        for thread in threads:
            await asyncio.to_thread(thread.join, PATIENCE)
        assert await first == "FIRST"

    run(test())
    assert answers == {name: [f"{name.upper()}{i}" for i in range(20)] for name in "xy"}


# --- those who leave -----------------------------------------------------------------------------


def test_the_item_of_a_cancelled_caller_is_never_run(make: Make, model: GatedModel) -> None:
    async def test() -> None:
        batcher = make()
        first = await occupy(batcher, model)
        others = await line_up(batcher, "b", "c", "d")
        others[1].cancel()
        await asyncio.sleep(0)
        model.gate.set()
        answers = await settled(first, *others)
        assert isinstance(answers.pop(2), asyncio.CancelledError)
        assert answers == ["FIRST", "B", "D"]

    run(test())
    assert model.batches == [["first"], ["b", "d"]]


def test_when_all_who_wait_have_left_the_model_rests_and_then_serves_the_next(
    make: Make, model: GatedModel
) -> None:
    async def test() -> None:
        batcher = make()
        first = await occupy(batcher, model)
        for task in await line_up(batcher, "b", "c"):
            task.cancel()
        await asyncio.sleep(0)
        model.gate.set()
        assert await first == "FIRST"
        assert await batcher.submit("d") == "D"

    run(test())
    assert model.batches == [["first"], ["d"]]


def test_a_caller_who_leaves_while_its_item_runs_harms_nobody(
    make: Make, model: GatedModel, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        batcher = make()
        first = await occupy(batcher, model)
        [other] = await line_up(batcher, "b")
        first.cancel()
        await asyncio.sleep(0)
        model.gate.set()
        assert await other == "B"

    run(test())
    assert caplog.records == [], "the loop has no complaint of a result that nobody takes"


def test_a_caller_whose_loop_has_ended_harms_nobody(make: Make, model: GatedModel) -> None:
    batcher = make()

    async def leave() -> None:
        await occupy(batcher, model)

    asyncio.run(leave())  # the item still stands at the gate
    model.gate.set()

    async def test() -> None:
        assert await batcher.submit("b") == "B"

    run(test())


# --- too many ------------------------------------------------------------------------------------


def test_beyond_the_bound_a_caller_is_told_to_come_back_at_once(
    make: Make, model: GatedModel
) -> None:
    async def test() -> None:
        batcher = make(max_queue=2)
        first = await occupy(batcher, model)
        others = await line_up(batcher, "b", "c")
        with pytest.raises(Overloaded, match="2 texts are waiting") as refused:
            await batcher.submit("d")
        assert refused.value.retry_after > 0
        model.gate.set()
        assert await settled(first, *others) == ["FIRST", "B", "C"]
        assert await batcher.submit("d") == "D", "there is room again"

    run(test())


def test_those_who_have_left_keep_nobody_out(make: Make, model: GatedModel) -> None:
    async def test() -> None:
        batcher = make(max_queue=2)
        first = await occupy(batcher, model)
        for task in await line_up(batcher, "b", "c"):
            task.cancel()
        await asyncio.sleep(0)
        others = await line_up(batcher, "d", "e")
        model.gate.set()
        assert await settled(first, *others) == ["FIRST", "D", "E"]

    run(test())


# --- failures ------------------------------------------------------------------------------------


def test_a_failure_reaches_exactly_the_callers_of_its_batch_and_the_thread_lives_on(
    make: Make, model: GatedModel
) -> None:
    def fail_on_bad(items: list[str]) -> list[str]:
        if "bad" in items:
            raise ValueError("cannot read it")
        return [item.upper() for item in items]

    model.answer = fail_on_bad

    async def test() -> None:
        batcher = make(window=2)
        first = await occupy(batcher, model)
        others = await line_up(batcher, "bad", "beside", "later")
        model.gate.set()
        answers = await settled(first, *others)
        assert [type(a) for a in answers] == [str, ValueError, ValueError, str]
        assert await batcher.submit("next") == "NEXT"

    run(test())


@pytest.mark.parametrize("answers", [[], ["A", "B"]])
def test_a_wrong_number_of_results_is_a_failure_and_nobody_gets_anothers_result(
    make: Make, model: GatedModel, answers: list[str]
) -> None:
    model.answer = lambda items: answers
    model.gate.set()

    async def test() -> None:
        batcher = make()
        with pytest.raises(RuntimeError, match=f"{len(answers)} results for 1 items"):
            await batcher.submit("a")
        model.answer = lambda items: ["right"]
        assert await batcher.submit("a") == "right"

    run(test())


@pytest.mark.parametrize("failure", [StopIteration, SystemExit, KeyboardInterrupt, BaseException])
def test_no_kind_of_failure_leaves_a_caller_waiting_or_ends_the_thread(
    make: Make, model: GatedModel, failure: type[BaseException]
) -> None:
    def fail(items: list[str]) -> list[str]:
        raise failure

    model.answer = fail
    model.gate.set()

    async def test() -> None:
        batcher = make()
        with pytest.raises(RuntimeError, match=f"the model failed: {failure.__name__}"):
            await batcher.submit("a")
        model.answer = lambda items: ["right"]
        assert await batcher.submit("a") == "right"

    run(test())


# --- the end -------------------------------------------------------------------------------------


def test_stopping_finishes_what_waits_and_takes_nothing_new(make: Make, model: GatedModel) -> None:
    async def test() -> None:
        batcher = make(window=1)
        first = await occupy(batcher, model)
        others = await line_up(batcher, "b", "c")
        stopped = asyncio.create_task(asyncio.to_thread(batcher.stop))
        while not batcher._stopping:
            await asyncio.sleep(0)
        model.gate.set()
        assert await settled(first, *others) == ["FIRST", "B", "C"]
        await stopped
        with pytest.raises(NotReady, match="stopping"):
            await batcher.submit("d")

    run(test())


def test_stopping_an_idle_batcher_returns_at_once_and_may_be_repeated(make: Make) -> None:
    batcher = make()
    batcher.stop()
    batcher.stop()
    assert not batcher._thread.is_alive()
