"""How do many callers share one model thread?

Callers put an item in a bounded queue and await its result. The model thread pulls: it takes the
caller who has waited longest, fills the batch with items of like size from a window of the
queue, up to a budget of padded tokens, and runs it. Nothing waits for a batch to fill: an idle
model takes a single item at once, a busy one finds more of them the busier it is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from core.errors import NotReady, Overloaded

Item = TypeVar("Item")
Result = TypeVar("Result")
Outcome = TypeVar("Outcome")


@dataclass(eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    size: int
    future: asyncio.Future[Result]
    loop: asyncio.AbstractEventLoop


class Batcher(Generic[Item, Result]):
    """`run` maps a list of items to as many results, in order, in the one model thread.

    `max_batch_tokens` bounds rows × longest row; `window` is how far from the oldest caller the
    batch may look for like sizes; `max_queue` is the number of waiting items beyond which
    `submit` raises Overloaded.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Sequence[Result]],
        *,
        max_batch_tokens: int = 2048,
        window: int = 64,
        max_queue: int = 256,
    ) -> None:
        self._run = run
        self._max_batch_tokens = max_batch_tokens
        self._window = window
        self._max_queue = max_queue
        self._queue: list[_Waiting[Item, Result]] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    async def submit(self, item: Item, size: int = 1) -> Result:
        """The result for one item of `size` tokens. A cancelled caller's item is never run."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting[Item, Result](item, size, loop.create_future(), loop)
        with self._changed:
            if self._stopping:
                raise NotReady("the model is stopping", retry_after=1.0)
            if len(self._queue) >= self._max_queue:
                self._drop_cancelled()  # those who left must not keep others out
            if len(self._queue) >= self._max_queue:
                raise Overloaded(f"{len(self._queue)} texts are waiting already", retry_after=1.0)
            self._queue.append(waiting)
            self._changed.notify()
        return await waiting.future

    def stop(self) -> None:
        """Finish what is waiting, then end the model thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._stopping)
                if not self._queue:
                    return
                batch = self._take()
            if batch:
                self._serve(batch)

    def _take(self) -> list[_Waiting[Item, Result]]:
        self._drop_cancelled()
        if not self._queue:
            return []
        oldest = self._queue[0]
        # Like sizes waste the least padding; the oldest is always in, so nobody starves.
        near = sorted(self._queue[1 : self._window], key=lambda w: abs(w.size - oldest.size))
        batch, longest = [oldest], oldest.size
        for waiting in near:
            longest = max(longest, waiting.size)
            if longest * (len(batch) + 1) > self._max_batch_tokens:
                break
            batch.append(waiting)
        taken = set(map(id, batch))
        self._queue = [w for w in self._queue if id(w) not in taken]
        return batch

    def _drop_cancelled(self) -> None:
        self._queue = [w for w in self._queue if not w.future.cancelled()]

    def _serve(self, batch: list[_Waiting[Item, Result]]) -> None:
        try:
            results = self._run([w.item for w in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"the model gave {len(results)} results for {len(batch)} items")
        except BaseException as error:  # it belongs to the callers, not to the thread
            for waiting in batch:
                _tell(waiting, waiting.future.set_exception, _deliverable(error))
            return
        for waiting, result in zip(batch, results, strict=True):
            _tell(waiting, waiting.future.set_result, result)


def _deliverable(error: BaseException) -> Exception:
    """A future takes no StopIteration, and a caller's loop would end on what is no Exception."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    failure = RuntimeError(f"the model failed: {error!r}")
    failure.__cause__ = error
    return failure


def _tell(
    waiting: _Waiting[Item, Result], settle: Callable[[Outcome], None], outcome: Outcome
) -> None:
    """Settle the caller's future in the caller's loop: futures are not for other threads."""

    def deliver() -> None:
        if not waiting.future.done():  # else cancelled meanwhile
            settle(outcome)

    try:
        waiting.loop.call_soon_threadsafe(deliver)
    except RuntimeError:
        return  # the caller's loop has closed: nobody is left to tell
