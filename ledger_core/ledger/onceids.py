"""The id that Ledger-Once gave a call, so that its records answer here what they answered there.

What it did is told by its documentation and ledger-once 0.1.5: a digest over the function's module and name, the
workflow, and either the key or the bound arguments, floats rounded to 8 decimals, whatever is not JSON by its `str`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from ledger.functions import known


def once_id(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], wf: str, key: str | None
) -> str | None:
    """32 hexadecimal digits; None for a call that Ledger-Once could not have recorded."""
    name = getattr(fn, "__name__", None)
    if name is None:
        return None
    try:
        told = {"k": key} if key is not None else {"a": _plain(_bound(fn, args, kwargs))}
        text = json.dumps({"t": f"{fn.__module__}.{name}", "w": wf, **told}, sort_keys=True, separators=(",", ":"))
    except (AttributeError, TypeError, ValueError, RecursionError):
        return None
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _bound(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    signature = known(fn).signature
    if signature is None:
        return {**kwargs, "_": list(args)} if args else dict(kwargs)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 8)
    return value if value is None or isinstance(value, str | int) else str(value)
