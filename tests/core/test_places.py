"""A ledger on a network file system is refused: WAL needs the memory of one machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ledger.errors import StoreUnavailable
from ledger.stores import places
from ledger.stores.sqlite import SqliteStore
from tests.core.world import AwaitedStore, claimed

STORES = (SqliteStore, AwaitedStore)


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose file system passes for one of several machines: none can be mounted here."""
    kind = places.file_system(tmp_path)
    assert kind
    monkeypatch.setattr(places, "REMOTE", frozenset([kind]))
    return tmp_path


@pytest.mark.parametrize("kind", STORES)
def test_it_is_refused_in_one_line_and_nothing_is_made(shared: Path, kind: type) -> None:
    with pytest.raises(StoreUnavailable, match="network file system") as refused:
        kind(shared / "ledger.db")
    assert "\n" not in str(refused.value)
    assert str(shared / "ledger.db") in str(refused.value)
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize("kind", STORES)
def test_one_that_is_there_is_not_opened_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    SqliteStore(tmp_path / "ledger.db").close()
    monkeypatch.setattr(places, "REMOTE", frozenset([places.file_system(tmp_path)]))
    with pytest.raises(StoreUnavailable, match="LEDGER_NETWORK_DISK=1"):
        kind(tmp_path / "ledger.db")


def test_who_knows_better_may_say_so(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_NETWORK_DISK", "1")
    store = SqliteStore(shared / "ledger.db")
    claimed(store)
    store.close()


def test_the_type_is_what_the_system_says(tmp_path: Path) -> None:
    said = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True).stdout
    known = places.file_system(tmp_path / "not" / "yet" / "there.db")
    assert known
    assert said.strip().startswith(known[:3])
    assert places.file_system("/proc/self") == "proc"
