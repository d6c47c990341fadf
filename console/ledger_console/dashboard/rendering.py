"""Templates and what they may call. Everything is escaped; text from a ledger is made visible besides."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ledger import clock
from ledger.records import Event, rfc3339
from ledger_console.dashboard import shapes, words
from ledger_console.show import remark
from ledger_console.text import age, visible

_PART_ENDS = re.compile(r"(?<=[/?&])(?=[^/?&])")
THEME = "ledger-theme"
THEMES = ("auto", "light", "dark")


@dataclass(frozen=True, slots=True)
class Shell:
    """What every page shows around its content. at: the menu's item. inside: the ledger could be read.

    readonly: why nothing can be done here; "" where it can.
    """

    path: str
    name: str
    readonly: str
    csrf: str
    theme: str
    now: float
    myself: str | None
    version: str
    at: str = ""
    waiting: int = 0
    q: str = ""
    inside: bool = True


def environment() -> Environment:
    """The templates, each value escaped."""
    env = Environment(
        loader=PackageLoader("ledger_console.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "age": age,
        "breaking": breaking,
        "detail": words.detail,
        "number": lambda n: f"{n:,}",
        "path": lambda text: quote(str(text), safe=""),
        "rate": rate,
        "remark": remark,
        "request": shapes.request,
        "rfc3339": rfc3339,
        "sentence": _sentence,
        "shares": shares,
        "shell": shlex.quote,
        "size": size,
        "span": span,
        "stamp": lambda wall: rfc3339(wall)[:19].replace("T", " ") + " UTC",
        "visible": lambda text: visible(str(text)),
        "visible_lines": lambda text: "\n".join(map(visible, text.split("\n"))),
    }
    return env


class Pages:
    """Renders templates for requests."""

    def __init__(self, path: str, readonly: Callable[[], str], csrf: str, myself: str | None) -> None:
        self._env, self._readonly = environment(), readonly
        self._fixed: dict[str, Any] = {"path": path, "name": Path(path).name, "csrf": csrf, "myself": myself}

    def page(
        self,
        request: web.Request,
        template: str,
        shell: Mapping[str, Any] | None = None,
        status: int = 200,
        **values: Any,
    ) -> web.Response:
        """A page. shell: what differs from the usual in `Shell`."""
        theme = request.cookies.get(THEME, "auto")
        about = Shell(
            **self._fixed,
            readonly=self._readonly(),
            theme=theme if theme in THEMES else "auto",
            now=clock.now().wall,
            version=version("ledger-sidecar"),
            **(shell or {}),
        )
        text = self._env.get_template(template).render(shell=about, **values)
        return web.Response(text=text, content_type="text/html", status=status)


def breaking(text: str) -> Markup:
    """An address that may go on in the next line where its parts end, never in the middle of a word."""
    return Markup("<wbr>").join(_PART_ENDS.split(text))


def rate(totals: Mapping[str, int]) -> str:
    """The share of attempts that were duplicates."""
    return f"{totals['blocked'] / totals['attempts']:.1%}" if totals["attempts"] else "0%"


def shares(totals: Mapping[str, int]) -> list[dict[str, Any]]:
    """How the attempts ended, as stretches of one line, in per cent."""
    whole = totals["attempts"] or 1
    at, found = 0.0, []
    for kind in ("executed", "blocked", "failed", "unknown", "running"):
        width = 100 * max(0, totals[kind]) / whole
        if width:
            found.append({"kind": kind, "at": round(at, 3), "width": round(width, 3), "count": totals[kind]})
            at += width
    return found


def size(count: int) -> str:
    """Bytes in words."""
    for unit, above in (("MiB", 1024 * 1024), ("KiB", 1024)):
        if count >= above:
            return f"{count / above:.1f} {unit}"
    return f"{count} bytes"


def span(seconds: float) -> str:
    """A duration, from milliseconds to days, in two or three digits."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    for above, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= above:
            return f"{seconds / above:.3g} {unit}"
    return f"{seconds:.3g} s"


def _sentence(event: Event) -> str:
    return words.sentence(event)
