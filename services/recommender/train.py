"""How does a shop's log become a recommender, and how good is it on what came later?

    read → encode the item texts → choose, judge, learn it all (learning/stages.py) → one artefact

The ladder it climbs, as far as the log carries it: `frozen` (text as it stands, popularity, weights
set beforehand), `adapter` (text vectors tuned on behaviour), and with the preset accurate
`top_layers` and `all_layers` (of the encoder, tuned too). The manifest says which rung was reached
and why.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.artifacts import Manifest, now_iso, write_artifact
from core.data.readers import read_events, read_items
from core.data.records import Item
from core.inference.encoder import TextEncoder
from core.inference.export import export_base_encoder
from core.models import BUNDLED, resolve_model
from core.progress import SILENT, Progress
from services.recommender.domain import item_text, text_digest
from services.recommender.learning.asked import ask, fit_ranker, without_each_part
from services.recommender.learning.encoder import PAIRS_FOR_ALL, RUNGS, tune_encoder
from services.recommender.learning.judged import MOST_JUDGES, held_out
from services.recommender.learning.log import EventLog, fingerprint, moment_of_share, read_log
from services.recommender.learning.mending import choose_trees
from services.recommender.learning.parts import Choices, Effort, Parts, learn
from services.recommender.learning.shop import Shop, open_shop
from services.recommender.learning.stages import choose, choose_text
from services.recommender.learning.window import Window, open_window
from services.recommender.model import KIND, Embedding, Model, Prepared, embed, save_model
from services.recommender.rankers import Ranker, prior

CHOOSE_FROM: Final = 0.8
JUDGE_FROM: Final = 0.9
# Users with something new in a window; fewer judge nothing.
FEWEST_USERS: Final = 20


@dataclass(frozen=True)
class Learnt:
    """What goes into the artefact. `shop` carries the embeddings of the encoder that is kept;
    `told` is the manifest's account of what was learnt and why."""

    shop: Shop
    parts: Parts
    ranker: Ranker
    choices: Choices
    metrics: dict[str, Any]
    told: dict[str, Any]


