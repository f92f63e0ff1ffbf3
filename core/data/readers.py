"""Which reader for which file? The one door to everything that reads a company's files."""

from core.data.shop import read_events, read_items
from core.data.stories import read_stories
from core.data.tables import Row, iterate_table, read_table
from core.data.texts import (
    LabelConflict,
    LabelReport,
    check_labels,
    read_intents,
    read_news,
    read_texts,
)

__all__ = [
    "LabelConflict",
    "LabelReport",
    "Row",
    "check_labels",
    "iterate_table",
    "read_events",
    "read_intents",
    "read_items",
    "read_news",
    "read_stories",
    "read_table",
    "read_texts",
]
