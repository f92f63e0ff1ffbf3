"""How many unsupported sentences does the grounding check let through, and how many good ones?

    python -m benchmarks.grounding

FeedbackQA passages (CDC, WHO, UK, Australia). A sentence of one passage is held against each of
the five other passages of its collection that BM25 finds for it; passages that hold it or nearly
the same sentence are left out. Such a pair should mostly be refused, though some are true by
chance. The other way round, a sentence is held against its own passage after a share of its words
was replaced by words of other sentences, which is what a rewording looks like at its worst; and
after one fact of it was changed, which should never pass.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.common import public_data, save, table
from core.retrieval.lexical import LexicalIndex
from core.text import word_tokens
from services.customer_service.articles import Passage
from services.customer_service.evidence import WordWeights, words_of
from services.customer_service.grounding import ENOUGH, Evidence, objection, support

COLLECTIONS = ("Australia", "CDC", "UK", "WHO")
BARS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
REPLACED = (0.1, 0.2, 0.3, 0.4)
NEAREST, ALIKE, HELD = 5, 0.6, 0.9

Weigh = Callable[..., Mapping[str, float]]
_AUXILIARY = re.compile(r"\b(can|should|must|will|is|are|may)\b(?! not)(?!n't)")


def read(folder: Path) -> dict[str, list[Passage]]:
    """The passages of each collection."""
    found: dict[str, list[Passage]] = defaultdict(list)
    with (folder / "passages.jsonl").open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            found[row["collection"]].append(
                Passage(
                    row["passage_id"],
                    row["passage_id"],
                    row["page_title"] or "",
                    row["uri"] or "",
                    "en",
                    row["section"] or "",
                    row["text"],
                )
            )
    return found


def holds(words: frozenset[str], evidence: Evidence) -> bool:
    """Whether the passage has this sentence, or nearly."""
    others = [words_of(sentence) for sentence in evidence.sentences]
    return any(
        len(words & other) >= ALIKE * len(words | other) or len(words & other) >= HELD * len(words)
        for other in others
    )


def measure(passages: Sequence[Passage], sentences: int, rng: random.Random) -> Counter[str]:
    """Counts by what was done and what came of it."""
    counts: Counter[str] = Counter()
    weigh = WordWeights([words_of(p.searched) for p in passages]).weigh
    lexical = LexicalIndex()
    lexical.add([p.key for p in passages], [p.searched for p in passages])
    lexical.refresh()
    evidence = {p.key: Evidence.of(p) for p in passages}
    pool = [
        (p.key, s)
        for p in passages
        for s in evidence[p.key].sentences
        if 5 <= len(word_tokens(s)) <= 40
    ]
    vocabulary = [word for _, sentence in pool for word in word_tokens(sentence)]
    for key, sentence in rng.sample(pool, min(sentences, len(pool))):
        counts["own"] += 1
        counts["own kept"] += not objection(sentence, evidence[key], weigh)
        for hit in lexical.search(sentence, NEAREST + 1):
            if hit.id != key and not holds(words_of(sentence), evidence[hit.id]):
                counts["foreign"] += 1
                _bars(counts, "foreign", sentence, evidence[hit.id], weigh)
        for share in REPLACED:
            words = [
                rng.choice(vocabulary) if rng.random() < share else word
                for word in word_tokens(sentence)
            ]
            counts[f"replaced {share}"] += 1
            _bars(counts, f"replaced {share}", " ".join(words), evidence[key], weigh)
        _changed(counts, sentence, evidence[key], weigh)
    return counts


def _bars(counts: Counter[str], what: str, sentence: str, evidence: Evidence, weigh: Weigh) -> None:
    found = support(sentence, evidence, weigh)
    # Words that stand in for others make names and numbers too: there, words alone are judged.
    fine = what != "foreign" or not objection(sentence, evidence, weigh, 0.0)
    for bar in BARS:
        counts[f"{what} at {bar}"] += fine and found >= bar


def _changed(counts: Counter[str], sentence: str, evidence: Evidence, weigh: Weigh) -> None:
    changes = {
        "number": re.sub(r"\d+", lambda m: str(int(m.group()[:9]) * 7 + 3), sentence),
        "denial": _AUXILIARY.sub(r"\1 not", sentence, count=1),
        "agreement": re.sub(r" not\b|n't\b", "", sentence, count=1),
    }
    for name, changed in changes.items():
        if changed != sentence:
            counts[f"changed {name}"] += 1
            counts[f"changed {name} kept"] += not objection(changed, evidence, weigh)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=300, help="of each collection")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = public_data("feedbackqa")
    if folder is None:
        return
    passages = read(folder)
    counts: Counter[str] = Counter()
    for name in COLLECTIONS:
        counts += measure(passages[name], arguments.sentences, random.Random(arguments.seed))
    kinds = ["foreign", *[f"replaced {share}" for share in REPLACED]]
    shares = {k: {str(bar): counts[f"{k} at {bar}"] / counts[k] for bar in BARS} for k in kinds}
    table(["kept at", *kinds], [[b, *[f"{shares[k][str(b)]:.3f}" for k in kinds]] for b in BARS])
    single = {
        name: counts[f"{name} kept"] / max(counts[name], 1)
        for name in ("own", "changed number", "changed denial", "changed agreement")
    }
    print({name: round(share, 4) for name, share in single.items()}, dict(counts.most_common(8)))
    save(
        "grounding",
        {
            "sentences": counts["own"],
            "foreign_pairs": counts["foreign"],
            "bar": ENOUGH,
            "kept": shares,
            "kept_at_the_bar": single,
            "rows": {name: counts[name] for name in single},
        },
    )


if __name__ == "__main__":
    main()
