"""How good is a trained recommender on later events, through the path that serves?

The shelf is filled with the shop's items and the known events as a server's would be, each user is
scored by `recommend.score_shelf`, and the whole catalogue is ranked: the shop's rules (stock,
groups, places in an answer) are off, as the contract asks for the full catalogue.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.artifacts import read_manifest, verify
from core.data.readers import read_events, read_items
from core.data.records import Event, Item
from core.errors import ModelError
from core.inference.encoder import TextEncoder
from core.progress import SILENT, Progress
from services.recommender import baselines
from services.recommender.baselines import BaselineSettings
from services.recommender.domain import is_positive, item_text, text_digest
from services.recommender.figures import (
    SHORT_HISTORY,
    Method,
    Task,
    difference,
    empty_report,
    judge,
    report,
)
from services.recommender.interests import Interaction
from services.recommender.learning.behaviour import taken
from services.recommender.learning.log import EventLog, read_log
from services.recommender.learning.shop import Shop, open_shop, shelf_at
from services.recommender.model import KIND, Embedding, Model, embed, load_encoder, load_model
from services.recommender.recommend import score_shelf

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """Users with something relevant. Lists have one entry a user: `history` their known events,
    `relevant` and `known` item numbers."""

    users: Sequence[str]
    history: Sequence[Sequence[Interaction]]
    relevant: Sequence[IntArray]
    known: Sequence[IntArray]


def evaluate(
    model: Path,
    items: Path,
    history: Path,
    events: Path,
    *,
    allow_repeats: bool = False,
    threads: int = 2,
    seed: int = 0,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """The figures of the contract, ours and the baselines' beside them.

    `history` gives what was known when the ranking was made, `events` what came after. Relevant
    are the distinct items of positive events that the history does not hold (`allow_repeats`: all
    of them). Raises DataError for files that cannot be used, ArtifactError for the model.
    """
    verify(model, kind=KIND)
    catalogue = read_items(items)
    known_events = read_events(history, allow_empty=True)
    later = read_events(events)
    trained = load_model(model)
    progress.say(f"encoding the texts of {len(catalogue)} items that the model has not seen")
    shop = open_shop(catalogue, _embeddings(trained, model, catalogue, threads))
    log = read_log(catalogue, known_events).log
    asked = _ask(catalogue, known_events, later, allow_repeats=allow_repeats)
    frozen = _frozen_embeddings(model, shop, threads)
    task = _task(trained, shop, asked, shop.embeddings if frozen is None else frozen)
    rng = np.random.default_rng(seed)
    progress.say(f"ranking {len(catalogue)} items for {len(asked.users)} users")
    ours = judge(task, _served(trained, shop, log, asked, _now(known_events, later)))
    result = report(ours, rng)
    result |= {"baselines": {}, "gain_over": {}}
    settings = BaselineSettings.from_json(read_manifest(model).settings.get("baselines", {}))
    for name in baselines.NAMES:
        progress.say(f"baseline {name}")
        method = _baseline(name, log, asked, frozen, settings, seed)
        theirs = None if method is None else judge(task, method)
        result["baselines"][name] = empty_report() if theirs is None else report(theirs, rng)
        result["gain_over"][name] = None if theirs is None else difference(ours, theirs, rng)
    return result


def _served(trained: Model, shop: Shop, log: EventLog, asked: Asked, now: float) -> Method:
    """Every user through the service's own scoring."""
    shelf = shelf_at(shop, trained.tower, trained.model_rows, log, now)

    def scores(users: IntArray) -> FloatArray:
        return np.stack(
            [score_shelf(trained, shelf, asked.history[user], now).scores for user in users]
        )

    return scores


def _baseline(
    name: str,
    log: EventLog,
    asked: Asked,
    frozen: FloatArray | None,
    settings: BaselineSettings,
    seed: int,
) -> Method | None:
    if name == "frozen_text" and frozen is None:
        return None
    embeddings = np.zeros((log.items, 1), np.float32) if frozen is None else frozen
    scorer = baselines.fit(name, log, embeddings, settings, seed=seed)
    if scorer is None:
        return None
    matrix = _rows(log, asked.users)
    return lambda users: scorer(matrix[users])


