"""`ledger doctor`: whether this machine keeps what Ledger promises, and a live proof of it. Changes nothing."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import LedgerError
from ledger_console import ledgers, options, rulesfiles, screen
from ledger_console.extra import needs_extra
from ledger_console.problems import FAILED, Problem
from ledger_console.screen import Style
from ledger_console.sidecar import LISTEN, UNVERIFIED, CaDir, default_ca_dir, parse_listen

OK, WARN, FAIL = "ok", "warning", "failed"
_STYLES: dict[str, Style] = {OK: {"fg": "green"}, WARN: {"fg": "yellow"}, FAIL: {"fg": "red", "bold": True}}
_FREE = 256 << 20
_DAYS = 3
_REMEDIES = {
    "node": "Node before 22.21 ignores proxy variables: use a newer one, or `ledger run --transparent`",
    "wget": "a wget built with GnuTLS reads no variable for certificates: give it --ca-certificate=$SSL_CERT_FILE",
}
_REMEDY = (
    "it ignores proxy variables, which `ledger run --transparent` makes up for, or trusts certificates of its own "
    "choice: point it to the file that SSL_CERT_FILE names"
)

_AS_USER = "run this as the user that the sidecar runs as"

NoTest = Annotated[bool, typer.Option("--no-test", help="Look only; start no sidecar.")]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. todo: what to do about it, "" where nothing is to be done."""

    what: str
    state: str
    said: str
    todo: str = ""


def doctor(
    word: options.Word = None,
    db: options.Db = None,
    rules: options.Rules = None,
    ca_dir: CaDir = None,
    insecure_host: options.InsecureHost = None,
    no_test: NoTest = False,
    json: options.Json = False,
) -> int:
    """Look at versions, the ledger, the rules, the port, the CA; then prove exactly-once with the clients here.

    \b
    Examples:
      ledger doctor
      ledger doctor --db /var/lib/ledger/ledger.db --json
    """
    where = ledgers.only_place(db, word)
    worst = OK
    for finding in _all(where, rules, ca_dir, insecure_host or [], no_test):
        worst = max(worst, finding.state, key=(OK, WARN, FAIL).index)
        _tell(finding, json)
    return FAILED if worst == FAIL else 0


def _all(
    where: ledgers.Place, rules: str | None, ca_dir: str | None, insecure: list[str], no_test: bool
) -> Iterator[Finding]:
    yield from _versions()
    yield from _ledger(where)
    yield _rules(rules)
    yield _port()
    yield from _authority(Path(ca_dir).expanduser() if ca_dir else default_ca_dir())
    for host in insecure:
        todo = "give its CA with --upstream-ca, and take LEDGER_INSECURE_HOST or --insecure-host away"
        yield Finding("upstream TLS", WARN, f"{host}: {UNVERIFIED}", todo)
    if not no_test:
        yield _enclosure()
        yield from _proof()


def _tell(finding: Finding, json: bool) -> None:
    if json:
        screen.json_line(asdict(finding))
        return
    state = screen.styled(f"{finding.state:<7}", _STYLES[finding.state])
    screen.line(f"{state}  {finding.what:<12}  {finding.said}")
    if finding.todo:
        screen.line(f"{'':<7}  {'':<12}  → {finding.todo}")


def _versions() -> Iterator[Finding]:
    yield Finding("ledger", OK, f"{version('ledger-sidecar')}, Python {platform.python_version()}, {platform.system()}")
    try:
        yield Finding("mitmproxy", OK, version("mitmproxy"))
    except PackageNotFoundError:
        yield Finding(
            "mitmproxy", WARN, "not installed: guard works, the sidecar does not", "pip install 'ledger-sidecar[proxy]'"
        )
    if (flaw := ledgers.writers_flaw()) is not None:
        todo = "keep few writers on one ledger, or use a Python with SQLite 3.51.3 or later"
        yield Finding("sqlite", WARN, flaw, todo)
    else:
        yield Finding("sqlite", OK, f"SQLite {'.'.join(map(str, ledgers.sqlite_version()))}")


def _ledger(where: ledgers.Place) -> Iterator[Finding]:
    from ledger.ports import Query

    path = Path(where.path).absolute()
    yield _disk(path)
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        yield Finding("ledger file", OK, f"{path} is not there yet; it is made when it is needed")
        return
    except OSError as error:
        yield Finding("ledger file", FAIL, f"{path}: {error.strerror}", _AS_USER)
        return
    if mode & 0o077:
        todo = f"chmod 600 {path}"
        yield Finding("ledger file", WARN, f"others may read it (mode {mode:o}); it holds recorded answers", todo)
    try:
        with ledgers.opened(where) as store:
            totals = store.stats(Query())
        if (damage := ledgers.damage(where)) is not None:
            yield Finding("ledger file", FAIL, f"{path} is damaged ({damage})", "stop what uses it, and restore a copy")
            return
        yield Finding("ledger file", OK, f"{path}: {totals['actions']} recorded, {totals['open']} unknown")
    except (LedgerError, Problem) as error:
        yield Finding("ledger file", FAIL, str(error))


