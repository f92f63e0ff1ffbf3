"""How are rows divided so that texts which repeat each other are never on both sides?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from core.data.duplicates import near_duplicates
from core.data.splits import Indices, temporal_split
from core.errors import InvalidInput
from core.text import comparison_key


def near_groups(texts: Sequence[str], threshold: float = 0.8) -> list[int]:
    """For each text the number of its group: the position of the group's first text.

    Texts that are the same (but for case and punctuation) or nearly so (4-gram Jaccard similarity
    ≥ `threshold`, in (0, 1]) are in one group, with whatever either of them is near to: connected
    components, so that two groups hold no near pair between them.
    """
    parent = list(range(len(texts)))

    def root(position: int) -> int:
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position

    def join(one: int, other: int) -> None:
        low, high = sorted((root(one), root(other)))
        parent[high] = low

    first: dict[str, int] = {}
    for position, text in enumerate(texts):
        join(position, first.setdefault(comparison_key(text), position))
    positions = list(first.values())
    unique = [texts[position] for position in positions]
    for pair in near_duplicates(unique, unique, threshold):
        join(positions[pair.left], positions[pair.right])
    return [root(position) for position in range(len(texts))]


def stratified_group_split(
    labels: Sequence[str], groups: Sequence[int], share: float, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    """(train, test) positions, each ascending, with about `share` of every class held out.

    A group stays whole and counts for the class of its first row. A class of one group stays in
    training, and of any other at least one group does. Raises InvalidInput for a `share` outside
    (0, 1), and where no class has a second group.
    """
    if not 0 < share < 1:
        raise InvalidInput(f"share must be between 0 and 1 (exclusive), was: {share}")
    members: dict[int, list[int]] = defaultdict(list)
    for position, group in enumerate(groups):
        members[group].append(position)
    by_label: dict[str, list[list[int]]] = defaultdict(list)
    for rows in members.values():
        by_label[labels[rows[0]]].append(rows)
    held_out: list[int] = []
    for label in sorted(by_label):
        held_out += _some(by_label[label], share, rng)
    if not held_out:
        raise InvalidInput(
            "expected a class with two rows that do not repeat each other, found none to hold out",
            mend="Add rows.",
        )
    mask = np.zeros(len(labels), dtype=bool)
    mask[held_out] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def _some(groups: list[list[int]], share: float, rng: np.random.Generator) -> list[int]:
    """Rows of groups at random until `share` of the rows is reached, the last one if that is
    nearer to it than to stop before; never of all groups."""
    wanted = share * sum(map(len, groups))
    taken: list[int] = []
    for number in rng.permutation(len(groups))[:-1]:
        if taken and abs(len(taken) + len(groups[number]) - wanted) > abs(len(taken) - wanted):
            continue
        taken += groups[number]
    return taken


def temporal_group_split(
    timestamps: Sequence[float], groups: Sequence[int], share: float
) -> tuple[Indices, Indices, int]:
    """(train, test) positions in order of time, and how many rows were moved.

    As `core.data.splits.temporal_split`, but a row after the cut that repeats one before it goes
    to training with it: it would test nothing but memory. Raises InvalidInput as that does, and
    where every row after the cut is such a one.
    """
    train, test = temporal_split(timestamps, share)
    known = {groups[position] for position in train}
    again = np.array([groups[position] in known for position in test], dtype=bool)
    if again.all():
        raise InvalidInput(
            "every row after the cut repeats one before it, so none is left to test on",
            mend="Add later rows, or choose a larger share.",
        )
    return np.concatenate([train, test[again]]), test[~again], int(again.sum())
