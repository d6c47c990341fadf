"""`ledger ca`: made once, told in full, put into a store and out of it again, replaced on demand."""

from __future__ import annotations

import json
import shlex
import shutil
import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger_proxy.ca import CAError, ensure_ca
from ledger_proxy.trusting import STORES, Store, system_store
from tests.wire.sidecars import command, ledger


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    folder = tmp_path / "ca"
    assert ledger("ca", "create", "--ca-dir", folder).stdout.strip() == str(folder / "ca-cert.pem")
    return folder


def openssl(*words: object) -> str:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=30, check=True).stdout


def shown(folder: Path) -> dict[str, str]:
    said: dict[str, str] = json.loads(ledger("ca", "show", "--ca-dir", folder, "--json").stdout)
    return said


def test_it_is_made_once_and_kept_private(ca: Path) -> None:
    before = shown(ca)["sha256"]
    assert ledger("ca", "create", "--ca-dir", ca).returncode == 0
    assert shown(ca)["sha256"] == before
    assert stat.S_IMODE(ca.stat().st_mode) == 0o700
    assert stat.S_IMODE((ca / "mitmproxy-ca.pem").stat().st_mode) == 0o600
    assert ledger("ca", "path", "--ca-dir", ca).stdout.strip() == str(ca / "ca-cert.pem")


def test_what_it_tells_is_what_openssl_reads(ca: Path) -> None:
    told = shown(ca)
    assert told["sha256"] in openssl("x509", "-in", ca / "ca-cert.pem", "-noout", "-fingerprint", "-sha256")
    assert told["hosts"] == []
    left = datetime.fromisoformat(told["valid_until"]) - datetime.now(UTC)
    assert timedelta(days=1) < left < timedelta(days=90)
    assert "any host" in ledger("ca", "show", "--ca-dir", ca).stdout


def test_the_hosts_it_is_held_to_are_told(tmp_path: Path) -> None:
    ensure_ca(tmp_path / "held", ["api.stripe.com"])
    assert "api.stripe.com" in ledger("ca", "show", "--ca-dir", tmp_path / "held").stdout


def test_a_new_one_takes_its_place(ca: Path) -> None:
    before = shown(ca)["sha256"]
    said = ledger("ca", "rotate", "--ca-dir", ca)
    assert "restart the agents" in said.stderr
    assert shown(ca)["sha256"] != before
    (fresh,) = ssl.create_default_context(cafile=str(ca / "ca-cert.pem")).get_ca_certs()
    assert "Ledger sidecar" in str(fresh["subject"])


@pytest.mark.parametrize("command", ["path", "show", "trust", "rotate"])
def test_without_one_there_is_a_line_that_says_what_to_do(tmp_path: Path, command: str) -> None:
    said = ledger("ca", command, "--ca-dir", tmp_path / "none")
    assert said.returncode == 1
    none = tmp_path / "none"
    make = f"ledger ca create --ca-dir {none}"
    assert said.stderr.splitlines() == [f"ledger: there is no CA in {none}; `{make}` makes one"]
    assert not (tmp_path / "none").exists()


def test_it_says_how_every_kind_of_client_comes_to_trust_it(ca: Path) -> None:
    said = ledger("ca", "trust", "--ca-dir", ca).stdout
    for word in ("certutil", "keytool", "ledger env", str(ca / "ca-cert.pem")):
        assert word in said
    assert "certutil" in ledger("ca", "untrust").stdout


def test_what_it_says_to_type_is_about_the_ca_that_was_asked_for(tmp_path: Path) -> None:
    """Also under sudo, whose user has a data directory of his own."""
    place = tmp_path / "an agent's"
    assert ledger("ca", "create", "--ca-dir", place).returncode == 0
    told = ledger("ca", "trust", "--ca-dir", place).stdout
    system = shlex.split(next(line for line in told.splitlines() if "trust --system" in line))
    assert system == ["sudo", "ledger", "ca", "trust", "--system", "--ca-dir", str(place)]
    shell = next(line for line in told.splitlines() if line.startswith("eval "))
    called = f'ledger() {{ {shlex.join(command())} "$@"; }}; {shell}; printf %s "$NODE_EXTRA_CA_CERTS"'
    said = subprocess.run(["sh", "-c", called], capture_output=True, text=True, timeout=60, check=True).stdout
    assert Path(said).parent == place


def test_the_systems_store_trusts_it_until_it_is_taken_out(ca: Path, tmp_path: Path) -> None:
    """Debian's own tool, as it is called on Debian, on a store of the test's own; its hooks keep Java's."""
    tool = shutil.which("update-ca-certificates", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if tool is None:
        pytest.skip("update-ca-certificates is not installed")
    local, etc, hooks = (tmp_path / name for name in ("local", "etc", "hooks"))
    for folder in (local, etc, hooks):
        folder.mkdir()
    told = hooks / "told"
    (hooks / "java").write_text(f"#!/bin/sh\ncat > {told}\n")
    (hooks / "java").chmod(0o755)
    ours = ("--localcertsdir", str(local), "--etccertsdir", str(etc), "--hooksdir", str(hooks))
    store = system_store([Store(tmp_path / "absent", ()), Store(local, (tool, *STORES[0].refresh[1:], *ours))])
    for _ in range(2):
        cert = (ca / "ca-cert.pem").read_text()
        store.add(ca / "ca-cert.pem")
        assert cert in (etc / "ca-certificates.crt").read_text()
        verify = ["openssl", "verify", "-CApath", etc, "-no-CAfile", "-no-CAstore", ca / "ca-cert.pem"]
        assert subprocess.run(verify, check=False, capture_output=True).returncode == 0
        assert f"+{etc / 'ledger-sidecar.pem'}\n" in told.read_text()
        told.unlink()
        assert ledger("ca", "rotate", "--ca-dir", ca).returncode == 0
    assert store.remove()
    assert cert not in (etc / "ca-certificates.crt").read_text()
    assert not [link for link in etc.iterdir() if link.is_symlink() and not link.exists()]
    assert not store.remove()


def test_a_store_that_cannot_be_written_is_named(ca: Path, tmp_path: Path) -> None:
    with pytest.raises(CAError, match="sudo"):
        Store(tmp_path / "absent", ("true",)).add(ca / "ca-cert.pem")
    with pytest.raises(CAError, match="false failed"):
        Store(tmp_path, ("false",)).add(ca / "ca-cert.pem")
    with pytest.raises(CAError, match="not one that Ledger knows"):
        system_store([])
