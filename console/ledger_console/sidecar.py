"""`ledger run` and `ledger proxy`: options into settings. The sidecar itself is in ledger_proxy, imported late."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger_console import ledgers, options, rulesfiles, screen, secrets
from ledger_console.extra import needs_extra
from ledger_console.loading import loading
from ledger_console.problems import USAGE, Problem

if TYPE_CHECKING:
    from ledger_proxy.modes import Mode
    from ledger_proxy.peers import Peers
    from ledger_proxy.settings import Settings


class LogForm(StrEnum):
    """How log lines look."""

    JSON = "json"
    TEXT = "text"


LISTEN = "127.0.0.1:8080"
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/@]+):(?P<port>\d{1,5})", re.ASCII)

Command = Annotated[list[str] | None, typer.Argument(metavar="-- CMD", help="The command and its arguments.")]
Listen = Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; port 0: any free one.")]
CaDir = Annotated[
    str | None,
    typer.Option("--ca-dir", metavar="DIR", help="Where the CA is kept [default: the user's data directory]."),
]
TrustDir = Annotated[
    str | None,
    typer.Option("--trust-dir", metavar="DIR", help="Keep the certificate and the bundle there, too, without the key."),
]
Drain = Annotated[
    float,
    typer.Option(
        "--drain", min=0, metavar="SECONDS", callback=options.seconds, help="Time for requests in flight at the end."
    ),
]
Admin = Annotated[
    str | None,
    typer.Option("--admin", metavar="HOST:PORT", help="Serve /healthz, /readyz, /metrics and /version there."),
]
ModeIs = Annotated[
    str,
    typer.Option(
        "--mode",
        metavar="MODE",
        help="What clients take it for: regular, socks5, reverse:URL (the origin itself), upstream:URL (chained), "
        "or nothing: transparent (Linux; nftables redirect their connections).",
    ),
]
Auth = Annotated[
    str | None,
    typer.Option(
        "--auth",
        metavar="TOKEN|USER:PASSWORD|@FILE",
        help="A secret that clients must know; needed to listen beyond loopback [default: LEDGER_AUTH].",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=64, metavar="N", help="So many processes on the one ledger and port."),
]
Log = Annotated[LogForm | None, typer.Option("--log", help="A line for every operation [default: warnings].")]


def run(
    command: Command = None,
    rules: options.Rules = None,
    db: options.Db = None,
    workflow: options.Workflow = None,
    caller: options.RunCaller = None,
    observe: options.Observe = False,
    observe_host: options.ObserveHost = None,
    resolve: options.Resolve = None,
    upstream_ca: options.UpstreamCa = None,
    insecure_host: options.InsecureHost = None,
    client_cert: options.ClientCert = None,
    upstream_timeout: options.UpstreamTimeout = 600.0,
    max_stored: options.MaxStored = options.MAX_STORED,
    transparent: options.Transparent = False,
    ports: options.Ports = None,
) -> int:
    """Run a command behind a sidecar of its own, and say at the end what was prevented.

    Clients that read neither HTTPS_PROXY nor the variables for certificates pass it by: Node before 22.21, wget built
    with GnuTLS, and what pins its certificates. `ledger doctor` tries those on this machine.

    With --transparent the command gets a network of its own, whose every connection ends at the sidecar. TCP to
    --ports and names pass; the rest (QUIC, other UDP) is refused, and loopback is the command's own.

    \b
    Examples:
      ledger run -- python agent.py
      ledger run --workflow order-42 --rules ledger.yaml -- node agent.mjs
      ledger run --transparent --ports 80,443,5432 -- python agent.py
    """
    if not command:
        raise Problem("run needs a command: ledger run -- python agent.py", USAGE)
    needs_extra("run")
    if ports is not None and not transparent:
        raise Problem("--ports is for --transparent; without it every port may be reached", USAGE)
    more: dict[str, Any] = {"upstream_timeout": upstream_timeout, "peers": _peers(insecure_host, client_cert)}
    more["max_stored"] = options.stored_bytes(max_stored)
    if transparent:
        more["ports"] = _ports(ports or "80,443")
    with loading():
        settings = _settings(rules, db, workflow, caller, observe, observe_host, resolve, upstream_ca, **more)
        from ledger_proxy.running import run_command

    return run_command(settings, command, transparent)


def _ports(text: str) -> frozenset[int] | None:
    words = text.split(",")
    if text == "all":
        return None
    if not all(re.fullmatch("[0-9]{1,5}", word) and 0 < int(word) < 65536 for word in words):
        raise Problem(f"--ports '{text}' is neither ports, as in 80,443,5432, nor all", USAGE)
    return frozenset(map(int, words))


def proxy(
    listen: Listen = LISTEN,
    mode: ModeIs = "regular",
    rules: options.Rules = None,
    db: options.Db = None,
    ca_dir: CaDir = None,
    trust_dir: TrustDir = None,
    workflow: options.Workflow = None,
    caller: options.RunCaller = None,
    observe: options.Observe = False,
    observe_host: options.ObserveHost = None,
    resolve: options.Resolve = None,
    upstream_ca: options.UpstreamCa = None,
    insecure_host: options.InsecureHost = None,
    client_cert: options.ClientCert = None,
    upstream_timeout: options.UpstreamTimeout = 600.0,
    max_stored: options.MaxStored = options.MAX_STORED,
    drain: Drain = 10.0,
    admin: Admin = None,
    auth: Auth = None,
    workers: Workers = None,
    log: Log = None,
) -> int:
    """Run a sidecar until SIGTERM or Ctrl-C, for agents that are started elsewhere. SIGHUP reads its rules again.

    With --workers, a worker that ends is started again, and SIGUSR2 replaces them all while the port stays open.

    \b
    Examples:
      ledger proxy
      ledger proxy --listen 127.0.0.1:0 --rules ledger.yaml --admin 127.0.0.1:9090 --log json
      ledger proxy --listen 0.0.0.0:8080 --auth @/run/secrets/ledger
      ledger proxy --mode reverse:https://api.stripe.com
      ledger proxy --workers 2 --admin 127.0.0.1:9090
      ledger proxy --mode transparent --listen 127.0.0.1:8080
    """
    address = parse_listen(listen)
    more: dict[str, Any] = {} if admin is None else {"admin": parse_listen(admin, "--admin")}
    needs_extra("proxy")
    more |= {"auth": secrets.auth(auth), "mode": _mode(mode), "peers": _peers(insecure_host, client_cert)}
    where = Path(ca_dir).expanduser() if ca_dir else default_ca_dir()
    more |= {"upstream_timeout": upstream_timeout, "listen": address, "ca_dir": where, "drain": drain}
    more["max_stored"] = options.stored_bytes(max_stored)
    more["trust_dir"] = Path(trust_dir).expanduser() if trust_dir else None
    with loading():
        settings = _settings(rules, db, workflow, caller, observe, observe_host, resolve, upstream_ca, **more)
        from ledger_proxy.listening import Handed

    handed = Handed.found()
    if handed is not None:
        settings = replace(settings, listen=handed.address, handed=handed)
    elif workers is not None:
        return _supervise(settings, workers, log)
    with loading():
        from ledger_proxy.serving import serve

    # Of a worker's admin server its parent tells.
    return serve(settings, lambda r: _ready((r.host, r.port), None if handed else r.admin), log)


def _supervise(settings: Settings, workers: int, log: LogForm | None) -> int:
    from ledger_proxy.workers import supervise

    if workers > 1 and (flaw := ledgers.writers_flaw()):
        screen.aside(f"ledger: {flaw}: keep the workers few")
    return supervise(settings, workers, sys.argv[1:], _ready, log)


def _ready(at: tuple[str, int], admin: tuple[str, int] | None) -> None:
    from ledger_rules.request import place

    if admin is not None:
        screen.aside(f"ledger: admin on {place(*admin)}")
    screen.line(f"listening on {place(*at)}")


def parse_listen(text: str, option: str = "--listen") -> tuple[str, int]:
    """HOST:PORT, IPv6 in brackets, port 0 allowed. Raises Problem."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise Problem(f"{option} '{text}' is not HOST:PORT; for example {LISTEN}, or port 0 for any free one", USAGE)
    return match["host"].strip("[]"), int(match["port"])


