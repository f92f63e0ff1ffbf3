"""Twitter financial news, 20 topics: accuracy on the official validation part."""

from __future__ import annotations

from benchmarks.quality.common import Bar
from benchmarks.quality.twitter import judge

if __name__ == "__main__":
    judge(
        "twitter_topic",
        "topic",
        "topic",
        {"accuracy": (lambda truth, best: float((truth == best).mean()), Bar(0.87, 0.91))},
    )
