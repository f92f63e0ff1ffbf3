"""How do the figures look? Each chart gives its numbers and a PNG.

Colours are those of Okabe and Ito (2008), told apart by colour-blind readers, on white. Drawn with
matplotlib's own objects and never with pyplot, so that nothing global is touched; imported when the
first chart is drawn. Labels are plain text, whatever signs are in them; a label with letters that
no installed font has is drawn as its number in sorted order, and `data` names it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InvalidInput
from core.evaluation.classification import Confusion, confusion_matrix, precision_recall_f1
from core.evaluation.intervals import wilson_interval
from core.evaluation.openset import risk_coverage

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BLUE, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#999999", "#222222"
MOST_SHOWN = 25  # classes in one chart: more cannot be read
_LONGEST_LABEL = 26
_CURVE_POINTS = 200
_DPI = 110
# Fonts with Chinese, Japanese or Korean letters, as they are called on the usual systems.
_CJK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC",
    "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "Microsoft YaHei",
    "SimHei", "PingFang SC", "Hiragino Sans GB", "Arial Unicode MS", "Malgun Gothic",
)  # fmt: skip
_LATIN_FONT = "DejaVu Sans"  # comes with matplotlib


@dataclass(frozen=True)
class Chart:
    """`data`: the numbers, ready for JSON; `png`: the picture; `alt`: what it shows, in words."""

    data: Mapping[str, Any]
    png: bytes
    alt: str


def confusion_chart(truth: Sequence[str], predicted: Sequence[str]) -> Chart:
    """The confusion matrix; of more than 25 classes only those that are most confused are drawn.

    `data`: labels and counts (classes, classes) of all, which labels were `shown`, and which are
    `numbered` in the picture (drawn → label).
    """
    confusion = confusion_matrix(list(truth), list(predicted))
    keep = _most_confused(confusion)
    counts = confusion.counts[np.ix_(keep, keep)]
    labels = [str(label) for label in confusion.labels]
    names = drawable(labels)
    side = max(3.6, 0.3 * len(keep) + 2.2)
    figure, axes = _axes(side + 0.2, side)
    shares = counts / np.maximum(confusion.counts[keep].sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    small = 9 if len(keep) <= 12 else 6.5
    for i, j in np.argwhere(counts > 0):
        axes.text(
            j, i, str(counts[i, j]), ha="center", va="center", fontsize=small,
            color="white" if shares[i, j] > 0.55 else INK,
            fontweight="normal" if i == j else "bold",
        )  # fmt: skip
    _class_ticks(axes.set_xticks, [names[k] for k in keep], small, rotation=90)
    _class_ticks(axes.set_yticks, [names[k] for k in keep], small)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    shown = [labels[k] for k in keep]
    wrong = int(confusion.counts.sum() - np.trace(confusion.counts))
    data = {"labels": labels, "counts": confusion.counts.tolist(), "shown": shown}
    return Chart(
        data | {"numbered": _numbered(labels, names)},
        _png(figure),
        f"Confusion matrix of {len(shown)} of {len(labels)} classes; {wrong} rows are wrong.",
    )


def _most_confused(confusion: Confusion) -> list[int]:
    """Positions of the classes to draw, in sorted order of their labels."""
    wrong = confusion.counts.copy()
    np.fill_diagonal(wrong, 0)
    mistakes = wrong.sum(axis=0) + wrong.sum(axis=1)
    order = np.lexsort([-confusion.counts.sum(axis=1), -mistakes])
    return sorted(order[:MOST_SHOWN].tolist())


def confidence_chart(confidence: ArrayLike, correct: ArrayLike, bins: int = 20) -> Chart:
    """How sure the model was of its right and of its wrong answers.

    `data`: bin `edges` in [0, 1] and counts of `right` and `wrong` rows in them.
    """
    sure, right = _sureness(confidence, correct)
    edges = np.linspace(0, 1, bins + 1)
    counts = [np.histogram(sure[rows], bins=edges)[0] for rows in (right, ~right)]
    figure, axes = _axes(4.8, 4.0)
    width = 1 / bins
    axes.bar(edges[:-1], counts[0], width, align="edge", color=BLUE, label="right")
    axes.bar(
        edges[:-1], counts[1], width, bottom=counts[0], align="edge", color=ORANGE, label="wrong",
        hatch="///", edgecolor="white", linewidth=0,
    )  # fmt: skip
    axes.set_xlim(0, 1)
    _label(axes, "confidence of the best label", "rows")
    axes.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
    return Chart(
        {"edges": edges.tolist(), "right": counts[0].tolist(), "wrong": counts[1].tolist()},
        _png(figure),
        f"Histogram of confidence: {int(right.sum())} right and {int((~right).sum())} wrong rows.",
    )


def reliability_chart(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> Chart:
    """Is the model right as often as it says? Bins of equal mass, as those of `ece`.

    `data.bins`: for each bin its rows, mean confidence, accuracy and 95 % interval of that.
    """
    sure, right = _sureness(confidence, correct)
    parts = np.array_split(np.argsort(sure, kind="stable"), min(bins, sure.size))
    points = []
    for rows in parts:
        low, high = wilson_interval(int(right[rows].sum()), len(rows))
        points.append(
            {
                "rows": len(rows),
                "confidence": float(sure[rows].mean()),
                "accuracy": float(right[rows].mean()),
                "accuracy_ci": [low, high],
            }
        )
    said = np.array([p["confidence"] for p in points])
    was = np.array([p["accuracy"] for p in points])
    spans = np.abs(np.array([p["accuracy_ci"] for p in points]).T - was)
    figure, axes = _axes(4.8, 4.0)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="as it says")
    axes.errorbar(
        said, was, yerr=spans, fmt="o", color=BLUE, markersize=4, linewidth=1, label="measured"
    )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    _label(axes, "confidence", "share that is right")
    axes.legend(frameon=False, loc="upper left")
    gap = float(np.mean(was - said))
    way = "less sure than it could be" if gap > 0 else "surer than it should be"
    return Chart({"bins": points}, _png(figure), f"Reliability plot; on the whole {way}.")


def risk_coverage_chart(scores: ArrayLike, correct: ArrayLike) -> Chart:
    """What share of the answers is wrong when only the surest rows are answered?

    `data`: `coverage` and `risk`, at most 200 points, and the `area` under the whole curve.
    """
    curve = risk_coverage(scores, correct)
    last = len(curve.coverage) - 1
    taken = np.unique(np.linspace(0, last, min(_CURVE_POINTS, last + 1)).round().astype(int))
    coverage, risk = curve.coverage[taken], curve.risk[taken]
    figure, axes = _axes(5.6, 3.4)
    axes.plot(coverage, risk, color=BLUE, linewidth=1.8, drawstyle="steps-post")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, max(0.02, float(risk.max()) * 1.1))
    _label(axes, "share of rows answered, surest first", "share of them wrong")
    return Chart(
        {"coverage": coverage.tolist(), "risk": risk.tolist(), "area": curve.area},
        _png(figure),
        f"Risk-coverage curve; {curve.risk[-1]:.1%} wrong when all rows are answered.",
    )


def class_f1_chart(truth: Sequence[str], predicted: Sequence[str]) -> Chart:
    """F1 of each class, worst first; of more than 25 classes the worst.

    `data`: `labels`, `f1` and `support` of all classes, worst first, and which are `numbered`.
    """
    scores = precision_recall_f1(list(truth), list(predicted))
    labels = [str(label) for label in scores.labels]
    names = drawable(labels)
    order = np.lexsort([-scores.support, scores.f1]).tolist()
    shown = order[:MOST_SHOWN]
    figure, axes = _axes(5.6, max(1.8, 0.24 * len(shown) + 0.9))
    axes.barh(range(len(shown)), scores.f1[shown], color=BLUE, height=0.7)
    for place, number in enumerate(shown):
        value = float(scores.f1[number])
        inside = value > 0.15
        axes.text(
            value - 0.01 if inside else value + 0.01, place, f"{value:.2f}", va="center",
            ha="right" if inside else "left", fontsize=7, color="white" if inside else INK,
        )  # fmt: skip
    _class_ticks(axes.set_yticks, [names[k] for k in shown], 7.5)
    axes.set_ylim(len(shown) - 0.4, -0.6)  # the worst on top
    axes.set_xlim(0, 1)
    _label(axes, "F1", "")
    return Chart(
        {
            "labels": [labels[k] for k in order],
            "f1": scores.f1[order].tolist(),
            "support": scores.support[order].tolist(),
            "numbered": _numbered(labels, names),
        },
        _png(figure),
        f"F1 of the {len(shown)} worst of {len(labels)} classes.",
    )


def drawable(labels: Sequence[str]) -> list[str]:
    """Each label as it can be drawn: shortened, and a number where the fonts lack a letter of it.

    The number is the label's place in `labels`, from 1.
    """
    known = _letters()
    result = []
    for number, label in enumerate(labels, 1):
        text = " ".join(label.split())
        if len(text) > _LONGEST_LABEL:
            text = text[: _LONGEST_LABEL - 1] + "…"
        readable = text and all(ord(letter) in known for letter in text)
        result.append(text if readable else f"no. {number}")
    return result


def _numbered(labels: Sequence[str], drawn: Sequence[str]) -> dict[str, str]:
    """What the numbers in a picture stand for."""
    return {
        short: label
        for number, (short, label) in enumerate(zip(drawn, labels, strict=True), 1)
        if short == f"no. {number}"
    }


@cache
def _fonts() -> tuple[str, ...]:
    """Families to draw with: the one that is always there, and one for CJK letters if it is."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return (_LATIN_FONT, *[name for name in _CJK_FONTS if name in installed][:1])