def _mode(text: str) -> Mode:
    from ledger_proxy.modes import Mode

    try:
        return Mode.parse(text)
    except ValueError as error:
        raise Problem(f"--mode: {error}", USAGE) from None


def _peers(insecure: list[str] | None, certificates: list[str] | None) -> Peers:
    from ledger_proxy.peers import parse_peers

    try:
        peers = parse_peers(insecure or (), certificates or ())
    except ValueError as error:
        raise Problem(str(error), USAGE) from None
    if peers.insecure and not secrets.is_worker():
        hosts = ", ".join(sorted(peers.insecure))
        screen.aside(f"ledger: WARNING: {hosts}: {UNVERIFIED}")
    return peers


UNVERIFIED = "its certificate is not verified (--insecure-host), so whoever is on the way can read and answer"


def default_ca_dir() -> Path:
    """The CA directory under the platform's data directory."""
    import platformdirs

    return Path(platformdirs.user_data_dir("ledger", appauthor=False)) / "ca"


def _settings(
    rules: str | None,
    db: str | None,
    workflow: str | None,
    caller: str | None,
    observe: bool,
    observe_hosts: list[str] | None,
    resolve: list[str] | None,
    upstream_ca: str | None,
    **more: Any,
) -> Settings:
    from ledger_proxy.resolver import parse_resolves
    from ledger_proxy.settings import Settings

    try:
        resolved = parse_resolves(resolve or ())
    except ValueError as error:
        raise Problem(str(error), USAGE) from None
    ca = None if upstream_ca is None else Path(upstream_ca)
    if ca is not None and not ca.is_file():
        raise Problem(f"--upstream-ca {upstream_ca}: there is no such file", USAGE)
    loaded = rulesfiles.load(rules)
    also = [rulesfiles.whole_host(host) for host in observe_hosts or ()]
    return Settings(
        rules=loaded[1].and_observing(also),
        **rulesfiles.reloading(loaded[0], also),
        db=ledgers.place(db).path,
        workflow=workflow or os.environ.get("LEDGER_WORKFLOW") or "default",
        caller=caller,
        observe=observe,
        resolve=resolved,
        upstream_ca=ca,
        key=os.fsencode(os.environ.get("LEDGER_KEY", "")) or None,
        **more,
    )
