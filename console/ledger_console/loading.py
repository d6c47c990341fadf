"""How much code is loaded at once. Imports nothing that is large itself."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """While much is imported that stays: to walk it again and again for garbage is a tenth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
