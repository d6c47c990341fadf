"""Results as JSON with tagged types, and back to the same types. Never pickle, never code from the ledger.

Decoding a class looks it up among the modules already imported and fills its fields; no constructor runs.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import enum
import json
import math
import sys
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from ledger.compact import encoder
from ledger.normal import module_of
from ledger.records import Result

MAX_STORED = 8 * 1024 * 1024
"""Bytes of the largest result that is kept."""
_dumps = encoder(allow_nan=False)
_AS_THEY_ARE = frozenset({str, bool, type(None)})
_TEXT = frozenset({str})
_LONG = 1 << 64
_LOWEST = -_LONG
"""Whole numbers from here on are written in hexadecimal."""
_TAG = "$"
_META = {"codec": 1}


class CannotStore(TypeError):
    """The value, or something in it, has no form that gives the same value back."""


class CannotLoad(TypeError):
    """The stored form needs a class that is not there."""


def encode(value: object) -> Result:
    """The value as a result. Raises CannotStore."""
    try:
        body = _dumps(value if _is_plain(value) else _pack(value)).encode("ascii")
    except RecursionError:
        raise CannotStore("it is nested too deeply, or contains itself") from None
    if len(body) > MAX_STORED:
        raise CannotStore(f"it takes {len(body)} bytes, more than {MAX_STORED}")
    return Result(_META, body)


def decode(result: Result) -> Any:
    """The value again. Raises CannotLoad."""
    if result.body is None or dict(result.meta) != _META:
        raise CannotLoad("it was not kept")
    return _unpack(json.loads(result.body))


def _pack(value: Any) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is dict:
        return _pack_dict(value)
    if kind is int:
        return value if -_LONG < value < _LONG else {_TAG: "int", "v": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {_TAG: "float", "v": repr(value)}
    if kind is list:
        return [_pack(item) for item in value]
    if kind in _SCALARS:
        name, pack, _ = _SCALARS[kind]
        return {_TAG: name, "v": pack(value)}
    return _pack_class(value)


def _is_plain(value: Any) -> bool:
    """Whether it is a flat dict that is its own stored form, as most results are."""
    if type(value) is not dict or _TAG in value or not _TEXT.issuperset(map(type, value)):
        return False
    for v in value.values():
        kind = type(v)
        if kind not in _AS_THEY_ARE and not (kind is int and _LOWEST < v < _LONG):
            return False
    return True


def _pack_dict(value: dict[Any, Any]) -> Any:
    told = {}
    for k, v in value.items():
        if type(k) is not str or k == _TAG:
            return {_TAG: "dict", "v": [[_pack(k), _pack(v)] for k, v in value.items()]}
        kind = type(v)
        told[k] = v if kind in _AS_THEY_ARE or (kind is int and -_LONG < v < _LONG) else _pack(v)
    return told


def _unpack(form: Any) -> Any:
    if isinstance(form, list):
        return [_unpack(item) for item in form]
    if not isinstance(form, dict):
        return form
    if _TAG not in form:
        return {k: _unpack(v) for k, v in form.items()}
    tag, told = form[_TAG], form["v"]
    if tag == "dict":
        return {_unpack(k): _unpack(v) for k, v in told}
    if tag in _CLASSES:
        return _CLASSES[tag](_class_named(form["of"]), told)
    if tag not in _LOADERS:
        raise CannotLoad(f"it was stored by another version of Ledger ({tag!r})")
    return _LOADERS[tag](told)


def _packed(items: Any) -> list[Any]:
    return [_pack(item) for item in items]


_SCALARS: dict[type, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    tuple: ("tuple", _packed, lambda v: tuple(_unpack(v))),
    set: ("set", _packed, lambda v: set(_unpack(v))),
    frozenset: ("frozenset", _packed, lambda v: frozenset(_unpack(v))),
    bytes: ("bytes", lambda v: base64.b64encode(v).decode(), base64.b64decode),
    dt.datetime: ("datetime", dt.datetime.isoformat, dt.datetime.fromisoformat),
    dt.date: ("date", dt.date.isoformat, dt.date.fromisoformat),
    dt.time: ("time", dt.time.isoformat, dt.time.fromisoformat),
    dt.timedelta: ("timedelta", lambda v: [v.days, v.seconds, v.microseconds], lambda v: dt.timedelta(*v)),
    Decimal: ("Decimal", str, Decimal),
    uuid.UUID: ("UUID", str, uuid.UUID),
}
_LOADERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda v: int(v, 16),
    "float": float,
    **{name: load for name, _, load in _SCALARS.values()},
}


def _pack_model(value: Any) -> dict[str, Any]:
    inside = {**{f: getattr(value, f) for f in type(value).model_fields}, **(value.__pydantic_extra__ or {})}
    return {"fields": {k: _pack(v) for k, v in inside.items()}, "set": sorted(value.model_fields_set)}


def _pack_class(value: Any) -> Any:
    kind = type(value)
    name = f"{module_of(kind)}:{kind.__qualname__}"
    if _find(name) is not kind:
        raise CannotStore(f"a {kind.__qualname__} cannot be found again by its name")
    if isinstance(value, enum.Enum):
        return {_TAG: "enum", "of": name, "v": value.name}
    if dataclasses.is_dataclass(kind):
        fields = {f.name: _pack(getattr(value, f.name)) for f in dataclasses.fields(kind)}
        return {_TAG: "dataclass", "of": name, "v": fields}
    if isinstance(value, tuple) and hasattr(kind, "_make"):
        return {_TAG: "namedtuple", "of": name, "v": _packed(value)}
    if _is_model(kind):
        return {_TAG: "model", "of": name, "v": _pack_model(value)}
    raise CannotStore(f"a {kind.__module__}.{kind.__qualname__} has no stored form")


def _find(name: str) -> object:
    """A class among what is imported, None when it is not there."""
    module, _, qualname = name.partition(":")
    found: object = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _class_named(name: str) -> type:
    found = _find(name)
    if not isinstance(found, type):
        raise CannotLoad(f"its class {name.replace(':', '.')} is not imported here")
    return found


def _is_model(kind: type) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(kind, pydantic.BaseModel)


def _checked(kind: type, right: bool) -> Any:
    if not right:
        raise CannotLoad(f"its class {kind.__module__}.{kind.__qualname__} is now something else")
    return kind


def _load_enum(kind: type, name: str) -> Any:
    members = kind.__members__ if issubclass(kind, enum.Enum) else {}
    _checked(kind, name in members)
    return members[name]


def _load_dataclass(kind: type, fields: Mapping[str, Any]) -> Any:
    names = {f.name for f in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else None
    _checked(kind, names == set(fields))
    value: Any = object.__new__(kind)
    for name, form in fields.items():
        object.__setattr__(value, name, _unpack(form))
    return value


def _load_namedtuple(kind: type, items: list[Any]) -> Any:
    fields = getattr(kind, "_fields", None)
    _checked(kind, issubclass(kind, tuple) and isinstance(fields, tuple) and len(fields) == len(items))
    return tuple.__new__(kind, _unpack(items))


def _load_model(kind: type, told: Mapping[str, Any]) -> Any:
    model = _checked(kind, _is_model(kind) and set(kind.model_fields) <= set(told["fields"]))  # type: ignore[attr-defined]
    return model.model_construct(_fields_set=set(told["set"]), **{k: _unpack(v) for k, v in told["fields"].items()})


_CLASSES: dict[str, Callable[[type, Any], Any]] = {
    "enum": _load_enum,
    "dataclass": _load_dataclass,
    "namedtuple": _load_namedtuple,
    "model": _load_model,
}
