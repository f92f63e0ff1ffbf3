"""Which questions mean the same, and what would a person call each group of them?

Pure: texts and vectors in, group numbers and words out, nothing random. A text that the encoder
cannot read is compared by its words alone, and never grouped with one that was read.

Grouping is average linkage on cosine similarity (Sokal and Michener 1958), by nearest-neighbour
chains (Murtagh 1983, "A Survey of Recent Advances in Hierarchical Clustering Algorithms"): two
groups are joined while the mean similarity of their members reaches a threshold.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from core.text import comparison_key, is_cjk_heavy, word_tokens

FloatArray = npt.NDArray[np.float32]
Booleans = npt.NDArray[np.bool_]

# Memory grows with the square of what is compared at once: 3,000 texts take 36 MB.
_AT_ONCE: Final = 3000
# Words are hashed to this many columns; two words that share one are told apart by their sign.
_WORD_COLUMNS: Final = 2048
_PLACEHOLDER = re.compile(r"\[[a-z_]{1,20}\]")
_RUN = re.compile(r"[A-Za-z0-9#-]+")
# From so many digits on, a word is an order number or the like, and no topic.
_CODE_DIGITS: Final = 4
# Says nothing about a topic, however rare it is in a small file.
_FUNCTION_WORDS_LIST: Final = (
    "a about after again all already also am an and any anybody are as at be because been before "
    "but by can cannot cant could did didnt do does doesnt doing done dont every for from get "
    "gets getting give go going gone got had has have havent hello hey hi how i id if ill im in "
    "into is isnt it its ive just know let like long make many may me more much must my need no "
    "not now of off ok okay on once one only or other our out over please put said say see send "
    "shall she should show since so some somebody somehow something soon still such take tell "
    "than thank thanks that thats the their them then there these they thing this those to too "
    "try u up us very want wanted was wasnt way we well went were what whats when where wheres "
    "which while who why will with without wont would yes yet you your yours"
)
_FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORDS_LIST.split())
_CHINESE_FILLERS: Final = frozenset(
    "的了吗呢吧啊我你您他她它们是在有和就都也很请这那么个要想被把给为一可以从能会没还不"
)


@dataclass(frozen=True, slots=True)
class Likeness:
    """From which cosine similarity on texts count as the same: by meaning where the encoder can
    read them, else by their words. Both in (0, 1]."""

    meaning: float
    words: float


# Measured, see docs/LEARNING.md: one answer has to fit a whole group, so few groups are mixed.
SAME_QUESTION: Final = Likeness(meaning=0.7, words=0.3)
# A topic may be wider: nobody answers by it.
SAME_TOPIC: Final = Likeness(meaning=0.5, words=0.2)


def without_codes(text: str) -> str:
    """The text that is to be compared: without placeholders and long numbers, which make two
    questions about two orders look like two questions. One that is nothing else stays."""
    plain = _RUN.sub(
        lambda run: " " if sum(map(str.isdigit, run[0])) >= _CODE_DIGITS else run[0],
        _PLACEHOLDER.sub(" ", text),
    )
    return " ".join(plain.split()) or text


def group_texts(
    texts: Sequence[str], embeddings: FloatArray, readable: Booleans, likeness: Likeness
) -> list[int]:
    """For each text the number of its group; 0 is the largest group, then by the first text in it.

    `embeddings`: (n, width) of unit length, best made `without_codes`; `readable`: (n,) whether the
    encoder could read the text. Texts that are the same but for case and punctuation are always in
    one group.
    """
    first: dict[str, int] = {}
    positions = [first.setdefault(comparison_key(text), i) for i, text in enumerate(texts)]
    counts = Counter(positions)
    group_of: dict[int, int] = {}
    for chosen in (True, False):
        kept = [i for i in counts if bool(readable[i]) == chosen]
        vectors = embeddings[kept] if chosen else word_vectors([texts[i] for i in kept])
        threshold = likeness.meaning if chosen else likeness.words
        weights = np.array([counts[i] for i in kept], dtype=np.float32)
        for group in linked(vectors, weights, threshold):
            group_of.update({kept[member]: kept[min(group)] for member in group})
    return _by_size([group_of[position] for position in positions])


def _by_size(groups: Sequence[int]) -> list[int]:
    sizes = Counter(groups)
    order = sorted(sizes, key=lambda group: (-sizes[group], group))
    rank = {group: number for number, group in enumerate(order)}
    return [rank[group] for group in groups]


def linked(vectors: FloatArray, weights: FloatArray, threshold: float) -> list[list[int]]:
    """Groups of positions: `vectors` (n, width) of unit length, `weights` (n,) how often each
    counts.

    Exact for the first 3,000. Of those after them each goes to the group whose mean it is most
    like, if that reaches the threshold; the rest are linked among themselves.
    """
    groups: list[list[int]] = []
    means = np.empty((0, vectors.shape[1]), dtype=np.float32)
    for start in range(0, len(vectors), _AT_ONCE):
        block = np.arange(start, min(start + _AT_ONCE, len(vectors)))
        if groups:
            likeness = vectors[block] @ means.T
            best, near = likeness.argmax(axis=1), likeness.max(axis=1) >= threshold
            for position, group in zip(block[near].tolist(), best[near].tolist(), strict=True):
                groups[group].append(position)
            block = block[~near]
        new = [
            block[group].tolist()
            for group in _average_linkage(vectors[block], weights[block], threshold)
        ]
        groups += new
        means = np.concatenate([means, *(_mean(vectors, weights, group)[None] for group in new)])
    return groups


def _mean(vectors: FloatArray, weights: FloatArray, group: Sequence[int]) -> FloatArray:
    """(width,), not of unit length: the product with it is the mean similarity to the members."""
    return np.average(vectors[group], axis=0, weights=weights[group]).astype(np.float32)


def _average_linkage(vectors: FloatArray, weights: FloatArray, threshold: float) -> list[list[int]]:
    """Follow nearest neighbours until two are each other's, join these, and go on.

    A group whose nearest neighbour is below the threshold is done: joining others never brings one
    nearer than both of them were.
    """
    product = vectors @ vectors.T
    similarity: FloatArray = np.maximum(product, product.T)  # the same both ways, to the last bit
    np.fill_diagonal(similarity, -np.inf)
    members: dict[int, list[int]] = {position: [position] for position in range(len(vectors))}
    mass = weights.astype(np.float32).copy()
    done: list[list[int]] = []
    chain: list[int] = []
    while members:
        if not chain:
            chain = [next(iter(members))]
        last = chain[-1]
        best = int(similarity[last].argmax())
        if len(chain) > 1 and similarity[last, chain[-2]] >= similarity[last, best]:
            best = chain[-2]  # of two equals the one before, else the chain might never end
        if similarity[last, best] < threshold:
            done.append(sorted(members.pop(last)))
            similarity[:, last] = -np.inf
            chain.clear()
        elif len(chain) > 1 and best == chain[-2]:
            del chain[-2:]
            _join(similarity, mass, best, last)
            members[best] += members.pop(last)
        else:
            chain.append(best)
    return done


def _join(similarity: FloatArray, mass: FloatArray, into: int, other: int) -> None:
    total = mass[into] + mass[other]
    row = (mass[into] * similarity[into] + mass[other] * similarity[other]) / total
    row[[into, other]] = -np.inf
    similarity[into], similarity[:, into] = row, row
    similarity[other], similarity[:, other] = -np.inf, -np.inf
    mass[into] = total


def word_vectors(texts: Sequence[str]) -> FloatArray:
    """(n, 2048) of unit length: words, and for Chinese characters and their pairs, weighted by
    rarity among `texts` and hashed (Weinberger et al. 2009, "Feature Hashing for Large Scale
    Multitask Learning"). A text without a word is a row of zeros, like nothing."""
    words = [sorted(set(word_tokens(without_codes(text)))) for text in texts]
    frequency = Counter(word for found in words for word in found)
    vectors = np.zeros((len(texts), _WORD_COLUMNS), dtype=np.float32)
    for row, found in enumerate(words):
        for word in found:
            code = zlib.crc32(word.encode("utf-8", "replace"))
            sign = 1.0 if code & 1 else -1.0
            vectors[row, (code >> 1) % _WORD_COLUMNS] += sign * _rarity(len(texts), frequency[word])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(lengths > 0, lengths, 1.0)
    return vectors


def _rarity(texts: int, frequency: int) -> float:
    return math.log((texts + 1) / (frequency + 0.5))


# --- names ---------------------------------------------------------------------------------------


def typical_words(
    texts: Sequence[str], groups: Sequence[int], top: int = 3
) -> dict[int, tuple[str, ...]]:
    """Group → its most typical words, at most `top`, the most typical first.

    A word counts by the share of the group's texts that hold it times its rarity among all texts
    (tf-idf with the group as document: Grootendorst 2022, "BERTopic"). Chinese goes by pairs of
    characters. Numbers, placeholders such as [email] and function words name nothing, so a group
    may have no word at all.
    """
    words = [_naming_words(text) for text in texts]
    frequency = Counter(word for found in words for word in found)
    inside: dict[int, Counter[str]] = defaultdict(Counter)
    sizes = Counter(groups)
    for found, group in zip(words, groups, strict=True):
        inside[group].update(found)
    return {
        group: _best(inside[group], sizes[group], frequency, len(texts), top) for group in sizes
    }


def _best(
    inside: Mapping[str, int], size: int, frequency: Mapping[str, int], texts: int, top: int
) -> tuple[str, ...]:
    def weight(word: str) -> float:
        return inside[word] / size * _rarity(texts, frequency[word])

    ranked = sorted(inside, key=lambda word: (-weight(word), word))
    chosen: list[str] = []
    for word in ranked:
        # A word that most of the texts lack is not typical of them.
        if 2 * inside[word] > size and not any(_akin(word, other) for other in chosen):
            chosen.append(word)
    return tuple(chosen[:top] or ranked[:1])


def _naming_words(text: str) -> set[str]:
    tokens = word_tokens(without_codes(text))
    return {
        word
        for word in tokens
        if len(word) > 1
        and not any(character.isdigit() for character in word)
        and word not in _FUNCTION_WORDS
        and not (is_cjk_heavy(word) and _CHINESE_FILLERS & set(word))
    }


def _akin(one: str, other: str) -> bool:
    """Whether one word says what the other said: order and orders, 退货 and 货费."""
    if is_cjk_heavy(one) or is_cjk_heavy(other):
        return bool(set(one) & set(other))
    shorter, longer = sorted((one, other), key=len)
    return longer.startswith(shorter[: max(4, len(shorter) - 2)])


def label_of(words: Sequence[str], taken: set[str], number: int) -> str:
    """An intent's name from its words, unlike any that is `taken` (which gets it too)."""
    base = "_".join(words) or f"group_{number}"
    name, again = base, 2
    while name in taken:
        name, again = f"{base}_{again}", again + 1
    taken.add(name)
    return name


def most_typical_first(
    members: Sequence[int], texts: Sequence[str], embeddings: FloatArray, readable: Booleans
) -> list[int]:
    """Positions of one group's texts, those most like the others first; equals by position."""
    read = bool(readable[members[0]])
    vectors = embeddings[list(members)] if read else word_vectors([texts[i] for i in members])
    likeness = vectors @ vectors.mean(axis=0)
    order = sorted(range(len(members)), key=lambda i: (-round(float(likeness[i]), 5), members[i]))
    return [members[i] for i in order]