@cache
def _letters() -> frozenset[int]:
    """Code points that the fonts can draw."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    found: set[int] = set()
    for family in _fonts():
        found |= set(get_font(findfont(FontProperties(family=[family]))).get_charmap())
    return frozenset(found)


def _axes(width: float, height: float) -> tuple[Any, Any]:
    """A figure of so many inches with one pair of axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK, labelsize=8)
    return figure, axes


def _label(axes: Any, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    axes.grid(axis="y" if y else "x", color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)


def _class_ticks(setter: Any, names: Sequence[str], size: float, rotation: int = 0) -> None:
    """Plain text: a dollar sign in a label begins no formula."""
    setter(
        range(len(names)), names,
        **{"fontsize": size, "rotation": rotation, "parse_math": False},
        fontfamily=list(_fonts()),
    )  # fmt: skip


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    # Without dates and versions, so that the same figures give the same bytes.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _sureness(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    if sure.shape != right.shape or sure.ndim != 1 or sure.size == 0:
        raise InvalidInput(f"expected two equal rows of numbers, were: {sure.shape}, {right.shape}")
    if not (math.isfinite(float(sure.sum())) and sure.min() >= 0 and sure.max() <= 1 + 1e-6):
        raise InvalidInput("confidence must be numbers from 0 to 1")
    return np.minimum(sure, 1.0), right
