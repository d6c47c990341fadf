"""Values in one normal form for fingerprints: equal meaning, equal form; another meaning, another form.

The form is JSON-able and unambiguous: containers are tagged lists, so that no value can imitate another.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import enum
import hashlib
import json
import math
import pathlib
import sys
import types
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

DECIMALS = 8
SIGNIFICANT = 11
"""A float is told apart by 8 decimals or 11 significant digits, whichever keeps more (design §4.4).

Never by more than the 15 digits that a float can keep of a decimal number: what is beyond them is drift.
"""

_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_ABBREVIATED = (" at 0x", "...", "***")
"""Signs in a `repr` that it does not say everything: an address, an ellipsis, a masked secret."""


class NoStableForm(TypeError):
    """The value says nothing that would be the same in a retry."""


def normal(value: object) -> Any:
    """The normal form. Raises NoStableForm; RecursionError for what is nested in itself."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if isinstance(value, enum.Enum):
        return ["enum", identity_of_type(type(value)), value.name]
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return _int(int(value))
    if isinstance(value, float):
        return _float(float(value))
    if hasattr(type(value), "__ledger_id__"):
        named = value.__ledger_id__  # type: ignore[attr-defined]
        return ["id", identity_of_type(type(value)), normal(named() if callable(named) else named)]
    for kinds, form in _FORMS:
        if isinstance(value, kinds):
            return form(value)
    fields = _fields(value)
    if fields is not None:
        return ["object", identity_of_type(type(value)), _mapping(fields)]
    return _by_repr(value)


def identity_of_type(kind: type) -> str:
    """`module.qualname`."""
    return f"{module_of(kind)}.{kind.__qualname__}"


def module_of(value: Any) -> str:
    """Where a function or a class is from. A child that multiprocessing starts anew has the script's under a name of
    its own (https://docs.python.org/3/library/multiprocessing.html#the-spawn-and-forkserver-start-methods)."""
    name: str = value.__module__
    return "__main__" if name == "__mp_main__" else name


def _float(value: float) -> Any:
    if not math.isfinite(value):
        return ["float", repr(value)]
    if value.is_integer():
        return _int(int(value))
    exponent = math.floor(math.log10(abs(value)))
    kept = max(DECIMALS, SIGNIFICANT - 1 - exponent)
    rounded = round(value, min(kept, sys.float_info.dig - 1 - exponent))
    # 99.0 and 99 are one amount, be it that one came back through JSON.
    return _int(int(rounded)) if rounded.is_integer() else rounded


def _int(value: int) -> Any:
    # Python refuses to print very long numbers in decimal.
    return value if value.bit_length() <= 64 else ["int", hex(value)]


def _sorted(forms: list[Any]) -> list[Any]:
    return sorted(forms, key=json.dumps)


def _mapping(value: Mapping[Any, Any]) -> Any:
    return ["map", _sorted([[normal(k), normal(v)] for k, v in value.items()])]


def _decimal(value: Decimal) -> Any:
    text = format(value, "f") if value.is_finite() else str(value)
    return ["decimal", text.rstrip("0").rstrip(".") if "." in text else text]


def _datetime(value: dt.datetime) -> Any:
    try:
        at = value.astimezone(dt.UTC) if value.tzinfo is not None else value
    except OverflowError:  # the first and the last day there is, in a zone beside it
        at = value
    return ["datetime", at.isoformat()]


def _bytes(value: bytes | bytearray | memoryview) -> Any:
    return ["bytes", hashlib.sha256(bytes(value)).hexdigest()]


def _function(value: Any) -> Any:
    owner = getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, type | types.ModuleType):
        return ["method", normal(owner), value.__name__]
    if value.__name__ == "<lambda>":
        raise NoStableForm("a lambda")
    told = ["function", f"{module_of(value)}.{value.__qualname__}"]
    # One that was made inside another has what it was made with; who comes from a module is known by its name.
    made_with = captured(value) if "<locals>" in value.__qualname__ else ()
    # One that calls itself closes over itself, too.
    return [*told, [normal(inner) for inner in made_with if inner is not value]] if made_with else told


def captured(fn: Any) -> tuple[Any, ...]:
    """What a function holds of where it was made: the variables it closes over that are set, and its defaults."""
    cells: list[Any] = []
    for cell in getattr(fn, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # empty: not yet set
            cells.append(cell.cell_contents)
    defaults = getattr(fn, "__defaults__", None) or ()
    return (*cells, *defaults, *(getattr(fn, "__kwdefaults__", None) or {}).values())


_FORMS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (Mapping, _mapping),
    ((list, tuple), lambda v: ["list", [normal(item) for item in v]]),
    ((set, frozenset), lambda v: ["set", _sorted([normal(item) for item in v])]),
    ((bytes, bytearray, memoryview), _bytes),
    (dt.datetime, _datetime),
    ((dt.date, dt.time), lambda v: [type(v).__name__, v.isoformat()]),
    (dt.timedelta, lambda v: ["timedelta", v.days, v.seconds, v.microseconds]),
    (Decimal, _decimal),
    (uuid.UUID, lambda v: ["uuid", str(v)]),
    (pathlib.PurePath, lambda v: ["path", str(v)]),
    (type, lambda v: ["type", identity_of_type(v)]),
    (_FUNCTIONS, _function),
)


def _fields(value: object) -> Mapping[str, object] | None:
    """The fields of a dataclass or a pydantic model."""
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.compare}
    model_fields = getattr(type(value), "model_fields", None)
    if not isinstance(model_fields, Mapping):
        return None
    return {
        **{name: getattr(value, name) for name in model_fields},
        **(getattr(value, "__pydantic_extra__", None) or {}),
    }


def _by_repr(value: Any) -> Any:
    shape: Any = type(value)
    kind = identity_of_type(shape)
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):
        told = hashlib.sha256(value.tobytes()).hexdigest()
        return ["array", kind, str(value.dtype), str(getattr(value, "shape", "")), told]
    # What is still to be read from a file or a stream is not in its repr.
    if shape.__repr__ is object.__repr__ or hasattr(value, "read"):
        raise NoStableForm(f"a {kind}")
    text = repr(value)
    if any(sign in text for sign in _ABBREVIATED) or text != repr(value):
        raise NoStableForm(f"a {kind}, shown as {text[:60]}")
    return ["repr", kind, text]
