"""Which companies do some texts name, with which sentiment towards each, in one pass of the model?

`companies_of` is what everybody calls who labels stories: it adds a row to the batch for each
clause that clauses.py sets apart, lets the model read all of it at once, and gives back the reading
of the texts alone with the companies beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.finance_sentiment.clauses import Basis, Said, told_apart
from services.finance_sentiment.domain import Label
from services.finance_sentiment.linking import CompanyLinker
from services.finance_sentiment.merging import Reading


@dataclass(frozen=True, slots=True)
class CompanySentiment:
    """What a story says of a company. `basis`: how it is known, see clauses.py; a rule gives no
    probabilities. The sentiment is None where the model cannot read the text."""

    company: str
    basis: Basis
    sentiment: str | None
    p_negative: float | None
    p_neutral: float | None
    p_positive: float | None


def planned(
    linker: CompanyLinker | None, texts: Sequence[str]
) -> tuple[list[str], list[list[Said]]]:
    """(clauses that are to be read beside the texts, the companies of each text)."""
    if linker is None:
        return [], [[] for _ in texts]
    said = [told_apart(text, linker.link(text)) for text in texts]
    clauses = [one.clause for companies in said for one in companies if one.basis == "clause"]
    return list(dict.fromkeys(clauses)), said


def resolved(
    said: Sequence[Sequence[Said]], labels: Sequence[Label], clauses: dict[str, Label]
) -> list[list[CompanySentiment]]:
    """The companies of each text with their sentiments; `labels` of the texts, `clauses` by their
    words."""
    return [
        [_judged(one, label, clauses) for one in companies]
        for companies, label in zip(said, labels, strict=True)
    ]


def companies_of(
    linker: CompanyLinker | None,
    texts: Sequence[str],
    read: Callable[[Sequence[str]], Reading],
) -> tuple[Reading, list[list[CompanySentiment]]]:
    """(what the model says of the texts, the companies of each). Without a linker no text names
    any, and nothing more is read than the texts."""
    extra, said = planned(linker, texts)
    reading = read([*texts, *extra])
    number = len(texts)
    clauses = dict(zip(extra, reading.labels[number:], strict=True))
    vectors = None if reading.vectors is None else reading.vectors[:number]
    own = Reading(reading.labels[:number], vectors)
    return own, resolved(said, own.labels, clauses)


def _judged(said: Said, story: Label, clauses: dict[str, Label]) -> CompanySentiment:
    if said.basis == "rule" and story.readable:
        return CompanySentiment(said.company, "rule", said.sentiment, None, None, None)
    clause = clauses.get(said.clause)
    # A clause is shorter than its story: the model may be able to read the one and not the other.
    basis: Basis = "clause" if clause is not None and clause.readable else "story"
    label = clause if clause is not None and basis == "clause" else story
    return CompanySentiment(
        said.company, basis, label.sentiment, label.p_negative, label.p_neutral, label.p_positive
    )
