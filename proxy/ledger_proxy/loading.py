"""How much code is loaded at once. Imports nothing that is large itself."""

from __future__ import annotations

import contextlib
import gc
import importlib
from collections.abc import Iterator

ENGINE = ("aiohttp", "aiohttp.web", "ledger_proxy.fronting", "mitmproxy.proxy.layers", "ledger_proxy.sidecar")
"""What a sidecar is served with, in pieces of about a fifth of a second."""


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """While much is imported that stays: to walk it again and again for garbage is a tenth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def load(piece: str) -> None:
    """Import one of the pieces."""
    with loading():
        importlib.import_module(piece)
