"""Does the support bot's search find the passage that answers, and does its answer come from there?

FeedbackQA, test part: 1,992 questions, each searched in its own collection (226 to 956 passages), a
passage as an article with its page's title and its section as a heading. BM25, dense and hybrid are
the service's own parts (`Knowledge`), in one run; a passage counts by its best piece. With --tuned
the encoder learns from the questions of the training part first.

Composed answers: for each question what would be said in its own collection, and in another one,
drawn at random, where nearly no question has an answer. Two trade-offs: evidence that means
something (a hedged answer) and evidence beyond chance (a plain one).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import ROOT, public_data, save, table
from core.data.pairs import TextPair
from core.evaluation.intervals import bootstrap_interval
from core.inference.encoder import UNKNOWN_LIMIT, Encoded, TextEncoder
from core.inference.export import export_base_encoder
from core.models import BUNDLED
from core.progress import Progress
from core.text import normalize
from services.customer_service.articles import Article, make_article, passages_of
from services.customer_service.compose import compose
from services.customer_service.contrast import CONTRAST
from services.customer_service.knowledge import Found, Knowledge, Vectors

FOLDER = ROOT / "var" / "bench"
THREADS = int(os.environ.get("TREFOIL_BENCH_THREADS", "2"))
Floats = npt.NDArray[np.float32]
BARS = {"frozen": 0.475, "tuned": 0.56}
DEPTH = 10


@dataclass(frozen=True)
class Question:
    text: str
    collection: str
    relevant: str


@dataclass
class Collection:
    """Its articles, one a passage of the set, and what searches them."""

    ids: list[str]
    knowledge: Knowledge
    keys: list[str]
    embeddings: Floats

    def passage_id(self, address: str) -> str:
        """Of `/p17`, or of the key `p17#2` of one of its pieces."""
        return self.ids[int(address.lstrip("/p").split("#")[0])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tuned", action="store_true", help="tune the encoder too")
    parser.add_argument("--part", default="test", choices=["test", "valid"])
    parser.add_argument("--reuse", action="store_true", help="the tuned encoder of an earlier run")
    asked = parser.parse_args()
    folder = public_data("feedbackqa")
    if folder is None:
        return
    lines: list[dict[str, Any]] = []
    encoders = {"frozen": _frozen()}
    if asked.tuned:
        encoders["tuned"] = _tuned(folder, encoders["frozen"], reuse=asked.reuse)
    questions = questions_of(folder, asked.part)
    for name, encoder in encoders.items():
        lines += judge(name, encoder, folder, questions)
    header = ("encoder", "system", "figure", "value", "95 %", "rows", "bar")
    print()
    table(header, [[line[key] for key in header] for line in lines])
    save("feedbackqa", {"part": asked.part, "lines": lines})


def _tuned(folder: Path, frozen: TextEncoder, *, reuse: bool) -> TextEncoder:
    """The encoder after the questions of the training part, each with the piece of its passage that
    the frozen one finds nearest."""
    place = FOLDER / "feedbackqa_tuned"
    if not (reuse and place.is_dir()):
        from core.training.biencoder import DEFAULTS, train_bi_encoder

        passages = passages_by_collection(folder)
        pairs = []
        for question in questions_of(folder, "train"):
            pieces = passages_of(passages[question.collection][question.relevant])
            texts = [piece.searched for piece in pieces]
            near = frozen.encode(texts).embeddings @ frozen.encode([question.text]).embeddings[0]
            pairs.append(TextPair(question.text, texts[int(near.argmax())]))
        config = replace(DEFAULTS, tune="top", top_layers=3, learning_rate=1e-4, max_tokens=96)
        began = time.monotonic()
        train_bi_encoder(pairs, place, config=config, threads=THREADS, progress=Progress())
        print(f"tuned on {len(pairs)} questions in {time.monotonic() - began:.0f} s", flush=True)
    return TextEncoder.load(place / "encoder", threads=THREADS)


def _frozen() -> TextEncoder:
    place = FOLDER / "search_encoder"
    if not place.is_dir():
        export_base_encoder(place, BUNDLED)
    return TextEncoder.load(place, threads=THREADS)


def questions_of(folder: Path, part: str) -> list[Question]:
    """Of one part; the sets of Quebec are left out, as their official splits are others."""
    with (folder / "queries.csv").open(encoding="utf-8", newline="") as file:
        return [
            Question(normalize(row["query"]), row["collection"], row["relevant_passage_id"])
            for row in csv.DictReader(file)
            if row["split"] == part and not row["collection"].startswith("Quebec")
        ]


def passages_by_collection(folder: Path) -> dict[str, dict[str, Article]]:
    """Collection → passage id → article."""
    found: dict[str, dict[str, Article]] = {}
    for line in (folder / "passages.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        of = found.setdefault(row["collection"], {})
        title = (row["page_title"] or row["section"] or "Untitled")[:500]
        heading = f"## {row['section']}\n\n" if row["section"] else ""
        # Its address tells which one an answer cites.
        number = len(of)
        article = make_article(
            f"p{number}", title=title, body=heading + row["text"], url=f"/p{number}"
        )
        of[row["passage_id"]] = article
    return found


def collection(articles: Mapping[str, Article], encoder: TextEncoder) -> Collection:
    """Read all its passages."""
    pieces = [piece for article in articles.values() for piece in passages_of(article)]
    texts = [*(piece.searched for piece in pieces), *CONTRAST]
    vectors = encoder.encode(texts).embeddings
    of = dict(zip([*(p.digest for p in pieces), *CONTRAST], vectors, strict=True))
    unknown = [tokens.unknown_share for tokens in encoder.tokenize(CONTRAST)]
    readable = np.array(unknown) <= UNKNOWN_LIMIT
    known = Vectors(encoder.encoder_id, encoder.dimensions, of, readable)
    knowledge = Knowledge(list(articles.values()), known)
    return Collection(list(articles), knowledge, [p.key for p in pieces], vectors[: len(pieces)])


def judge(
    name: str, encoder: TextEncoder, folder: Path, questions: Sequence[Question]
) -> list[dict[str, Any]]:
    """All figures of one encoder."""
    began = time.monotonic()
    wanted = {q.collection for q in questions}
    collections = {
        key: collection(articles, encoder)
        for key, articles in passages_by_collection(folder).items()
        if key in wanted
    }
    encoded = encoder.encode([q.text for q in questions])
    print(f"{name}: read in {time.monotonic() - began:.0f} s", flush=True)
    lines = []
    for system in ("BM25", "dense", "hybrid"):
        ranks = np.array(
            [
                rank_of(system, collections[q.collection], q, _embedding(encoded, row))
                for row, q in enumerate(questions)
            ]
        )
        for figure, values in (
            ("MRR@10", np.where(ranks <= DEPTH, 1 / ranks, 0.0)),
            ("recall@1", (ranks <= 1).astype(float)),
            ("recall@5", (ranks <= 5).astype(float)),
        ):
            bar = BARS[name] if (system, figure) == ("hybrid", "MRR@10") else None
            lines.append(_line(name, system, figure, values, bar))
    return lines + composed_lines(name, collections, questions, encoded)


def _embedding(encoded: Encoded, row: int) -> Any:
    return encoded.embeddings[row] if encoded.readable[row] else None


def rank_of(system: str, of: Collection, question: Question, embedding: Any) -> float:
    """The rank of the relevant passage among distinct passages, infinite where it isn't found."""
    if system == "dense":
        keys = [of.keys[row] for row in np.argsort(-(of.embeddings @ embedding), kind="stable")]
    else:
        found = of.knowledge.search(question.text, embedding if system == "hybrid" else None)
        keys = [scored.passage.key for scored in found.passages]
    seen = dict.fromkeys(map(of.passage_id, keys))
    return next((n for n, key in enumerate(seen, 1) if key == question.relevant), math.inf)


