"""What does a story that names several companies say of each?

Pure. A story of one company says of it what it says at all. Where several are named, the text is
cut into clauses (ends of sentences, semicolons, "while", "but", "as", 而, 但, and commas that a
clause with a company of its own follows), and each company gets the clauses that name it, read by
the model as one more row of the same batch. What joins companies stays together: "A and B rise" is
one clause of both. Two companies of one clause cannot be told apart that way: for the few verbs
that say of two companies who gains and who loses ("A overtakes B", 起诉) a rule decides
(company_roles.yaml); for all others the story's own label holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import yaml

from core.text import normalize
from services.finance_sentiment.linking import Mention, fold

# story: the label of the whole story · clause: of what is said beside it · rule: by its verb
Basis = Literal["story", "clause", "rule"]
# More are not told apart: a list of the market's winners is no story of each.
MAX_COMPANIES = 8
_MOST_MENTIONS = 40
_LONGEST_BETWEEN = 80

_ROLES: Mapping[str, Any] = yaml.safe_load(
    Path(__file__).with_name("company_roles.yaml").read_text(encoding="utf-8")
)
# Normalised text: full-width commas, semicolons and marks have become plain ones.
_HARD = re.compile(
    r"(?<=[.!?])\s+(?=\S)|[;。!?…](?=[^\W\d])|;|\s+[–—-]\s+"
    r"|,?\s+(?:while|whereas|but|though|although|even as|yet|as|after|leaving)\s+"
    r"|,?(?:而(?!且)|但是|但|同时|不过|相反)",
    re.IGNORECASE,
)
_SOFT = re.compile(r",(?!\d)\s*(?:and\s+|并|且)?|\s+and\s+|、|\s*(?:和|与|與)", re.IGNORECASE)
# The word that leads on to the next clause.
_JOINT = re.compile(
    r"[\s,]*(?:\b(?:while|whereas|but|though|although|even as|yet|as|after|leaving|and)"
    r"|而|但是|但|同时|不过|相反|并且?|且)\s*$",
    re.IGNORECASE,
)
# What only says of which kind the next company is.
_KIND = re.compile(r"(?:(?:its|the|a|rivals?|peers?|fellow|parent|unit|of|then|larger|smaller) ?)+")
_MOST_LEADING = 2


@dataclass(frozen=True, slots=True)
class Said:
    """How one company of a story is judged: by the story's label, by the text of `clause`, or as
    `sentiment` says."""

    company: str
    basis: Basis
    clause: str = ""
    sentiment: str = ""


def told_apart(text: str, mentions: Sequence[Mention]) -> list[Said]:
    """Every company of the text once, in the order of its first mention. `mentions`: of
    `CompanyLinker.link(text)`."""
    companies = list(dict.fromkeys(mention.company for mention in mentions))
    if not 1 < len(companies) <= MAX_COMPANIES or len(mentions) > _MOST_MENTIONS:
        return [Said(company, "story") for company in companies]
    text = normalize(text)
    ruled = by_rule(text, mentions)
    parts = clauses(text, mentions)
    found = []
    for company in companies:
        if company in ruled:
            found.append(Said(company, "rule", sentiment=ruled[company]))
            continue
        clause = _clause_of(company, text, mentions, parts)
        found.append(Said(company, "clause", clause) if clause else Said(company, "story"))
    return found


def clauses(text: str, mentions: Sequence[Mention]) -> list[tuple[int, int]]:
    """(start, end) of the clauses of a normalised text. One that names no company belongs to the
    one before it, or after it at the start."""
    cuts = {0, len(text)}
    for match in _HARD.finditer(text):
        if not _inside(match, mentions):
            cuts.add(match.end())
    for match in _SOFT.finditer(text):
        if not _inside(match, mentions) and _opens_a_clause(text, match, mentions):
            cuts.add(match.end())
    edges = sorted(cuts)
    found: list[tuple[int, int]] = []
    for low, high in pairwise(edges):
        named = any(low <= mention.start < high for mention in mentions)
        before = found and any(found[-1][0] <= m.start < found[-1][1] for m in mentions)
        if found and not (named and before):
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def _inside(match: re.Match[str], mentions: Sequence[Mention]) -> bool:
    return any(m.start < match.end() and match.start() < m.end for m in mentions)


def _opens_a_clause(text: str, match: re.Match[str], mentions: Sequence[Mention]) -> bool:
    """Whether a comma or an "and" stands between two companies of which each has words of its
    own: "A rises, B falls", not "A, B and C rise"."""
    before = [m for m in mentions if m.end <= match.start()]
    after = [m for m in mentions if m.start >= match.end()]
    if not before or not after:
        return False
    own = re.search(r"\w", text[before[-1].end : match.start()])
    lead = text[match.end() : after[0].start]
    # "upgrade A and downgrade B": a verb of its own, not only what kind of company it is.
    leading = lead.split()
    if not own and (not leading or _KIND.fullmatch(lead.strip())):
        return False
    # What follows the comma begins with the company, or with hardly more than its kind.
    return len(leading) <= _MOST_LEADING and (lead.isascii() or len(lead) <= 2)


def _clause_of(
    company: str, text: str, mentions: Sequence[Mention], parts: Sequence[tuple[int, int]]
) -> str:
    """The clauses that name this company, "" where they tell it from no other."""
    own = [
        (low, high)
        for low, high in parts
        if any(low <= m.start < high for m in mentions if m.company == company)
    ]
    alone = [
        (low, high)
        for low, high in own
        if all(m.company == company for m in mentions if low <= m.start < high)
    ]
    chosen = alone or own
    if len(chosen) == len(parts):
        return ""
    return " ".join(_JOINT.sub("", text[low:high]).strip(" ,;、") for low, high in chosen)


# --- verbs of two companies --------------------------------------------------------------------


def by_rule(text: str, mentions: Sequence[Mention]) -> dict[str, str]:
    """Company → sentiment, where a verb says of two companies who gains and who loses."""
    folded = fold(text)
    found: dict[str, str] = {}
    for one, other in pairwise(mentions):
        if one.company == other.company:
            continue
        between = folded[one.end : other.start]
        if len(between) > _LONGEST_BETWEEN:
            continue
        behind = folded[other.end : other.end + 40]
        for role in _RULES:
            if role.pattern.fullmatch(between) and role.behind.match(behind):
                for company, said in ((one.company, role.first), (other.company, role.second)):
                    if said:
                        found.setdefault(company, said)
                break
    return found


@dataclass(frozen=True, slots=True)
class _Role:
    pattern: re.Pattern[str]
    behind: re.Pattern[str]
    first: str
    second: str


_RULES = tuple(
    _Role(
        re.compile(str(role["between"])),
        re.compile(str(role.get("behind", ""))),
        str(role.get("first", "")),
        str(role.get("second", "")),
    )
    for role in _ROLES["roles"]
)
