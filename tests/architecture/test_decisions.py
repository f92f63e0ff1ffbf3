"""Can every decision be found from the list of them?"""

from __future__ import annotations

import re
from pathlib import Path


def test_the_list_names_each_decision_by_its_title(root: Path) -> None:
    folder = root / "docs" / "decisions"
    pages = sorted(folder.glob("0*.md"))
    assert pages
    titles = [page.read_text(encoding="utf-8").splitlines()[0][7:] for page in pages]
    rows = [
        f"| [{page.name[:4]}]({page.name}) | {title} |"
        for page, title in zip(pages, titles, strict=True)
    ]
    listed = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in listed if re.match(r"\| \[\d", line)] == rows
