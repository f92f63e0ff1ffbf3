"""Which tag has each word, and which spans do the tags make?

BIO tags (Ramshaw and Marcus 1995, "Text Chunking using Transformation-Based Learning"): `B-x`
begins a span of label x, `I-x` goes on with it, `O` is outside. A sequence is valid where every
`I-x` follows `B-x` or `I-x`. The model gives logits a word, each word by itself; here they are read
as a chain in which only valid sequences exist, so that its best path never has to be repaired and
the probability of a span is a probability.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.data.tagged import Span

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating]
OUTSIDE = 0


def tag_names(labels: Sequence[str]) -> tuple[str, ...]:
    """The tags of k labels in the order of their numbers: O, then B and I of each."""
    return ("O", *(f"{part}-{label}" for label in labels for part in "BI"))


def tags_of_words(words: IntArray, spans: Sequence[Span], labels: Sequence[str]) -> IntArray:
    """(n,) tag numbers. `words` (n, 2): start and end of each word, by rising start.

    A span tags every word it touches; a word that two spans touch belongs to the first.
    """
    number = {label: i for i, label in enumerate(labels)}
    tags = np.full(len(words), OUTSIDE, dtype=np.int64)
    for span in sorted(spans):
        touched = np.flatnonzero((words[:, 0] < span.end) & (words[:, 1] > span.start))
        touched = touched[tags[touched] == OUTSIDE]
        tags[touched] = 2 + 2 * number[span.label]
        tags[touched[:1]] -= 1
    return tags


def word_runs(tags: IntArray) -> list[tuple[int, int, int]]:
    """(first word, end word exclusive, label number) of each span of a valid sequence."""
    runs: list[tuple[int, int, int]] = []
    for position, tag in enumerate(tags.tolist()):
        if tag == OUTSIDE:
            continue
        label = (tag - 1) // 2
        if tag % 2 == 0 and runs and runs[-1][1:] == (position, label):
            runs[-1] = (runs[-1][0], position + 1, label)
        else:
            runs.append((position, position + 1, label))
    return runs


def best_path(logits: FloatArray) -> IntArray:
    """The valid sequence (n,) with the largest sum of `logits` (n, tags). Viterbi 1967.

    Any tag may follow any other, but `I-x` only `B-x` or `I-x`, so a step costs O(tags).
    """
    count, tags = logits.shape
    if count == 0:
        return np.empty(0, dtype=np.int64)
    begin = np.arange(1, tags, 2)
    score = logits[0].astype(np.float64).copy()
    score[begin + 1] = -np.inf
    came_from = np.zeros((count, tags), dtype=np.int64)
    for position in range(1, count):
        came_from[position] = int(score.argmax())
        before = np.where(score[begin] >= score[begin + 1], begin, begin + 1)
        came_from[position, begin + 1] = before
        score = score[came_from[position]] + logits[position]
    path = np.empty(count, dtype=np.int64)
    path[-1] = int(score.argmax())
    for position in range(count - 1, 0, -1):
        path[position - 1] = came_from[position, path[position]]
    return path


def run_probabilities(logits: FloatArray, runs: Sequence[tuple[int, int, int]]) -> list[float]:
    """For each run of words the probability that exactly it is a span of its label.

    `logits` (n, tags), already divided by the temperature. The distribution is the one over valid
    sequences, each with the product of its words' probabilities, normalised; the sums over them
    come from the forward-backward algorithm (Rabiner 1989, "A Tutorial on Hidden Markov Models").
    """
    if not runs:
        return []
    unary = logits.astype(np.float64)
    unary = unary - unary.max(axis=1, keepdims=True)
    forward, backward = _forward(unary), _backward(unary)
    total = _log_sum(forward[-1])
    inside = np.cumsum(unary, axis=0)
    result = []
    for start, end, label in runs:
        begin, within = 1 + 2 * label, 2 + 2 * label
        score = forward[start, begin] + inside[end - 1, within] - inside[start, within]
        if end < len(unary):
            ahead = unary[end] + backward[end]
            score += _log_sum(ahead[_entering(len(ahead))])
        result.append(float(min(1.0, np.exp(score - total))))
    return result


def _entering(tags: int) -> npt.NDArray[np.bool_]:
    """(tags,) which tags may follow anything: O and every B."""
    mask: npt.NDArray[np.bool_] = np.arange(tags) % 2 == 1
    mask[OUTSIDE] = True
    return mask


def _forward(unary: FloatArray) -> npt.NDArray[np.float64]:
    """(n, tags) log of the sum over all valid beginnings that end in a tag at a word."""
    result = np.empty(unary.shape)
    begin = np.arange(1, unary.shape[1], 2)
    result[0] = unary[0]
    result[0, begin + 1] = -np.inf
    for position in range(1, len(unary)):
        before = result[position - 1]
        sums = np.full(unary.shape[1], _log_sum(before))
        sums[begin + 1] = np.logaddexp(before[begin], before[begin + 1])
        result[position] = sums + unary[position]
    return result


def _backward(unary: FloatArray) -> npt.NDArray[np.float64]:
    """(n, tags) log of the sum over all valid endings after a tag at a word."""
    result = np.zeros(unary.shape)
    begin = np.arange(1, unary.shape[1], 2)
    entering = _entering(unary.shape[1])
    for position in range(len(unary) - 2, -1, -1):
        ahead = unary[position + 1] + result[position + 1]
        base = _log_sum(ahead[entering])
        result[position] = base
        result[position, begin] = result[position, begin + 1] = np.logaddexp(base, ahead[begin + 1])
    return result


def _log_sum(values: FloatArray) -> float:
    peak = float(values.max())
    return peak + float(np.log(np.exp(values - peak).sum()))
