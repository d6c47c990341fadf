"""A user's own six-method store: lifted to a `SyncStore`, its rows in Ledger-Once's shape.

Whatever such a store was written for, it kept a record's `args`; there our own row travels, as text.
"""

from __future__ import annotations

import json
from typing import Any, cast

from ledger.compat import Record, SixMethods
from ledger.ports import Store, SyncStore
from ledger.records import Record as Row
from ledger.stores.bare import Shape
from ledger.stores.lifted import LiftedStore

ROW = "~ledger"
"""The argument's name that our row travels under; no Python parameter can be called so."""


def lift(store: SyncStore | Store) -> SyncStore:
    """A store of Ledger's as it is; a user's own, plain or async, lifted.

    Raises TypeError, naming the methods that are not there.
    """
    return _lifted(store, LiftedStore)


def adopt(store: SyncStore | Store) -> SyncStore:
    """As `lift`, for a guard: whoever asks its `_engine.store` sees the records that were put into it."""
    return _lifted(store, _OwnStore)


def _lifted(store: SyncStore | Store, kind: type[LiftedStore]) -> SyncStore:
    if isinstance(store, type):
        raise TypeError(f"{store.__name__} is a class, no store; write Guard(store={store.__name__}())")
    if hasattr(store, "insert"):
        return cast("SyncStore", store)
    return kind(store, Shape(Record, shown, read))


class _OwnStore(SixMethods, LiftedStore):  # type: ignore[misc]
    """Its six methods in Ledger-Once's shape."""


def shown(row: Row) -> Record:
    """The row as Ledger-Once showed it, with plain JSON for a result, and all of it in `args`."""
    record = Record.of(row.but(result=None))
    record.args = {**record.args, ROW: row.to_json()}
    record.result = _plain(row)
    return record


def read(record: Record) -> Row:
    """The row again. A record that Ledger-Once put there, or its user, says what it can."""
    text = record.args.get(ROW)
    return record.row(None) if text is None else Row.from_json(text)


def _plain(row: Row) -> Any:
    if row.result is None or row.result.body is None:
        return None
    try:
        return json.loads(row.result.body)
    except ValueError:
        return None