def _disk(path: Path) -> Finding:
    folder = next(parent for parent in path.parents if parent.exists())
    kind, remote = ledgers.file_system(folder)
    free = shutil.disk_usage(folder).free
    if remote:
        return Finding(
            "disk", FAIL, f"{folder} is on {kind}: SQLite's locks do not hold there", "put --db on a local disk"
        )
    if not os.access(folder, os.W_OK):
        return Finding("disk", FAIL, f"{folder} may not be written", "give another --db")
    if free < _FREE:
        return Finding(
            "disk", WARN, f"{free >> 20} MiB left on {folder}: a full disk refuses every ruled request", "make room"
        )
    return Finding("disk", OK, f"{kind}, {free >> 30} GiB free")


def _rules(rules: str | None) -> Finding:
    try:
        source, loaded = rulesfiles.load(rules)
    except Problem as problem:
        return Finding("rules", FAIL, "; ".join(str(problem).splitlines()))
    count, hosts = len(loaded.rules), len(loaded.hosts())
    return Finding("rules", OK, f"{source}: {count} rule{'s' * (count != 1)} for {hosts} host{'s' * (hosts != 1)}")


def _port() -> Finding:
    host, port = parse_listen(LISTEN)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            said = f"{LISTEN} cannot be listened on: {error.strerror}"
            return Finding("port", WARN, said, "a sidecar may be running there already; otherwise give --listen")
    return Finding("port", OK, f"{LISTEN} is free")


def _authority(directory: Path) -> Iterator[Finding]:
    cert, key = directory / "ca-cert.pem", directory / "mitmproxy-ca.pem"
    try:
        pem = cert.read_bytes()
        if key.exists() and stat.S_IMODE(key.stat().st_mode) & 0o077:
            todo = f"chmod 600 {key}; then `ledger ca rotate`, for they may have it"
            yield Finding("CA", FAIL, f"others may read its key {key}", todo)
    except FileNotFoundError:
        yield Finding("CA", OK, f"none in {directory} yet; `ledger proxy` makes it, `ledger run` makes its own")
        return
    except OSError as error:
        yield Finding("CA", FAIL, f"{error.filename}: {error.strerror}", _AS_USER)
        return
    with contextlib.suppress(ImportError):  # without the extra nothing is signed
        yield _certificate(cert, pem)


def _certificate(file: Path, pem: bytes) -> Finding:
    from datetime import UTC, datetime, timedelta

    from ledger_proxy.certificates import about

    now, anew = datetime.now(UTC), "`ledger ca create` makes a new one, which agents must then trust"
    try:
        found = about(pem)
    except ValueError:
        return Finding("CA", FAIL, f"{file} is no certificate", f"move {file.parent} away; {anew}")
    if now >= found.ends:
        return Finding("CA", FAIL, f"{file} ended at {found.ends:%Y-%m-%d %H:%M} UTC: clients refuse it", anew)
    if now < found.begins:
        said = f"{file} is valid from {found.begins:%Y-%m-%d %H:%M} UTC, and here it is {now:%Y-%m-%d %H:%M}"
        return Finding("CA", FAIL, said, "set this machine's clock, or `ledger ca rotate`")
    left = found.ends - now
    soon = left < timedelta(days=_DAYS)
    todo = "a running sidecar renews it by itself, and so does `ledger ca create`" if soon else ""
    return Finding("CA", WARN if soon else OK, f"{file}, valid for {left.days} more days", todo)


def _enclosure() -> Finding:
    import asyncio

    from ledger_proxy.enclosing import enclosure
    from ledger_proxy.errors import EngineError

    async def tried() -> None:
        async with enclosure():
            pass

    try:
        asyncio.run(tried())
    except (EngineError, OSError) as error:
        return Finding("transparent", OK, f"{error}; `ledger run` without it goes by proxy variables")
    return Finding("transparent", OK, "`ledger run --transparent` can be used here")


def _proof() -> Iterator[Finding]:
    try:
        needs_extra("doctor")
    except Problem:
        return
    import asyncio

    from ledger_proxy import selftest
    from ledger_proxy.errors import EngineError
    from ledger_proxy.logs import to_stderr

    to_stderr(None)
    try:
        found = asyncio.run(selftest.run())
    except (LedgerError, EngineError, OSError) as error:
        yield Finding("self-test", FAIL, str(error))
        return
    for seen in found:
        if seen.right:
            yield Finding("self-test", OK, f"{seen.client}: asked twice, one effect, certificate trusted")
        else:
            said = f"{seen.client}: {seen.effects} effects; {seen.said or 'it passed Ledger by'}"
            yield Finding(
                "self-test",
                WARN if seen.said else FAIL,
                said,
                _REMEDIES.get(seen.client.partition(" ")[0], _REMEDY),
            )
