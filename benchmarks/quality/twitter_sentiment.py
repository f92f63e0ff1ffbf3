"""Twitter financial news, three sentiments: weighted F1 on the official validation part."""

from __future__ import annotations

from benchmarks.quality.common import Bar
from benchmarks.quality.twitter import judge
from core.evaluation.classification import macro_f1, weighted_f1

if __name__ == "__main__":
    judge(
        "twitter_sentiment",
        "label_name",
        "sentiment",
        {"weighted F1": (weighted_f1, Bar(0.865, 0.90)), "macro F1": (macro_f1, None)},
    )
