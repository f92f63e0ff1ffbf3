"""Does a rule or a channel wait for something that nobody will ever say?

Pure. A topic or a company that is misspelt in a list raises no error: new topics come with a new
model, and companies with a new list. But what waits for it alone would be silent for ever, so the
worker says so in its log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from services.finance_sentiment.channels import Channel
from services.finance_sentiment.rules import Rule
from services.finance_sentiment.series import series_labels

_LABELS = ("topic", "company")


def unknown_names(
    rules: Sequence[Rule],
    channels: Sequence[Channel],
    topics: Collection[str],
    companies: Collection[str],
) -> list[str]:
    """One sentence for each name that is neither a topic nor a company of these."""
    known = {"topic": topics, "company": companies}
    return [
        f"{where} waits for the {label} {value!r:.100}, which is not known; known are: "
        f"{', '.join(sorted(known[label])[:20]) or 'none'}"
        for where, label, value in _waited_for(rules, channels)
        if value not in known[label]
    ]


def _waited_for(
    rules: Sequence[Rule], channels: Sequence[Channel]
) -> Iterator[tuple[str, str, str]]:
    """(who, topic or company, the value)."""
    for rule in rules:
        labels = series_labels(rule.topic)
        for label in _LABELS:
            if labels[label]:
                yield f"the rule {rule.name}", label, str(labels[label])
    for channel in channels:
        for matcher in channel.matchers:
            if matcher.name in _LABELS and matcher.operator == "=" and matcher.value:
                yield f"the channel {channel.name}", matcher.name, matcher.value
