"""Does a newly trained model earn the live one's place, by what happened after both were trained?

    no live model     the candidate is trained on the whole log. Its own figures, of the last tenth
                      that its judged version had not seen, must not be worse than those of the
                      better of `popular` and `recent_popular`.
    a live model      log:  [ .... live model trained on ..... | new events ............... ]
                            [ judged version trained on ................ | both are judged ]
                                                                       `split`
                      Both rank the full catalogue for the same users as of `split`, which neither
                      was trained beyond. The candidate passes where it is not worse: over all, and
                      on items without an event before `split`. Then the model that goes live is
                      trained on the whole log with the same options.

Worse means that the whole 95 % interval of the difference (paired bootstrap over users, NDCG@10)
lies below 0. What is chance is not held against a model, nor for it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.artifacts import Manifest, read_manifest
from core.data.readers import read_events, read_items
from core.data.records import Item
from core.errors import ArtifactError, ModelError
from core.evaluation.intervals import paired_bootstrap
from core.inference.encoder import TextEncoder
from core.inference.export import export_base_encoder
from core.progress import SILENT, Progress
from services.recommender.baselines import BaselineSettings
from services.recommender.domain import item_text, text_digest
from services.recommender.exporting import write_events
from services.recommender.figures import Judged, empty_report, judge, report
from services.recommender.learning.asked import rivals, served
from services.recommender.learning.log import EventLog, moment_of_share, read_log
from services.recommender.learning.parts import Effort, Parts
from services.recommender.learning.shop import Shop, open_shop
from services.recommender.learning.window import Window, open_window
from services.recommender.model import Embedding, Model, embed, load_encoder, load_model
from services.recommender.train import FEWEST_USERS, JUDGE_FROM, train

# Users that judge, drawn from all there are: more would cost minutes and narrow nothing.
MOST_USERS: Final = 5_000
# Slices of new items in which a candidate must not be worse, where enough users took one.
COLD: Final = ("cold_items", "cold_among_cold")
POPULAR: Final = ("popular", "recent_popular")


@dataclass(frozen=True)
class Verdict:
    """`reasons` against the candidate, none where it passed; `figures` for people to read."""

    reasons: tuple[str, ...]
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class Options:
    """How a candidate is trained."""

    preset: str
    base_model: str
    seed: int = 0
    threads: int = 2


def make_candidate(
    items: Path,
    events: Path,
    output: Path,
    options: Options,
    *,
    live: Path | None = None,
    live_until: float | None = None,
    progress: Progress = SILENT,
) -> Verdict:
    """Train on the files and judge. `output` holds the model that may go live, or the one that was
    refused; nothing where too little came after `live_until` (Unix seconds, the newest event that
    the model in `live` was trained on) to judge by.

    Raises DataError for files that cannot be used, ArtifactError or ModelError for a model.
    """
    catalogue, records = read_items(items), read_events(events, allow_empty=True)
    theirs = None if live is None else _open_live(live, catalogue, options.threads, progress)
    if theirs is None:
        _train(items, events, output, options, progress)
        return against_popular(read_manifest(output))
    assert live_until is not None, "a live model comes with the end of its log"
    window, told = later_window(theirs.shop, read_log(catalogue, records).log, live_until)
    if window is None:
        return Verdict((told,), {})
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        judged, before = Path(scratch) / "model", Path(scratch) / "before.jsonl"
        write_events(before, [event for event in records if event.timestamp < window.start])
        progress.say(f"training on what came before the {len(window)} users that judge")
        _train(items, before, judged, options, progress)
        ours = _Judge.open(judged, catalogue, options.threads)
        verdict = compared(theirs, ours, window, Effort(options.seed, options.threads, progress))
        if verdict.reasons:
            judged.rename(output)
            return verdict
    progress.say("not worse than the live model; training on the whole log")
    _train(items, events, output, options, progress)
    return verdict


def _open_live(
    live: Path, catalogue: Sequence[Item], threads: int, progress: Progress
) -> _Judge | None:
    """The live model, None where its files make no sense to this program (one of an earlier
    version, say): it answers nobody, so it has no place to defend."""
    try:
        return _Judge.open(live, catalogue, threads)
    except (ArtifactError, ModelError) as error:
        if isinstance(error.__cause__, OSError):
            raise  # the disk did not give them
        progress.say(f"the live model cannot be read, and is not compared with: {error}")
        return None


def _train(items: Path, events: Path, output: Path, options: Options, progress: Progress) -> None:
    train(
        items,
        events,
        output,
        preset=options.preset,
        base_model=options.base_model,
        seed=options.seed,
        threads=options.threads,
        progress=progress,
    )


def against_popular(manifest: Manifest) -> Verdict:
    """The first model: against the better of two rankings that know nobody. Weights that were set
    beforehand, where the log is too short to judge anything, have nothing to prove."""
    metrics = manifest.metrics
    if not metrics:
        why = manifest.settings["learnt"]["why"]
        return Verdict((), {"compared": f"with nothing: {why}"})
    figures = {name: metrics["baselines"][name]["ndcg@10"] for name in POPULAR}
    best = max(POPULAR, key=lambda name: figures[name] or 0.0)
    gain = metrics["gain_over"][best]
    told = {"compared": f"with {best}", "ndcg@10": metrics["ndcg@10"], **metrics}
    if gain["ndcg@10_ci"] is not None and gain["ndcg@10_ci"][1] < 0:
        low, high = gain["ndcg@10_ci"]
        reason = (
            f"NDCG@10 is {metrics['ndcg@10']:.4f}, that of {best} {figures[best]:.4f} "
            f"(difference {low:+.4f} to {high:+.4f})"
        )
        return Verdict((reason,), told)
    return Verdict((), told)


def later_window(shop: Shop, log: EventLog, live_until: float) -> tuple[Window | None, str]:
    """(who judges a candidate against a model trained up to `live_until`, why there is nobody).

    The last tenth of the log, as a training judges itself, in so far as it is all later; else
    everything later.
    """
    earliest = float(np.nextafter(live_until, np.inf))
    if not len(log) or log.time[-1] < earliest:
        return None, "nothing happened after the events that the live model was trained on"
    end = float(np.nextafter(log.time[-1], np.inf))
    users = 0
    for start in sorted({max(earliest, moment_of_share(log, JUDGE_FROM)), earliest}, reverse=True):
        window = open_window(shop, log, start, end, np.random.default_rng(0)).takers(MOST_USERS)
        users = len(window)
        if users >= FEWEST_USERS:
            return window, ""
    return None, (
        f"{users} users took something new after the events that the live model was trained on; "
        f"{FEWEST_USERS} are needed to compare"
    )


@dataclass(frozen=True)
class _Judge:
    """A model with the catalogue as its encoder sees it."""

    model: Model
    manifest: Manifest
    shop: Shop

    @classmethod
    def open(cls, folder: Path, catalogue: Sequence[Item], threads: int) -> _Judge:
        model = load_model(folder)
        texts = {text_digest(text): text for text in map(item_text, catalogue)}
        found: dict[str, Embedding] = {d: e for d in texts if (e := model.prepared.get(d))}
        new = [digest for digest in texts if digest not in found]
        if new:
            encoder = load_encoder(folder, threads)
            found |= zip(new, embed(encoder, [texts[d] for d in new]), strict=True)
        embeddings = [found[text_digest(item_text(item))] for item in catalogue]
        return cls(model, read_manifest(folder), open_shop(catalogue, embeddings))

    def ranking(self, window: Window, frozen: Shop) -> Judged:
        """Its figures on these users; `frozen` tells how alike the items of a list are."""
        model = self.model
        parts = Parts(model.tower, model.neighbours)
        method = served(self.shop, window, parts, model.half_life_days, model.ranker)
        return judge(window.task(frozen), method)


def compared(live: _Judge, ours: _Judge, window: Window, effort: Effort) -> Verdict:
    """The candidate against the live model on the same users, the usual methods beside."""
    rng = np.random.default_rng(effort.seed)
    frozen = _frozen(live, ours, effort.threads)
    mine, theirs = ours.ranking(window, frozen), live.ranking(window, frozen)
    figures: dict[str, Any] = {
        "compared": "with the live model, on events that neither was trained on",
        "users": len(window),
        "judged_from": window.start,
        "candidate": report(mine, rng),
        "live": report(theirs, rng),
        "baselines": {},
    }
    settings = BaselineSettings.from_json(ours.manifest.settings.get("baselines", {}))
    for name, method in rivals(frozen, window, settings, effort).items():
        found = None if method is None else judge(window.task(frozen), method)
        figures["baselines"][name] = empty_report() if found is None else report(found, rng)
    reasons, figures["difference"] = differences(mine, theirs, rng)
    return Verdict(tuple(reasons), figures)


def _frozen(live: _Judge, ours: _Judge, threads: int) -> Shop:
    """The catalogue as the base model sees it: either model's own, unless both tuned theirs."""
    for one in (ours, live):
        if one.manifest.settings["learnt"]["rung"] in ("frozen", "adapter"):
            return one.shop
    with tempfile.TemporaryDirectory() as scratch:
        export_base_encoder(Path(scratch), ours.manifest.base_model)
        encoder = TextEncoder.load(Path(scratch), threads=threads)
        return open_shop(ours.shop.items, embed(encoder, ours.shop.texts))


