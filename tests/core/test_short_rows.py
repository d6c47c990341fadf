"""Of most records less is read than there is: what is left out must be what every record starts with."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.records import Instant, Kind, Record, Result, Status
from ledger.stores.rows import COLUMNS, MORE, SHORT
from ledger.stores.sqlite import SqliteStore

CALL = Record(
    id="a" * 32, tool="charge", wf="order-1", caller="ada", status=Status.SUCCESS, owner="me", epoch=2, generation=3,
    lease=4.0, timeout=5.0, window=6.0, spent=1, released=True, created=Instant(1e9), touched=Instant(2e9, 1.0, "b"),
    began=Instant(3e9, 2.0, "c"), about={"args": {"n": 1}}, attempts=7, runs=1, replayed=5, refused=1,
    result=Result({"type": "json"}, b"1"),
)  # fmt: skip
OTHER: dict[str, Any] = {
    "kind": Kind.HTTP, "rule": "stripe/create", "version": 2, "content_id": "b" * 32, "payload_id": "c" * 32,
    "payload": "d" * 32, "resent": True, "upstream_key": "e", "error": "f", "note": "", "failed": 1, "unknown": 2,
    "held": 3, "conflicts": 4,
}  # fmt: skip


@pytest.mark.parametrize("name", [None, *MORE])
def test_a_look_finds_what_was_written_however_little_of_it_is_read(tmp_path: Path, name: str | None) -> None:
    written = CALL if name is None else replace(CALL, **{name: OTHER[name]})
    with closing(SqliteStore(tmp_path / "ledger.db")) as store:
        store.put(written)
        assert store.look(Record(id=CALL.id, tool="charge")) == store.get(CALL.id) == written


def test_every_column_is_read() -> None:
    assert sorted((*SHORT, *MORE)) == sorted(COLUMNS)
