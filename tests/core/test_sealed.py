"""Kept results under a key: only the row, epoch and column they were written for open them, and only untouched."""

from __future__ import annotations

import base64
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Guard
from ledger.errors import ResultSealed
from ledger.records import Instant, Record, Result, Status
from ledger.stores import sealed, upkeep
from ledger.stores.sqlite import SqliteStore
from ledger.stores.sqlite_view import SqliteView
from ledger_proxy.sealing import BadKey, Sealer, sealer

OLD, NEW = b"o" * 32, b"n" * 32
SECRET = b"client_secret_4f0e"


def kept(id: str, body: bytes | None = SECRET) -> Record:
    return Record(
        id=id, tool="charges", status=Status.SUCCESS, epoch=1, runs=1, attempts=1,
        created=Instant(1e9), touched=Instant(1e9), result=Result({"status": 200, "of": id}, body),
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with two sealed results of one size, and one without a body."""
    file = tmp_path / "ledger.db"
    with closing(SqliteStore(file, cipher=Sealer([OLD]))) as store:
        for record in (kept("a" * 8), kept("b" * 8), kept("c" * 8, None)):
            store.put(record)
    return file


def read(path: Path, id: str, *keys: bytes) -> Result | None:
    with closing(SqliteStore(path, cipher=Sealer(keys) if keys else None)) as store:
        found = store.get(id)
        return None if found is None else found.result


def tamper(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(sql)
        db.commit()


def everything(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def test_it_comes_back_with_its_key_and_is_nowhere_in_the_file(path: Path) -> None:
    assert read(path, "a" * 8, OLD) == Result({"status": 200, "of": "a" * 8}, SECRET)
    assert read(path, "c" * 8, OLD) == Result({"status": 200, "of": "c" * 8}, None)
    assert SECRET not in everything(path)


def test_without_its_key_it_is_one_line_that_says_so(path: Path) -> None:
    with pytest.raises(ResultSealed, match="aaaaaaaa answers is encrypted: set LEDGER_ENCRYPTION_KEY"):
        read(path, "a" * 8)
    with pytest.raises(ResultSealed, match="under another key"):
        read(path, "a" * 8, NEW)
    with closing(SqliteView(path)) as view:
        found = view.get("a" * 8)
        assert found is not None
        assert found.tool == "charges"
        with pytest.raises(ResultSealed):
            _ = found.result


@pytest.mark.parametrize("replays", [False, True])
def test_only_who_is_answered_from_it_needs_its_key(tmp_path: Path, replays: bool) -> None:
    charged: list[int] = []

    def charge(amount: int) -> int:
        charged.append(amount)
        return amount

    for keys in ([OLD], []):
        cipher = Sealer(keys) if keys else None
        with (
            closing(SqliteStore(tmp_path / "ledger.db", cipher=cipher)) as store,
            closing(Guard(store=store).quiet().policy(charge, replay=replays)) as guard,
        ):
            if replays and not keys:
                with pytest.raises(ResultSealed, match="is encrypted: set LEDGER_ENCRYPTION_KEY"):
                    guard(charge, 5)
            else:
                assert guard(charge, 5) == (5 if keys else None)
            told = guard.stats()
    assert charged == [5]
    assert (told["attempts"], told["blocked"]) == ((1, 0) if replays else (2, 1)), "only answers count"


def test_what_needs_no_answer_needs_no_key(path: Path) -> None:
    """Lists, sums and removal work for who may not read the answers."""
    with closing(SqliteStore(path)) as store:
        assert len(store.all()) == 3
        store.delete("a" * 8)
        assert len(store.all()) == 2


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE results SET body = (SELECT body FROM results WHERE seq = 2) WHERE seq = 1",
        "UPDATE results SET (meta, body) = (SELECT meta, body FROM results WHERE seq = 2) WHERE seq = 1",
        "UPDATE results SET body = meta WHERE seq = 1",
        "UPDATE results SET body = NULL WHERE seq = 1",
        "UPDATE results SET body = x'' WHERE seq = 1",
        "UPDATE results SET epoch = 2; UPDATE records SET epoch = 2",
        """UPDATE results SET meta = '{"status": 200}', body = x'00' WHERE seq = 1""",
    ],
)
def test_a_swapped_or_altered_row_is_refused(path: Path, sql: str) -> None:
    for statement in sql.split(";"):
        tamper(path, statement)
    with pytest.raises(ResultSealed, match="aaaaaaaa"):
        read(path, "a" * 8, OLD)


@given(body=st.binary(max_size=64), at=st.integers(min_value=0), bit=st.integers(0, 7), part=st.integers(0, 1))
def test_no_single_bit_can_change(body: bytes, at: int, bit: int, part: int) -> None:
    cipher = Sealer([OLD])
    columns = sealed.closed('{"status":200}', body, "id", 1, cipher)
    assert sealed.opened(*columns, "id", 1, cipher) == ('{"status":200}', body)
    changed = [bytearray(column or b"") for column in columns]  # type: ignore[arg-type]
    changed[part][at % len(changed[part])] ^= 1 << bit
    with pytest.raises(ResultSealed):
        sealed.opened(bytes(changed[0]), bytes(changed[1]), "id", 1, cipher)


def test_keys_are_changed_without_losing_an_answer(path: Path) -> None:
    """The new key first, the old one behind it; then everything again; then without the old one."""
    with closing(SqliteStore(path, cipher=Sealer([NEW, OLD]))) as store:
        store.put(kept("d" * 8))
    assert upkeep.encrypt(str(path), Sealer([NEW, OLD])) == 3
    assert upkeep.encrypt(str(path), Sealer([NEW, OLD])) == 0
    assert all(read(path, letter * 8, NEW) is not None for letter in "abcd")


def test_what_cannot_be_opened_stays_and_is_named(path: Path) -> None:
    tamper(path, "UPDATE results SET body = x'00' WHERE seq = 2")
    with pytest.raises(ResultSealed, match=r"1 kept results were left.*bbbbbbbb"):
        upkeep.encrypt(str(path), Sealer([NEW, OLD]))
    assert read(path, "a" * 8, NEW) is not None


def test_a_ledger_that_was_plain_is_encrypted_whole(tmp_path: Path) -> None:
    file = tmp_path / "plain.db"
    with closing(SqliteStore(file)) as store:
        for number in range(200):
            store.put(kept(f"{number:08x}"))
    assert SECRET in everything(file)
    with pytest.raises(ResultSealed, match="`ledger encrypt`"):
        read(file, "00000000", NEW)
    assert upkeep.encrypt(str(file), Sealer([NEW])) == 200
    assert SECRET not in everything(file)
    assert read(file, f"{199:08x}", NEW) == Result({"status": 200, "of": f"{199:08x}"}, SECRET)


def test_keys_are_read_in_the_forms_that_people_have(tmp_path: Path) -> None:
    key = os.urandom(32)
    file = tmp_path / "keys"
    file.write_text(f"{base64.b64encode(key).decode()}\n{OLD.hex()}\n")
    value = Sealer([key]).seal(SECRET, b"x")
    for text in (key.hex(), base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode().rstrip("=")):
        found = sealer({"LEDGER_ENCRYPTION_KEY": f"{text},{OLD.hex()}"})
        assert found is not None
        assert found.open(value, b"x") == SECRET
    found = sealer({"LEDGER_ENCRYPTION_KEY_FILE": str(file)})
    assert found is not None
    assert found.open(Sealer([OLD]).seal(SECRET, b"x"), b"x") == SECRET
    assert sealer({"LEDGER_ENCRYPTION_KEY": " "}) is None


@pytest.mark.parametrize("text", ["short", "0" * 63, "é" * 32, f"{OLD.hex()},nonsense"])
def test_a_key_that_is_none_is_refused_and_never_repeated(text: str) -> None:
    with pytest.raises(BadKey, match=r"LEDGER_ENCRYPTION_KEY: key [12] is not 32 random bytes") as refused:
        sealer({"LEDGER_ENCRYPTION_KEY": text})
    assert text not in str(refused.value)
    with pytest.raises(BadKey, match="No such file"):
        sealer({"LEDGER_ENCRYPTION_KEY_FILE": "/nowhere/key"})
    with pytest.raises(BadKey, match="one of them"):
        sealer({"LEDGER_ENCRYPTION_KEY": OLD.hex(), "LEDGER_ENCRYPTION_KEY_FILE": "/nowhere/key"})
