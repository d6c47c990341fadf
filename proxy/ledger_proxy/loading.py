"""The engine, loaded piece by piece, with time between two for what happens meanwhile. Imports none of it itself."""

from __future__ import annotations

import gc
import importlib

ENGINE = ("aiohttp", "aiohttp.web", "ledger_proxy.fronting", "mitmproxy.proxy.layers", "ledger_proxy.sidecar")
"""In the order in which they need each other."""


def load(piece: str) -> None:
    """Import one. What it makes stays: to walk that for garbage again and again is a tenth of the time."""
    gc.disable()
    try:
        importlib.import_module(piece)
    finally:
        gc.enable()
