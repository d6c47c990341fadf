"""Runs of the agent under `ledger run`, with every provider's host served by one counting upstream."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from tests.providers.answers import EFFECTS, table
from tests.upstream import Line, Upstream
from tests.wire.sidecars import ledger

AGENT = Path(__file__).with_name("agent.py")
HOSTS = tuple(sorted({entry["request"].split()[1].partition("/")[0] for entry in table()}))


def run(folder: Path, upstream: Upstream, names: Iterable[str], *amounts: int) -> list[dict[str, Line]]:
    """One run through these SDKs, with the rules and the ledger in `folder`: what each was given, or how it failed.

    For each amount, by name.
    """
    options = [word for host in HOSTS for word in ("--resolve", upstream.resolve(host))]
    asked = [",".join(map(str, amounts)), *names]
    ended = ledger(
        *["run", "--rules", folder / "ledger.yaml", "--db", folder / "ledger.db", *options],
        *["--upstream-ca", upstream.ca_file, "--", sys.executable, "-W", "ignore", AGENT, *asked],
    )
    assert ended.returncode == 0, ended.stderr
    said = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    return [{line["name"]: line for line in said if line["amount"] == amount} for amount in amounts]


def arrivals(upstream: Upstream, name: str, **wanted: object) -> list[Line]:
    """What reached a provider where its effects happen."""
    return [line for line in upstream.lines(**wanted) if fnmatchcase(_called(line), EFFECTS[name])]


def _called(line: Line) -> str:
    host = next(value for name, value in line["headers"] if name.lower() == "host")
    return f"{line['method']} {host}{line['path']}"
