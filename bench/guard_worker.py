"""One side of the guard's figures, in a process and an environment of its own; prints its timings as JSON.

    python guard_worker.py SIDE FOLDER CALLS

Imports nothing of the bench: it also runs where `ledger` is Ledger-Once. Output is silenced on every side.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from statistics import median

SLICES = 20
THREADS = 32


def effect(number: int, currency: str = "usd") -> dict[str, object]:
    return {"charged": number, "currency": currency}


def per_call(call: Callable[[int], object], calls: int) -> float:
    """Microseconds of one call: the median of short slices, so that a neighbour's burst hits few of them."""
    size, taken = max(1, calls // SLICES), []
    for start in range(0, size * SLICES, size):
        begun = time.perf_counter()
        for number in range(start, start + size):
            call(number)
        taken.append((time.perf_counter() - begun) / size)
    return median(taken) * 1e6


def first_and_duplicate(call: Callable[[int], object], calls: int) -> dict[str, float]:
    for number in range(10**9, 10**9 + 50):
        call(number)
    return {"first": per_call(call, calls), "duplicate": per_call(call, calls)}


def guarded(guard: object, calls: int) -> dict[str, float]:
    guard.quiet()
    told = first_and_duplicate(lambda number: guard(effect, number), calls)
    getattr(guard, "close", lambda: None)()
    return told


def ours(folder: str, calls: int, durability: str = "full") -> dict[str, float]:
    from ledger import Guard, SqliteStore

    store = SqliteStore(f"{folder}/ledger.db", durability)
    told = guarded(Guard(store=store), calls)
    begun = time.perf_counter()
    from ledger.ports import Query

    store.stats(Query())
    told["stats"] = (time.perf_counter() - begun) * 1e6
    store.close()
    return told


def ours_in_threads(folder: str, calls: int, durability: str = "full") -> dict[str, float]:
    from ledger import Guard, SqliteStore

    store = SqliteStore(f"{folder}/ledger.db", durability)
    guard = Guard(store=store).quiet()
    guard(effect, -1)
    each = max(1, calls // THREADS)
    ready = threading.Barrier(THREADS + 1)

    def work(mine: int) -> None:
        ready.wait()
        for number in range(mine * each, (mine + 1) * each):
            guard(effect, number)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in range(THREADS)]
    for thread in threads:
        thread.start()
    ready.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    told = {"call": (time.perf_counter() - begun) / (each * THREADS) * 1e6, "calls": each * THREADS}
    guard.close()
    store.close()
    return told


def memory(folder: str, calls: int) -> dict[str, float]:
    from ledger import Guard, _Mem

    return guarded(Guard(store=_Mem()), calls)


def ledger_once(folder: str, calls: int) -> dict[str, float]:
    os.environ["LEDGER_DB"] = f"{folder}/once.db"
    from ledger import guard

    return guarded(guard, calls)


def exactly_once(folder: str, calls: int) -> dict[str, float]:
    from exactly_once import once
    from exactly_once.stores.sqlite import SQLiteStore

    guarded_effect = once(SQLiteStore(f"{folder}/exactly.db"), key=lambda number: f"charge:{number}")(effect)
    return first_and_duplicate(guarded_effect, calls)


def agent_once(folder: str, calls: int) -> dict[str, float]:
    from once import Once

    once = Once(f"{folder}/agent.db")
    told = first_and_duplicate(lambda number: once.execute(effect, number=number), calls)
    once.close()
    return told


def raw(folder: str, calls: int) -> dict[str, float]:
    """What SQLite itself needs for two durable writes, and for one."""
    db = sqlite3.connect(f"{folder}/raw.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE t (id TEXT PRIMARY KEY, status TEXT, result TEXT)")

    def write(sql: str, *values: object) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute(sql, values)
        db.execute("COMMIT")

    def two(number: int) -> None:
        write("INSERT INTO t VALUES (?, 'running', NULL)", f"{number:032x}")
        write("UPDATE t SET status = 'success', result = '{}' WHERE id = ?", f"{number:032x}")

    told = {"two": per_call(two, calls)}
    told["one"] = per_call(lambda number: write("INSERT INTO t VALUES (?, 'x', NULL)", f"one {number}"), calls)
    db.close()
    return told


SIDES: dict[str, Callable[[str, int], dict[str, float]]] = {
    "ours": ours,
    "ours-normal": lambda folder, calls: ours(folder, calls, "normal"),
    "ours-threads": ours_in_threads,
    "ours-threads-normal": lambda folder, calls: ours_in_threads(folder, calls, "normal"),
    "memory": memory,
    "ledger-once": ledger_once,
    "exactly-once": exactly_once,
    "agent-once": agent_once,
    "raw": raw,
}

if __name__ == "__main__":
    side, folder, calls = sys.argv[1:]
    print(json.dumps(SIDES[side](folder, int(calls))))