def composed_lines(
    name: str,
    collections: Mapping[str, Collection],
    questions: Sequence[Question],
    encoded: Encoded,
) -> list[dict[str, Any]]:
    """What is answered at home and abroad."""
    rng = np.random.default_rng(0)
    keys = sorted(collections)
    lines = []
    home: dict[str, list[tuple[bool, bool]]] = {"some": [], "strong": []}
    abroad: dict[str, list[bool]] = {"some": [], "strong": []}
    for row, question in enumerate(questions):
        other = str(rng.choice([key for key in keys if key != question.collection]))
        for place, key in (("home", question.collection), ("abroad", other)):
            of = collections[key]
            found = of.knowledge.search(question.text, _embedding(encoded, row))
            for trade in ("some", "strong"):
                addresses = cited(found, getattr(found.bars, trade))
                if place == "abroad":
                    abroad[trade].append(bool(addresses))
                else:
                    right = question.relevant in map(of.passage_id, addresses)
                    home[trade].append((bool(addresses), right))
    for trade, answered in home.items():
        said = np.array([a for a, _ in answered], dtype=float)
        cites = np.array([r for a, r in answered if a], dtype=float)
        system = f"composed, {trade} evidence"
        lines.append(_line(name, system, "answered", said, None))
        lines.append(_line(name, system, "of these, cites the relevant one", cites, None))
        false = np.array(abroad[trade], dtype=float)
        lines.append(_line(name, system, "answered in another collection", false, None))
    return lines


def cited(found: Found, needed: float) -> list[str]:
    """Addresses that the composed answer cites, none where it stays silent."""
    if found.evidence < needed:
        return []
    composed = compose(found.words, found.passages, found.bars.some, "en")
    return [] if composed is None else [source.url for source in composed.sources]


def _line(
    encoder: str, system: str, figure: str, values: np.ndarray[Any, Any], bar: float | None
) -> dict[str, Any]:
    value = float(values.mean())
    low, high = bootstrap_interval(values, np.random.default_rng(0))
    held = "" if bar is None else f"{bar:g} {'held' if value >= bar else 'MISSED'}"
    line = {
        "encoder": encoder,
        "system": system,
        "figure": figure,
        "value": f"{value:.4f}",
        "95 %": f"{low:.4f}–{high:.4f}",
        "rows": len(values),
        "bar": held,
    }
    print(" ".join(str(v) for v in line.values()), flush=True)
    return line


if __name__ == "__main__":
    main()
