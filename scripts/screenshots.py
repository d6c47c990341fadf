"""Draws the pictures of the docs anew: the dashboard in a real browser, the demo on a terminal. `make screenshots`.

The ledger behind them is made by `tests/dashboard/story.py`; nothing in a picture is painted by hand.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page  # noqa: E402
from rich._export_format import CONSOLE_SVG_FORMAT  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.terminal_theme import MONOKAI  # noqa: E402
from rich.text import Text  # noqa: E402
from tests.dashboard import browsers, story  # noqa: E402

from ledger.ports import Query  # noqa: E402
from ledger.records import Record, Status  # noqa: E402
from ledger.stores.sqlite import SqliteStore  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WIDE, PHONE = (1280, 860), (390, 844)
SHARPNESS = 1.5
COLUMNS = 112


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the dashboard. path: which page. before: what is done on it first."""

    name: str
    path: str
    scheme: Literal["light", "dark"] = "light"
    size: tuple[int, int] = WIDE
    before: Callable[[Page], object] = lambda page: None


def main() -> int:
    """Draw all, or those whose names contain the first argument."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    if not any(map(shutil.which, browsers.NAMES)):
        print(f"screenshots: {browsers.MISSING}", file=sys.stderr)
        return 1
    IMAGES.mkdir(exist_ok=True)
    with _elsewhere(Path(tempfile.gettempdir()) / "shop"):
        db = Path("ledger.db")
        story.live_a_day(db)
        with browsers.dashboard(db) as running, browsers.chromium(browsers.executable()) as browser:
            for picture in _pictures(db):
                if wanted in picture.name:
                    _draw(browser, running, picture)
    if wanted in ("", "demo"):
        (IMAGES / "demo.svg").write_text(_terminal(_played()))
    return 0


def _pictures(db: Path) -> list[Picture]:
    unknown, recovered = _chosen(db)
    lost, charge = f"/operations/{unknown.id}", f"/operations/{recovered.id}"
    return [
        Picture("overview-light", "/", before=_a_day),
        Picture("overview-dark", "/", "dark", before=_a_day),
        Picture("operations-light", "/operations"),
        Picture("operation-light", charge),
        Picture("operation-dark", lost, "dark"),
        Picture("settle-light", lost, before=lambda page: page.get_by_role("button", name="It happened…").click()),
        Picture("workflow-light", f"/workflow?wf={unknown.wf}"),
        Picture("workflow-dark", f"/workflow?wf={unknown.wf}", "dark"),
        Picture("unknown-light", "/unknown"),
        Picture("overview-phone", "/", size=PHONE, before=_a_day),
        Picture("operations-phone", "/operations", "dark", PHONE),
        Picture("operation-phone", lost, size=PHONE),
        Picture("workflow-phone", f"/workflow?wf={unknown.wf}", "dark", PHONE),
    ]


def _chosen(db: Path) -> tuple[Record, Record]:
    """An operation that waits for a person, and one whose lost answer the provider told when asked again."""
    store = SqliteStore(db)
    try:
        (unknown, *_) = store.page(Query(status=Status.UNKNOWN, limit=1))
        settled = [e.record for e in store.events(0, 100_000) if e.event == "settled"]
        recovered = store.get(settled[-1])
    finally:
        store.close()
    assert recovered is not None
    return unknown, recovered


def _a_day(page: Page) -> None:
    page.get_by_role("button", name="24 h").click()


def _draw(browser: Browser, running: browsers.Dashboard, picture: Picture) -> None:
    width, height = picture.size
    context = browser.new_context(
        color_scheme=picture.scheme,
        viewport={"width": width, "height": height},
        device_scale_factor=SHARPNESS,
        locale="en-GB",
    )
    page = context.new_page()
    page.goto(running.address)
    page.goto(f"{running.url}{picture.path}")
    picture.before(page)
    # The stream never ends, so "no more traffic" does not come: what was asked for has long come after this.
    page.wait_for_timeout(900)
    page.screenshot(path=IMAGES / f"{picture.name}.png")
    context.close()


def _played() -> str:
    """What the demo prints on a terminal."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    demo = subprocess.Popen([sys.executable, "examples/demo.py"], cwd=ROOT, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    said = b""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            more = os.read(ours, 65536)
        except OSError:
            break
        if not more:
            break
        said += more
    os.close(ours)
    if demo.wait(30):
        raise SystemExit(f"screenshots: the demo failed: {said.decode()[-500:]}")
    return said.decode().replace("\r\n", "\n").strip("\n")


def _terminal(text: str) -> str:
    """ANSI text as a picture that loads nothing from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text))
    plain = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title="make demo", theme=MONOKAI, code_format=plain, unique_id="demo")


@contextmanager
def _elsewhere(folder: Path) -> Iterator[None]:
    """A new folder with a name that looks well in a picture: pages show where the ledger is."""
    before = Path.cwd()
    folder.mkdir(mode=0o700)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
