"""Real clients as scripts: each POSTs one small order to the URL it is given and prints the JSON answer.

They know nothing of Ledger. Run one with `command(name, url)` and an environment that leads through a proxy.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NODE_MODULES = HERE.parent / "node" / "node_modules"

PYTHON = ("requests", "httpx", "urllib", "aiohttp", "stripe", "stripe-async", "openai")
NODE = ("node-fetch", "node-https", "node-stripe")
ALL = (*PYTHON, "curl", *NODE)

ORIGINS = {name: "https://api.stripe.com" for name in ALL if "stripe" in name}
"""Where a client talks to if it is told nothing else; those not listed have no such origin."""


def url_for(name: str, host: str = "api.example.test") -> str:
    """Return a URL that suits a client: a provider's SDK appends its own path."""
    if name in ORIGINS:
        return ORIGINS[name]
    return f"https://{host}/v1" if name == "openai" else f"https://{host}/orders"


def command(name: str, url: str) -> list[str]:
    """Return the command that runs a client. Skips the test, or fails it under LEDGER_REQUIRE_REAL=1, without it."""
    if name == "curl":
        return [_found("curl", shutil.which("curl"), "install curl"), *_CURL, url]
    if name in NODE:
        return [node(), str(HERE / f"{name.replace('-', '_')}.mjs"), url]
    return [sys.executable, str(HERE / f"{name.replace('-', '_')}_client.py"), url]


def node() -> str:
    """Return the path of Node 24."""
    binary = NODE_MODULES / ".bin" / "node"
    return _found("Node 24", str(binary) if binary.exists() else None, "run: npm ci --prefix tests/node")


def cache_tests() -> Path:
    """Return the folder of the HTTP cache tests (http-cache-tests on npm)."""
    folder = NODE_MODULES / "http-cache-tests"
    found = str(folder) if folder.exists() else None
    return Path(_found("http-cache-tests", found, "run: npm ci --prefix tests/node"))


def _found(what: str, path: str | None, remedy: str) -> str:
    if path:
        return path
    reason = f"{what} is missing; {remedy}"
    if os.environ.get("LEDGER_REQUIRE_REAL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


_CURL = ("-sS", "--max-time", "20", "-H", "Content-Type: application/json", "-d", '{"amount": 4900}')
