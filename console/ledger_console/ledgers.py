"""Which ledger a command means, opening it, and finding a record in it. Prints nothing."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ledger_console.problems import USAGE, Problem

if TYPE_CHECKING:
    from ledger.records import Record
    from ledger.stores.sealed import Cipher
    from ledger.stores.sqlite import SqliteStore
    from ledger.stores.sqlite_view import SqliteView

type Reader = SqliteStore | SqliteView
"""What a command that only reads is given."""

DEFAULT = "ledger.db"
_SQLITE = "sqlite:///"
_CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class Place:
    """A ledger as a command names it. named: on the command line, so that hints must name it too."""

    path: str
    named: bool

    def hint(self, command: str) -> str:
        """A command line that works on this ledger, ready to be copied."""
        return f"ledger {command} --db {shlex.quote(self.path)}" if self.named else f"ledger {command}"


def is_ledger(word: str) -> bool:
    """Whether a positional names a ledger, not a record: it contains `/`, `.` or `://` (design §7)."""
    return "/" in word or "." in word


def place(db: str | None, words: Sequence[str] = ()) -> Place:
    """The ledger of `--db` or of a positional, else LEDGER_DB, else ./ledger.db. Raises Problem."""
    named = [*filter(is_ledger, words), *([] if db is None else [db])]
    if len(set(named)) > 1:
        raise Problem(f"more than one ledger is named: {', '.join(named)}; give one", USAGE)
    if named:
        return Place(_path(named[0]), named=True)
    return Place(_path(os.environ.get("LEDGER_DB") or DEFAULT), named=False)


def only_place(db: str | None, word: str | None) -> Place:
    """As `place`, for commands whose positional can only be a ledger. Raises Problem."""
    if word is None:
        return place(db)
    if not is_ledger(word):
        raise Problem(f"'{word}' does not look like a ledger (a path has a / or a .); use --db {word}", USAGE)
    return place(db, [word])


def observed(where: Place) -> Place | None:
    """The ledger of what was only observed beside this one, if there is any."""
    from ledger.beside import observed_db

    path = observed_db(where.path)
    return replace(where, path=path) if Path(path).exists() else None


@contextlib.contextmanager
def opened(where: Place) -> Iterator[SqliteStore]:
    """The ledger, which must exist. Raises Problem, and what SqliteStore raises."""
    from ledger.stores.sqlite import SqliteStore

    _must_be_writable(where)
    store = SqliteStore(where.path, create=False, cipher=cipher())
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def made(where: Place) -> Iterator[SqliteStore]:
    """The ledger, made where there is none. Raises Problem, and what SqliteStore raises."""
    from ledger.stores.sqlite import SqliteStore

    if Path(where.path).exists():
        _must_be_writable(where)
    store = SqliteStore(where.path, cipher=cipher())
    try:
        yield store
    finally:
        store.close()


def once_records(path: str) -> tuple[int, Iterator[Record]]:
    """The records in a file of Ledger-Once, and how many. Raises what `upkeep.once_records` raises."""
    from ledger.stores import upkeep

    return upkeep.once_records(path)


@contextlib.contextmanager
def reading(where: Place) -> Iterator[Reader]:
    """The ledger for a command that only reads; it must exist, and may be on a read-only disk.

    Where it can be written it is opened as a store, which upgrades an older one and catches up on its sums.
    Raises Problem, and what the two raise.
    """
    _must_exist(where)
    if writable(where):
        with opened(where) as store:
            yield store
        return
    with contextlib.closing(view(where, seconds=math.inf)) as seen:
        yield seen


def followed(where: Place) -> SqliteView:
    """The ledger for reading only, upgraded first where that is needed and possible. Raises as `reading` does."""
    with reading(where):
        return view(where, seconds=math.inf)


def awaited(where: Place) -> bool:
    """Whether there is no ledger yet, and may be one. Raises Problem where there never can be."""
    _must_be_no_folder(where)
    path = Path(where.path)
    if not path.parent.is_dir():
        raise Problem(f"there is no folder {path.parent}, so there can be no ledger in it", USAGE)
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size == 0
    return True


def view(where: Place, seconds: float = 1.0) -> SqliteView:
    """The ledger for reading only; it must exist and hold something. Raises what SqliteView raises."""
    from ledger.stores.sqlite_view import SqliteView

    return SqliteView(where.path, seconds, cipher=cipher())


def copy(where: Place, target: str, advance: Callable[[int, int], None]) -> None:
    """Copy a ledger that may be in use. Raises Problem, and what `upkeep.copy` raises."""
    from ledger.stores import upkeep

    _must_exist(where)
    upkeep.copy(where.path, target, advance, writable(where))


def compact(where: Place, working: Callable[[], None]) -> tuple[int, int]:
    """Give the space of what was removed back; its bytes before and after. Raises Problem, and as `upkeep.compact`."""
    from ledger.stores import upkeep

    _must_be_writable(where)
    before = upkeep.size(where.path)
    upkeep.compact(where.path, working)
    return before, upkeep.size(where.path)


def cipher() -> Cipher | None:
    """What kept results are sealed with, if the environment names a key. Raises BadKey."""
    from ledger import settings

    if not settings.encrypts():
        return None
    from ledger_proxy.sealing import sealer

    return sealer()


def encrypt(where: Place, advance: Callable[[int, int], None]) -> int:
    """Seal every kept result under the first key; how many were not. Raises Problem, and as `upkeep.encrypt`."""
    from ledger.stores import upkeep

    sealing = cipher()
    if sealing is None:
        raise Problem(
            "set LEDGER_ENCRYPTION_KEY or LEDGER_ENCRYPTION_KEY_FILE: 32 bytes, openssl rand -base64 32", USAGE
        )
    _must_be_writable(where)
    return upkeep.encrypt(where.path, sealing, advance)


def damage(where: Place) -> str | None:
    """What is wrong with the file as such; reads all of it. Raises Problem, LedgerError."""
    from ledger.stores import files

    _must_exist(where)
    with contextlib.closing(files.open_reader(where.path)) as db, files.translated(where.path):
        return files.damage(db)


def file_system(path: Path) -> tuple[str, bool]:
    """The type of the file system there, and whether it is no place for a ledger."""
    from ledger.stores import places

    kind = places.file_system(path)
    return kind or "unknown", kind in places.REMOTE


def sqlite_version() -> tuple[int, ...]:
    """Of the SQLite that this Python is linked to."""
    from ledger.stores import files

    return files.SQLITE_VERSION


def writers_flaw() -> str | None:
    """What is wrong with several processes that write to one ledger, with the SQLite here; None for nothing."""
    number = sqlite_version()
    if number >= (3, 51, 3):
        return None
    return f"SQLite {'.'.join(map(str, number))} has a rare bug with several writers (WAL reset)"


def find(store: Reader, word: str, where: Place) -> Record:
    """The one record whose id is `word` or begins with it, result included. Raises Problem."""
    from ledger.ports import Query

    exact = store.get(word)
    if exact is not None:
        return exact
    found = store.page(Query(id_prefix=word.lower(), limit=_CANDIDATES + 1)) if word else []
    if len(found) > 1:
        ids = ", ".join(r.id[: len(word) + 8] for r in found[:_CANDIDATES])
        raise Problem(f"'{word}' begins several records ({ids}{', …' * (len(found) > _CANDIDATES)}); give more of it")
    record = store.get(found[0].id) if found else None
    if record is None:
        raise Problem(f"there is no record '{word}' in {where.path}; `{where.hint('show')}` lists them")
    return record


def writable(where: Place) -> bool:
    """Whether the ledger can be written, and the files of its log be made beside it."""
    return all(os.access(path, os.W_OK) for path in (where.path, os.path.dirname(os.path.abspath(where.path))))


def _must_exist(where: Place) -> None:
    _must_be_no_folder(where)
    if not Path(where.path).exists():
        made = "`ledger run` and the first guarded call make one, --db or LEDGER_DB names another"
        raise Problem(f"there is no ledger at {where.path}; {made}")


def _must_be_no_folder(where: Place) -> None:
    if Path(where.path).is_dir():
        raise Problem(f"{where.path} is a folder; give the path of a ledger", USAGE)


def _must_be_writable(where: Place) -> None:
    _must_exist(where)
    if not writable(where):
        raise Problem(f"{where.path} may only be read from here: the file or its folder cannot be written")


def _path(db: str) -> str:
    if db.startswith(_SQLITE):
        db = db.removeprefix(_SQLITE)
    if "://" in db:
        scheme = db.split("://", 1)[0]
        raise Problem(f"a {scheme}:// ledger cannot be opened by this version; give the path of a file", USAGE)
    if not db.strip() or db == ":memory:":
        raise Problem(f"'{db}' cannot be a ledger; give the path of a file", USAGE)
    return os.path.expanduser(db)
