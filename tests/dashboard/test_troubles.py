"""Ledgers that cannot be shown: a page says what is in the way, and the dashboard goes on when it is gone."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from ledger.errors import StoreUnavailable
from ledger.records import Record, Result, Status
from ledger.steps import Outcome
from ledger.stores import files, sqlite_view
from ledger.stores.sqlite import SqliteStore
from ledger_console.dashboard.source import Source
from ledger_proxy.sealing import Sealer
from tests.console.conftest import Agent, Ledger
from tests.console.running import running
from tests.dashboard.conftest import WHY, Opens, plain


async def test_a_ledger_that_is_not_there_yet_is_waited_for(dashboard: Opens, tmp_path: Path) -> None:
    path = tmp_path / "later.db"
    browser = await dashboard(path, let_in=False)
    answer = await browser.client.get("/", params={"token": browser.gate.token})
    assert answer.status == 503
    assert answer.headers["Refresh"] == "5"
    assert "No ledger here yet" in plain(await answer.text())
    assert not path.exists()
    SqliteStore(path).close()
    assert "Nothing was asked yet" in await browser.opens("/")


async def test_an_empty_file_is_no_ledger_yet(dashboard: Opens, tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    browser = await dashboard(path, let_in=False)
    answer = await browser.client.get("/", params={"token": browser.gate.token})
    assert "There is nothing in" in plain(await answer.text())
    assert path.stat().st_size == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text", "is not a readable ledger"),
        ("database", "is a database, but not a ledger"),
        ("newer", "was written by a newer Ledger"),
        ("damaged", "is not a readable ledger"),
    ],
)
async def test_what_cannot_be_read_says_why(dashboard: Opens, tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "it.db"
    _make(path, content)
    browser = await dashboard(path, let_in=False)
    answer = await browser.client.get("/operations", params={"token": browser.gate.token})
    page = await answer.text()
    assert answer.status == 503
    assert said in plain(page)
    assert "Traceback" not in page


async def test_a_locked_ledger(dashboard: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_view, "PATIENCE", 0.05)
    path = tmp_path / "it.db"
    SqliteStore(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    browser = await dashboard(path, let_in=False)
    answer = await browser.client.get("/", params={"token": browser.gate.token})
    assert "The ledger is locked" in plain(await answer.text())
    holder.close()
    assert "Nothing was asked yet" in await browser.opens("/")


async def test_what_a_person_does_while_somebody_else_writes_is_not_done(
    agent: Agent, dashboard: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BUSY_SECONDS", 0.1)
    agent.ask("ab12", Status.UNKNOWN)
    browser = await dashboard()
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert "Nobody knows whether it happened" in await browser.opens("/operations/ab12")
        for action, form in (("resolve", {"done": "yes"}), ("retry", {}), ("remove", {"force": "yes"})):
            page = await browser.sends(f"/operations/ab12/{action}", 503, **form, **WHY)
            assert "The ledger is locked" in plain(page)
            assert "Nothing was changed" in plain(page)
            assert 'class="button" href="/operations/ab12">Back' in page
            assert "looks again by itself" not in page
    assert await browser.sends("/operations/ab12/resolve", done="yes", **WHY)
    found = agent.store.get("ab12")
    assert found is not None
    assert found.status is Status.SUCCESS


@pytest.mark.parametrize(
    ("body", "begins"),
    [
        (b"x" * 10_000_000, "xxxx"),
        (b"[" + b"1234567," * 1_250_000 + b"1]", "[1234567,1234567"),
        (b'{"a": "' + b"y" * 1_000_000 + b'"}', '{ "a": "yyy'),
        (b"\x00\xff" * 5_000_000, "00 ff 00 ff"),
        (b"[" * 1_000_000, "[[[["),
        (b"\x1b[31m" * 2_000_000, "\\x1b[31m"),
    ],
)
async def test_a_body_of_ten_megabytes(agent: Agent, dashboard: Opens, body: bytes, begins: str) -> None:
    """The page holds its beginning, and stays a page; all of it is a download."""
    answer = Result({"status": 200, "reason": "OK", "headers": []}, body)
    agent.ask("ab12", Outcome(Status.SUCCESS, result=answer))
    browser = await dashboard()
    page = await browser.opens("/operations/ab12")
    assert begins in plain(page)
    assert "the beginning" in plain(page)
    assert len(page) < 600_000
    async with browser.client.get("/operations/ab12/body") as download:
        assert await download.read() == body


async def test_the_file_goes_away_and_comes_back(agent: Agent, dashboard: Opens, tmp_path: Path) -> None:
    agent.ask("ab12", Status.UNKNOWN)
    browser = await dashboard()
    away = tmp_path / "away"
    away.mkdir()
    files = list(tmp_path.glob("ledger.db*"))
    for file in files:
        file.rename(away / file.name)
    assert "No ledger here yet" in await browser.opens("/operations/ab12", 503)
    assert "there is no ledger" in (await browser.sends("/operations/ab12/resolve", 409, done="yes", **WHY)).lower()
    for file in files:
        (away / file.name).rename(file)
    assert "Nobody knows whether it happened" in await browser.opens("/operations/ab12")


async def test_a_read_that_takes_too_long_says_what_to_do(
    agent: Agent, dashboard: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.ask("ab12")
    browser = await dashboard()

    def endless(*_: object) -> object:
        from ledger.errors import ReadTooLong

        raise ReadTooLong("reading it took longer than 1 s and was stopped; ask for less")

    monkeypatch.setattr(sqlite_view.SqliteView, "scan", endless)
    assert "That takes too long" in await browser.opens("/operations?q=x", 503)
    monkeypatch.undo()
    assert "stripe.charges" in await browser.opens("/operations?q=stripe")


async def test_connections_are_used_again_and_closed(agent: Agent, tmp_path: Path) -> None:
    from ledger_console.ledgers import Place

    source = Source(Place(str(tmp_path / "ledger.db"), named=True))
    first = await source.read(lambda view: view)
    assert await source.read(lambda view: view) is first
    source.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        first.last_seq()


def test_the_command_prints_one_address_and_ends_on_ctrl_c(agent: Agent) -> None:
    with running("dashboard", str(agent.path), "--port", "0", terminal=False) as it:
        assert it.sees("http://localhost:")
        assert it.sees("/?token=")
        assert it.sees("Ctrl-C stops the dashboard")
        assert it.interrupted() == 0
        assert "Traceback" not in it.seen


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["dashboard", "no/such/folder/l.db"], 2, "there is no folder no/such/folder"),
        (["dashboard", "./"], 2, "is a folder; give the path of a ledger"),
        (["dashboard", "notes.txt"], 1, "not a readable ledger"),
        (["dashboard", "--port", "70000"], 2, "--port"),
        (["dashboard", "redis://x/1"], 2, "redis"),
    ],
)
def test_what_can_never_work_is_one_line(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("notes " * 200)
    told = ledger(*words)
    assert (told.code, told.err.count("\n")) == (code, 1)
    assert said in told.err


def _make(path: Path, content: str) -> None:
    if content == "text":
        path.write_text("these are notes " * 100)
        return
    if content == "database":
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE other (x)")
        db.close()
        return
    SqliteStore(path).close()
    if content == "newer":
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version = 999")
        db.close()
        return
    with path.open("r+b") as file:
        file.write(b"\xff" * 4096)


async def test_an_answer_that_is_encrypted_hides_nothing_else(dashboard: Opens, tmp_path: Path) -> None:
    with contextlib.closing(SqliteStore(tmp_path / "ledger.db", cipher=Sealer([b"k" * 32]))) as store:
        store.put(Record(id="ab12", tool="pay", status=Status.SUCCESS, runs=1, result=Result({}, b'"receipt-7"')))
    page = plain(await (await dashboard(tmp_path / "ledger.db")).opens("/operations/ab12"))
    assert "It happened, once" in page
    assert "is encrypted: set LEDGER_ENCRYPTION_KEY" in page
    assert "receipt-7" not in page
