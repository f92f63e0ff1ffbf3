"""How soon does each page show something, and how much does it weigh? Also makes the screenshots.

    python -m benchmarks.pages [--screenshots docs/screenshots]

Against a running `make demo`, in headless Chromium, each page in a browser that has nothing kept:
the time to the first contentful paint (the median of five), the bytes of everything but the chart
library, and requests to other hosts (there must be none). With `--screenshots` it writes the
pictures of the README, each at most 200 kB.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import save, table, verdict
from core.settings import ServiceSettings
from services.demo.visitors import AGENT, password_of

FIRST_PAINT_MS = 1_000.0
PAGE_KB = 300.0
PICTURE_BYTES = 200_000
_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
_PAINT = """new Promise(done => {
    const look = list => { const e = list.find(x => x.name === 'first-contentful-paint');
        if (e) done(e.startTime); };
    look(performance.getEntriesByType('paint'));
    new PerformanceObserver(l => look(l.getEntries())).observe({type: 'paint', buffered: true});
})"""
_WEIGHT = """performance.getEntriesByType('navigation').concat(
    performance.getEntriesByType('resource')).filter(e => !e.name.includes('plotly'))
    .reduce((sum, e) => sum + e.decodedBodySize, 0)"""


@dataclass(frozen=True)
class Shot:
    """A page: `act` brings it into the state that is shown; `picture` names its file, if any."""

    name: str
    url: str
    picture: str = ""
    act: Callable[[Any], None] = lambda page: None
    phone: bool = False
    dark: bool = False
    language: str = "en-GB"


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--host", default="http://127.0.0.1")
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    path = os.environ.get("TREFOIL_CHROMIUM") or shutil.which("chromium")
    if path is None:
        raise SystemExit("no browser found. Debian: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_OPTIONS)
        lines = [_measured(browser, shot, given.rounds) for shot in pages(given.host)]
        if given.screenshots:
            given.screenshots.mkdir(parents=True, exist_ok=True)
            for shot in pages(given.host):
                if shot.picture:
                    _photograph(browser, shot, given.screenshots / shot.picture)
        browser.close()
    table(list(lines[0]), [list(line.values()) for line in lines])
    slowest = max(line["first paint ms"] for line in lines)
    heaviest = max(line["kB"] for line in lines)
    bars = [
        verdict("slowest first contentful paint, ms", slowest, FIRST_PAINT_MS, at_least=False),
        verdict("heaviest page, kB", heaviest, PAGE_KB, at_least=False),
        verdict(
            "requests to other hosts", sum(line["foreign"] for line in lines), 0, at_least=False
        ),
    ]
    save("pages", {"pages": lines, "bars": bars})


def pages(host: str) -> list[Shot]:
    """Every page of the demo."""
    start, bot, news, shop = (f"{host}:{port}" for port in (8000, 8001, 8002, 8003))
    return [
        Shot("start", f"{start}/", "start.png"),
        Shot("bot", f"{bot}/", "widget.png", _ask),
        Shot("desk", f"{bot}/desk", "desk.png", _log_in),
        Shot("support dashboard", f"{bot}/dashboard", "support-dashboard.png", _log_in),
        Shot("news", f"{news}/", "news.png"),
        Shot("alert", f"{news}/", "alert.png", _open_alert),
        Shot("backtest", f"{news}/backtest", "backtest.png"),
        Shot("sources", f"{news}/sources"),
        Shot("storefront", f"{shop}/", "storefront.png", _go_shopping),
        Shot("recommender dashboard", f"{shop}/dashboard", "recommender-dashboard.png"),
        Shot("inspector", f"{shop}/inspector", "inspector.png", _choose_shopper),
    ]


def _ask(page: Any) -> None:
    field = page.get_by_role("textbox").last
    field.fill("where is my order LY-204518?")
    field.press("Enter")


def _log_in(page: Any) -> None:
    if page.get_by_label("Password").first.is_visible():
        page.get_by_label("Name").first.fill(AGENT)
        page.get_by_label("Password").first.fill(password_of(ServiceSettings().var_dir / "demo"))
        page.get_by_label("Password").first.press("Enter")


def _open_alert(page: Any) -> None:
    page.locator("a[href^='/alerts/']").first.click()


def _go_shopping(page: Any) -> None:
    page.get_by_role("button", name="Jonas").first.click()


def _choose_shopper(page: Any) -> None:
    page.get_by_role("button", name="Mara").first.click()


def _opened(browser: Any, shot: Shot) -> Any:
    context = browser.new_context(
        viewport={"width": 375, "height": 740} if shot.phone else {"width": 1280, "height": 860},
        color_scheme="dark" if shot.dark else "light",
        locale=shot.language,
    )
    return context.new_page()


def _measured(browser: Any, shot: Shot, rounds: int) -> dict[str, Any]:
    paints, weight, foreign = [], 0, 0
    for _ in range(rounds):
        page = _opened(browser, shot)
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(shot.url)
        paints.append(page.evaluate(_PAINT))
        page.wait_for_timeout(500)
        weight = page.evaluate(_WEIGHT)
        own = shot.url.split("/")[2].split(":")[0]
        foreign += sum(f"//{own}:" not in url and url.startswith("http") for url in asked)
        page.context.close()
    return {
        "page": shot.name,
        "first paint ms": round(statistics.median(paints)),
        "kB": round(weight / 1000),
        "foreign": foreign,
    }


def _photograph(browser: Any, shot: Shot, file: Path) -> None:
    from PIL import Image

    page = _opened(browser, shot)
    page.goto(shot.url)
    page.wait_for_timeout(1_000)
    shot.act(page)
    # Charts draw, shelves fill, the bot answers.
    page.wait_for_timeout(4_000)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.context.close()
    for colours in (256, 128, 64):
        packed = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
        if packed.tell() <= PICTURE_BYTES:
            break
    file.write_bytes(packed.getvalue())
    print(f"{file.name}: {packed.tell() / 1000:.0f} kB")


if __name__ == "__main__":
    main()