def differences(
    mine: Judged, theirs: Judged, rng: np.random.Generator
) -> tuple[list[str], dict[str, Any]]:
    """(what speaks against mine, NDCG@10 of mine minus theirs over all and on new items). A slice
    with fewer than FEWEST_USERS users is shown and decides nothing."""
    reasons: list[str] = []
    told: dict[str, Any] = {}
    pairs = {"overall": (mine.overall, theirs.overall)}
    pairs |= {name: (mine.slices[name], theirs.slices[name]) for name in COLD}
    for name, (one, other) in pairs.items():
        a, b = one.per_user["ndcg@10"], other.per_user["ndcg@10"]
        found = paired_bootstrap(a, b, rng)
        defined = int((~np.isnan(a - b)).sum())
        interval = [found.low, found.high] if defined else None
        decides = name == "overall" or defined >= FEWEST_USERS
        told[name] = {
            "users": defined,
            "ndcg@10": found.difference if defined else None,
            "ndcg@10_ci": interval,
            "decides": decides,
        }
        if decides and found.is_worse:
            reasons.append(
                f"{name.replace('_', ' ')}: NDCG@10 is {np.nanmean(a):.4f}, the live model's "
                f"{np.nanmean(b):.4f} (difference {found.low:+.4f} to {found.high:+.4f}, "
                f"{defined} users)"
            )
    return reasons, told
