"""The ledger's HMAC key: made with the ledger, or given by the user and checked. One key per ledger, for ever."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3

from ledger.errors import KeyMismatch

_CHECKED = b"ledger key check v1"


def agree(db: sqlite3.Connection, given: bytes | None, path: str) -> bytes:
    """The key of this ledger; the first to ask fixes it.

    A given key is never stored, only its check value. Raises KeyMismatch when the ledger was made under
    another: two sidecars with two keys would deduplicate nothing, silently.
    """
    try:
        db.execute("BEGIN IMMEDIATE")
        stored = dict(db.execute("SELECT name, value FROM meta WHERE name IN ('key', 'key_check')"))
        key = _choose(stored, given, path)
        if not stored:
            db.execute("INSERT INTO meta VALUES ('key_check', ?)", (_check(key),))
            if given is None:
                db.execute("INSERT INTO meta VALUES ('key', ?)", (key.hex(),))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return key


def _choose(stored: dict[str, str], given: bytes | None, path: str) -> bytes:
    if not stored:
        return given if given is not None else secrets.token_bytes(32)
    if given is None and "key" not in stored:
        raise KeyMismatch(f"the ledger {path} was made under a LEDGER_KEY; set the same one")
    key = given if given is not None else bytes.fromhex(stored["key"])
    if not hmac.compare_digest(_check(key), stored["key_check"]):
        raise KeyMismatch(f"LEDGER_KEY is not the key the ledger {path} was made under; set that one, or unset it")
    return key


def _check(key: bytes) -> str:
    return hmac.new(key, _CHECKED, hashlib.sha256).hexdigest()
