"""Which files for training does an import write?

train.csv     columns text,intent, for `trefoil customer-service train`
spans.jsonl   texts with their entities, for `trefoil tune tokens`; only where any text has one
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from core.data.records import OUT_OF_SCOPE
from core.files import written_whole

QUESTIONS_FILE: Final = "train.csv"
SPANS_FILE: Final = "spans.jsonl"
# Of an intent with fewer questions a model learns little.
_FEW: Final = 5
_NAMED: Final = 20


@dataclass
class Training:
    """`questions`: (text, intent); `spans`: rows of spans.jsonl, texts without an entity too."""

    questions: list[tuple[str, str]] = field(default_factory=list)
    spans: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, other: Training) -> None:
        """Put what another import gave behind it."""
        self.questions += other.questions
        self.spans += other.spans

    def thin_intents(self) -> list[str]:
        """Intents with too few questions to be learnt well."""
        counts = Counter(intent for _, intent in dict.fromkeys(self.questions))
        return sorted(name for name, n in counts.items() if n < _FEW and name != OUT_OF_SCOPE)


def write_training(training: Training, folder: Path) -> tuple[list[str], list[str]]:
    """Write the files; (what was written, the commands that read it). Repeated rows once."""
    questions = list(dict.fromkeys(training.questions))
    path = folder / QUESTIONS_FILE
    with written_whole(path) as file:
        writer = csv.writer(file)
        writer.writerow(["text", "intent"])
        writer.writerows(questions)
    intents = {intent for _, intent in questions} - {OUT_OF_SCOPE}
    wrote = [f"{path}: {len(questions)} questions of {len(intents)} intents"]
    wrote += _thin(training.thin_intents())
    commands = [f"trefoil customer-service train --data {path} --output model"]
    if any(row["entities"] for row in training.spans):
        rows = list(dict.fromkeys(json.dumps(row, ensure_ascii=False) for row in training.spans))
        path = folder / SPANS_FILE
        with written_whole(path) as file:
            file.writelines(f"{row}\n" for row in rows)
        wrote.append(f"{path}: {len(rows)} texts with their entities")
        commands.insert(0, f"trefoil tune tokens --data {path} --output tagger")
        commands[-1] += " --tagger tagger"
    return wrote, commands


def _thin(intents: Iterable[str]) -> list[str]:
    names = list(intents)
    if not names:
        return []
    shown = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
    return [f"intents with fewer than {_FEW} questions, too few to be learnt well: {shown}"]
