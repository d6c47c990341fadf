"""`ledger ca`: the certificate authority that agents trust. What it is made of is in ledger_proxy, imported late."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.records import rfc3339
from ledger_console import options, screen
from ledger_console.sidecar import CaDir, default_ca_dir

if TYPE_CHECKING:
    from ledger_proxy.certificates import About

app = typer.Typer(
    name="ca",
    help=(
        "The certificate authority that agents trust.\n\n"
        "\b\nExamples:\n  ledger ca show\n  ledger ca trust\n  ledger ca rotate"
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

System = Annotated[bool, typer.Option("--system", help="Do it in the system's store; needs root.")]


@app.command(short_help="Make the CA, or keep a good one")
def create(ca_dir: CaDir = None) -> None:
    """Make the CA, or keep the one that is there while it is good; `ledger proxy` does so by itself.

    \b
    Examples:
      ledger ca create
    """
    from ledger_proxy.ca import ensure_ca

    screen.line(str(ensure_ca(_place(ca_dir)).cert_path))


@app.command(short_help="Print where its certificate is")
def path(ca_dir: CaDir = None) -> None:
    """Print where its certificate is.

    \b
    Examples:
      ledger ca path
    """
    from ledger_proxy.ca import find_ca

    screen.line(str(find_ca(_place(ca_dir))[0].cert_path))


@app.command(short_help="Tell its fingerprint, its end, its hosts")
def show(ca_dir: CaDir = None, as_json: options.Json = False) -> None:
    """Tell its fingerprint, how long it is good, and what it may vouch for.

    \b
    Examples:
      ledger ca show
    """
    from ledger_proxy.ca import find_ca

    ca, found = find_ca(_place(ca_dir))
    told = _told(found) | {"certificate": str(ca.cert_path), "bundle": str(ca.bundle_path)}
    if as_json:
        screen.line(json.dumps(told))
        return
    for name, value in told.items():
        screen.line(f"{name:12} {', '.join(value) or 'any host' if isinstance(value, list) else value}")


@app.command(short_help="Say how clients come to trust it")
def trust(ca_dir: CaDir = None, system: System = False) -> None:
    """Say how clients are made to trust it; with --system, put it into the system's store.

    \b
    Examples:
      ledger ca trust
    """
    from ledger_proxy.ca import find_ca
    from ledger_proxy.trusting import instructions, system_store

    ca, _ = find_ca(_place(ca_dir))
    if system:
        store = system_store()
        store.add(ca.cert_path)
        screen.line(f"trusted by this system: {store.file}")
        return
    for whom, command in instructions(ca.cert_path):
        screen.line(f"# {whom}\n{command}")


@app.command(short_help="Say how they trust it no more")
def untrust(system: System = False) -> None:
    """Say how clients are made to trust it no more; with --system, take it out of the system's store.

    \b
    Examples:
      ledger ca untrust
    """
    from ledger_proxy.trusting import JAVAS, system_store

    if not system:
        screen.line("# the system's store\nsudo ledger ca untrust --system")
        screen.line("# Chromium and what uses NSS\ncertutil -d sql:$HOME/.pki/nssdb -D -n ledger-sidecar")
        screen.line("# Java\nkeytool -delete -cacerts -alias ledger-sidecar")
        return
    store = system_store()
    screen.line(f"removed from this system: {store.file}" if store.remove() else "this system did not trust it")
    if shutil.which("keytool"):
        screen.aside(f"ledger: Java's own store may hold a copy: {JAVAS}")


@app.command(short_help="Put a new one in its place")
def rotate(ca_dir: CaDir = None) -> None:
    """Put a new one, with a new key, in its place: sidecars take it up, and clients must trust the new one.

    \b
    Examples:
      ledger ca rotate
    """
    from ledger_proxy.ca import rotate_ca

    screen.line(str(rotate_ca(_place(ca_dir)).cert_path))
    screen.aside("ledger: sidecars take it up within a minute, or at once on SIGHUP; then restart the agents")


def _place(ca_dir: str | None) -> Path:
    return Path(ca_dir).expanduser().absolute() if ca_dir else default_ca_dir()


def _told(found: About) -> dict[str, str | list[str]]:
    return {
        "name": found.name,
        "sha256": found.fingerprint,
        "valid_from": rfc3339(found.begins.timestamp()),
        "valid_until": rfc3339(found.ends.timestamp()),
        "key": found.key,
        "hosts": list(found.hosts),
    }