def train(
    items: Path,
    events: Path,
    output: Path,
    *,
    preset: str = "fast",
    base_model: str = BUNDLED,
    seed: int = 0,
    threads: int = 2,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Write an artefact to `output`; its held-out metrics are returned, empty without any.

    Raises DataError for files that cannot be used, ModelError for the base model.
    """
    catalogue = read_items(items)
    records = read_events(events, allow_empty=True)
    read = read_log(catalogue, records)
    if read.unknown_items:
        progress.say(f"{read.unknown_items} events left out: their items are not in {items}")
    base = resolve_model(base_model)
    effort = Effort(seed, threads, progress)
    with write_artifact(output) as draft:
        folder = draft.path / "encoder"
        progress.say(f"encoding {len(catalogue)} item texts")
        export_base_encoder(folder, base_model)
        shop = open_shop(catalogue, _embed(catalogue, folder, threads))
        learnt = _learn(shop, read.log, folder, base_model, preset, effort)
        settings = save_model(draft.path, _model(learnt, read.log))
        counts = {
            "items": len(catalogue),
            "events": len(records),
            "events_of_unknown_items": read.unknown_items,
            "last_event_at": float(read.log.time[-1]) if len(read.log) else None,
            "users": len(read.log.users),
        }
        draft.manifest = Manifest(
            kind=KIND,
            created_at=now_iso(),
            base_model=base.reference,
            base_revision=base.revision,
            data_sha256=fingerprint(catalogue, records),
            metrics=learnt.metrics,
            settings={"preset": preset, "seed": seed, "data": counts, **settings, **learnt.told},
        )
    return learnt.metrics


@dataclass(frozen=True)
class Windows:
    """The parts of the log after its two cuts; see learning/stages.py."""

    choose: Window
    judge: Window


def _learn(
    shop: Shop, log: EventLog, folder: Path, base_model: str, preset: str, effort: Effort
) -> Learnt:
    windows = _cut(shop, log, effort)
    if windows is None:
        return _unjudged(shop, log, effort)
    effort.progress.say(f"choosing by {len(windows.choose.takers())} users of the next 10 %")
    frozen = shop
    choices, parts = choose(shop, windows.choose, effort)
    rung = "adapter" if choices.epochs else "frozen"
    if preset == "accurate":
        climbed, shop, choices, parts = _climb(
            shop, windows, choices, parts, folder, base_model, effort
        )
        rung = climbed or rung
    until = log.before(windows.judge.start)
    choices = choose_trees(shop, until, windows.choose, parts, choices, effort)
    asked = ask(shop, windows.choose, parts, choices.half_life_days)
    first, _ = fit_ranker(shop, windows.choose, asked, parts, choices, prior(), effort)
    judges = len(windows.judge.takers(MOST_JUDGES))
    effort.progress.say(f"judging by {judges} users of the last 10 %")
    parts = learn(shop, windows.judge.before, choices, effort)
    metrics = held_out(shop, frozen, windows.judge, parts, first, choices, effort)
    asked = ask(shop, windows.judge, parts, choices.half_life_days)
    ablation = without_each_part(shop, asked, first)
    final, by_shown = fit_ranker(shop, windows.judge, asked, parts, choices, first, effort)
    effort.progress.say("learning from the whole log")
    told = _told(rung, choices, first, ablation, by_shown)
    return Learnt(shop, learn(shop, log, choices, effort), final, choices, metrics, told)


def _climb(
    shop: Shop,
    windows: Windows,
    choices: Choices,
    parts: Parts,
    folder: Path,
    base_model: str,
    effort: Effort,
) -> tuple[str, Shop, Choices, Parts]:
    """The rung of the encoder whose vectors rank the choosing window best, "" for the frozen one.

    Each rung is tuned on what came before the choosing window, all layers where there are pairs
    enough; the best again on what came before the judging window, and kept in `folder`.
    """
    scores = {"": max(choices.evidence["adapter_ndcg@10"])}
    best, found = "", choices
    for rung in RUNGS:
        with tempfile.TemporaryDirectory() as scratch:
            trial, log = Path(scratch) / "encoder", windows.choose.before
            pairs = tune_encoder(shop, log, choices, rung, base_model, trial, effort)
            tuned = open_shop(shop.items, _embed(shop.items, trial, effort.threads))
        theirs, _ = choose_text(tuned, windows.choose, choices, parts.neighbours, effort)
        scores[rung] = max(theirs.evidence["adapter_ndcg@10"])
        effort.progress.say(f"text alone: frozen {scores['']:.4f}, {rung} {scores[rung]:.4f}")
        if scores[rung] > scores[best]:
            best, found = rung, theirs
        if pairs < PAIRS_FOR_ALL:
            break
    told = {name or "frozen": score for name, score in scores.items()}
    found = replace(found, evidence={**found.evidence, "encoder_ndcg@10": told})
    if best:
        tune_encoder(shop, windows.judge.before, found, best, base_model, folder, effort)
        shop = open_shop(shop.items, _embed(shop.items, folder, effort.threads))
        parts = learn(shop, windows.choose.before, found, effort)
    return best, shop, found, parts


def _unjudged(shop: Shop, log: EventLog, effort: Effort) -> Learnt:
    why = (
        f"the log has fewer than {FEWEST_USERS} users with something new in each of its last two "
        "tenths, so nothing that is learnt from it could be judged"
    )
    effort.progress.say(f"no held-out figures: {why}")
    behaviour = "item_knn" if log.positive.any() else "none"
    choices = Choices(behaviour=behaviour)
    told = {
        "learnt": {"rung": "frozen", "why": why, "weights": "set beforehand"},
        "p_interest": {"meaning": "not calibrated: there was nothing to calibrate by"},
        "baselines": choices.baselines.to_json(),
    }
    return Learnt(shop, learn(shop, log, choices, effort), prior(), choices, {}, told)


def _cut(shop: Shop, log: EventLog, effort: Effort) -> Windows | None:
    """The two windows, None where the log is too short for them."""
    if len(log) < FEWEST_USERS:
        return None
    choose_at, judge_at = (moment_of_share(log, share) for share in (CHOOSE_FROM, JUDGE_FROM))
    if not log.time[0] < choose_at < judge_at:
        return None
    rng = np.random.default_rng(effort.seed)
    end = float(np.nextafter(log.time[-1], np.inf))
    windows = Windows(
        open_window(shop, log, choose_at, judge_at, rng), open_window(shop, log, judge_at, end, rng)
    )
    few = min(len(windows.choose.takers()), len(windows.judge.takers())) < FEWEST_USERS
    return None if few else windows


def _told(
    rung: str, choices: Choices, ranker: Ranker, ablation: dict[str, float], by_shown: bool
) -> dict[str, Any]:
    why = {
        "frozen": "the tuned vectors ranked the choosing window no better than the plain ones",
        "adapter": "the tuned vectors ranked the choosing window better than the plain ones",
        "top_layers": "with its top layers tuned the encoder ranked the choosing window best",
        "all_layers": "with all its layers tuned the encoder ranked the choosing window best",
    }
    meaning = (
        "probability that the user takes (clicks or more) an item they see for the first time"
        if by_shown
        else "probability that the user takes (clicks or more) the item, out of all there are"
    )
    return {
        "learnt": {
            "rung": rung,
            "why": why[rung],
            "chosen": {
                k: v for k, v in asdict(choices).items() if k not in ("evidence", "baselines")
            },
            "evidence": dict(choices.evidence),
            "ndcg@10_without": ablation,
            "judged_weights": ranker.settings()["signals"],
        },
        "p_interest": {"meaning": meaning},
        "baselines": choices.baselines.to_json(),
    }


def _embed(items: Sequence[Item], folder: Path, threads: int) -> list[Embedding]:
    return embed(TextEncoder.load(folder, threads=threads), [item_text(item) for item in items])


def _model(learnt: Learnt, log: EventLog) -> Model:
    shop = learnt.shop
    digests = [text_digest(text) for text in shop.texts]
    first = {digest: row for row, digest in reversed(list(enumerate(digests)))}
    rows = list(first.values())
    return Model(
        version="",
        tower=learnt.parts.tower,
        neighbours=learnt.parts.neighbours,
        seen=[shop.items[n].item_id for n in np.unique(log.item)],
        ranker=learnt.ranker,
        half_life_days=learnt.choices.half_life_days,
        prepared=Prepared(
            list(first), shop.embeddings[rows].astype(np.float16), shop.unknown_share[rows]
        ),
    )


def summary(figures: Mapping[str, Any]) -> list[str]:
    """A few lines about the figures, for a terminal."""
    if not figures:
        return ["no held-out figures: the log is too short to be judged"]
    lines = [f"{figures['users']} users, full catalogue; NDCG@10 with its 95 % interval:"]
    lines.append(_line("this model", figures))
    lines += [_line(name, theirs) for name, theirs in figures["baselines"].items()]
    return lines


def _line(name: str, figures: Mapping[str, Any]) -> str:
    value, interval = figures["ndcg@10"], figures["ndcg@10_ci"]
    if value is None:
        return f"  {name:15} -"
    return f"  {name:15} {value:.4f}  ({interval[0]:.4f} to {interval[1]:.4f})"
