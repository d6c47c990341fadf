"""An SDK in a process of its own, as `opentelemetry-instrument` sets one: ended spans go to a file, a line each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_SITE = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

told = open({file!r}, "a", buffering=1)
provider = TracerProvider()
provider.add_span_processor(
    SimpleSpanProcessor(ConsoleSpanExporter(out=told, formatter=lambda span: span.to_json(indent=None) + "\\n"))
)
trace.set_tracer_provider(provider)
"""


def traced(folder: Path) -> dict[str, str]:
    """The environment of a process whose spans `spans` reads."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_SITE.format(file=str(folder / "spans")))
    return {"PYTHONPATH": str(folder)}


def spans(folder: Path) -> list[dict[str, Any]]:
    """Those that ended so far, in the order in which they did."""
    return [json.loads(line) for line in (folder / "spans").read_text().splitlines()]