def _rows(log: EventLog, users: Sequence[str]) -> Any:
    """What each user is known to have taken, sparse (users, items); empty for a newcomer."""
    from scipy.sparse import csr_matrix, vstack

    number = {user: n for n, user in enumerate(log.users)}
    # One more row, empty, for users whom the log does not know.
    matrix = vstack([taken(log), csr_matrix((1, log.items), dtype=np.float32)]).tocsr()
    return matrix[[number.get(user, len(log.users)) for user in users]]


def _ask(
    catalogue: Sequence[Item],
    known_events: Sequence[Event],
    later: Sequence[Event],
    *,
    allow_repeats: bool,
) -> Asked:
    number = {item.item_id: n for n, item in enumerate(catalogue)}
    took: dict[str, set[int]] = defaultdict(set)
    for event in later:
        if event.item_id in number and is_positive(event.event, event.value):
            took[event.user_id].add(number[event.item_id])
    histories: dict[str, list[Interaction]] = defaultdict(list)
    for event in known_events:
        if event.user_id in took and event.item_id in number:
            histories[event.user_id].append(
                Interaction(event.item_id, event.event, event.timestamp, event.value)
            )
    users, relevant, known = [], [], []
    for user, new in took.items():
        had = set() if allow_repeats else {number[e.item_id] for e in histories[user]}
        if new - had:
            users.append(user)
            relevant.append(np.array(sorted(new - had), dtype=np.int64))
            known.append(np.array(sorted(had), dtype=np.int64))
    return Asked(users, [histories[user] for user in users], relevant, known)


def _task(trained: Model, shop: Shop, asked: Asked, embeddings: FloatArray) -> Task:
    seen = set(trained.seen)
    return Task(
        relevant=asked.relevant,
        known=asked.known,
        short=np.array([len(h) <= SHORT_HISTORY for h in asked.history], dtype=np.bool_),
        trained=np.array([item.item_id in seen for item in shop.items], dtype=np.bool_),
        embeddings=embeddings,
    )


def _now(known_events: Sequence[Event], later: Sequence[Event]) -> float:
    """The moment of ranking: that of the last known event."""
    events = known_events or later
    latest = max(event.timestamp for event in events)
    return latest if known_events else min(event.timestamp for event in events)


def _embeddings(
    trained: Model, folder: Path, catalogue: Sequence[Item], threads: int
) -> list[Embedding]:
    """Those that the artefact carries, and for other texts what its exported encoder says."""
    texts = {text_digest(item_text(item)): item_text(item) for item in catalogue}
    missing = [digest for digest in texts if digest not in trained.prepared]
    found: dict[str, Embedding] = {}
    if missing:
        encoder = load_encoder(folder, threads)
        found = dict(
            zip(missing, embed(encoder, [texts[digest] for digest in missing]), strict=True)
        )
    digests = [text_digest(item_text(item)) for item in catalogue]
    return [found[d] if d in found else trained.prepared[d] for d in digests]


def _frozen_embeddings(folder: Path, shop: Shop, threads: int) -> FloatArray | None:
    """The base model's own, for the baseline `frozen_text`. They are the shop's unless the encoder
    was tuned; None where the base model cannot be had any more."""
    manifest = read_manifest(folder)
    if manifest.settings.get("learnt", {}).get("rung") in (None, "frozen", "adapter"):
        return shop.embeddings
    from core.inference.export import export_base_encoder

    with tempfile.TemporaryDirectory() as scratch:
        try:
            export_base_encoder(Path(scratch), manifest.base_model)
        except ModelError:
            return None
        encoder = TextEncoder.load(Path(scratch), threads=threads)
        return np.stack([e.values for e in embed(encoder, shop.texts)]).astype(np.float32)
