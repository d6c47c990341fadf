"""Putting Ledger's CA into the system's store, taking it out again, and how that is done elsewhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from ledger_proxy.ca import CAError

NAME = "ledger-sidecar.crt"


@dataclass(frozen=True, slots=True)
class Store:
    """Where a system takes local roots from, and what makes it read them again."""

    folder: Path
    refresh: tuple[str, ...]

    @property
    def file(self) -> Path:
        """Ours in it."""
        return self.folder / NAME

    def add(self, cert: Path) -> None:
        """Trust it, in place of an older one of ours. Raises CAError."""
        self._change(lambda: self.file.write_bytes(cert.read_bytes()))

    def remove(self) -> bool:
        """Trust none of ours any more; False if there was none. Raises CAError."""
        if not self.file.exists():
            return False
        self._change(self.file.unlink)
        return True

    def _change(self, change: Callable[[], object]) -> None:
        try:
            change()
            # The tools that are named below, never what a user typed.
            done = subprocess.run(self.refresh, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired) as error:
            why = error.strerror if isinstance(error, OSError) else "it takes too long"
            raise CAError(f"the system's store ({self.folder}): {why}; it belongs to root (sudo)") from None
        if done.returncode:
            raise CAError(f"{self.refresh[0]} failed: {(done.stderr or done.stdout).strip().rpartition(chr(10))[2]}")


# update-ca-certificates(8) of Debian, Ubuntu and Alpine; update-ca-trust(8) of Fedora and its kin; Arch; SUSE.
# Without --fresh Debian's leaves the links to one that is gone, and tells Java's store of no other under the same name.
STORES = (
    Store(Path("/usr/local/share/ca-certificates"), ("update-ca-certificates", "--fresh")),
    Store(Path("/etc/pki/ca-trust/source/anchors"), ("update-ca-trust", "extract")),
    Store(Path("/etc/ca-certificates/trust-source/anchors"), ("trust", "extract-compat")),
    Store(Path("/usr/share/pki/trust/anchors"), ("update-ca-certificates", "--fresh")),
)


JAVAS = "keytool -delete -cacerts -storepass changeit -alias debian:ledger-sidecar.pem"
"""Debian puts the system's roots into Java's store, too, and never takes one out of it again."""


def system_store(stores: Sequence[Store] = STORES) -> Store:
    """The store of this system. Raises CAError where it is not one that we know."""
    found = next((store for store in stores if store.folder.is_dir()), None)
    if found is None:
        raise CAError("this system's certificate store is not one that Ledger knows; `ledger ca trust` says what to do")
    return found


def instructions(cert: Path) -> list[tuple[str, str]]:
    """How clients are made to trust the certificate of a CA: whom it is for, and a command."""
    path, place = quote(str(cert)), f"--ca-dir {quote(str(cert.parent))}"
    # Under sudo the data directory is another user's.
    found = [("what uses the system's store (curl, git, Go, Ruby, PHP)", f"sudo ledger ca trust --system {place}")]
    if sys.platform == "darwin":
        keychain = "/Library/Keychains/System.keychain"
        found[0] = (found[0][0], f"sudo security add-trusted-cert -d -r trustRoot -k {keychain} {path}")
    return [
        *found,
        ("Python, Node.js, and most others, for one shell", f'eval "$(ledger env {place})"'),
        ("Chromium and what uses NSS", f'certutil -d sql:$HOME/.pki/nssdb -A -t "C,," -n ledger-sidecar -i {path}'),
        (
            "Java (the password is changeit)",
            f"keytool -importcert -cacerts -noprompt -alias ledger-sidecar -file {path}",
        ),
        (
            # Named, it takes the place of Java's own: so it begins as a copy of that.
            "Java without touching its store",
            'cp "$(dirname "$(readlink -f "$(command -v keytool)")")/../lib/security/cacerts" ledger.jks'
            " && chmod u+w ledger.jks"
            " && keytool -importcert -noprompt -storepass changeit -keystore ledger.jks"
            f" -alias ledger-sidecar -file {path}"
            ' && export JAVA_TOOL_OPTIONS="-Djavax.net.ssl.trustStore=$PWD/ledger.jks"',
        ),
    ]
