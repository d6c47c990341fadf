"""The CA directory: found or made, private, and what clients and upstream verification load from it.

What a certificate looks like is decided in `certificates`, which roots are usual in `roots`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import shlex
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ledger.errors import LedgerError
from ledger_proxy import certificates, roots

logger = logging.getLogger(__name__)

PERSISTENT_DAYS = 30
EPHEMERAL_DAYS = 90
"""How long a CA is good for: one in a directory that is kept, and one that is removed at the end of a single run. What
that run starts may load it once, at its beginning, and must not outlive it."""

_AUTHORITY = "mitmproxy-ca.pem"
_DHPARAM = "mitmproxy-dhparam.pem"
"""The names mitmproxy looks for in its `confdir`; what it does not find there it makes by its own, laxer rules."""

# The group ffdhe2048 of RFC 7919. Our keys are elliptic, so no handshake ever uses it; mitmproxy wants the file.
_FFDHE2048 = b"""-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""


_TIME = "%Y-%m-%d %H:%M UTC"


class CAError(LedgerError):
    """The CA directory, or a CA file given by a person, cannot be used; str() is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class CA:
    """A CA that is ready to be used, by paths.

    directory: mitmproxy's `confdir`. cert_path: the certificate alone, what clients trust. bundle_path: that plus
    the usual roots, for clients that replace their roots by one file.
    """

    directory: Path
    cert_path: Path
    bundle_path: Path

    @property
    def authority(self) -> Path:
        """Certificate and key."""
        return self.directory / _AUTHORITY

    @property
    def node_path(self) -> Path:
        """The certificate plus what the environment's `NODE_EXTRA_CA_CERTS` named: Node appends these to its roots."""
        return self.directory / "node-extra.pem"


def ensure_ca(
    directory: Path,
    hosts: Collection[str] = (),
    days: int = PERSISTENT_DAYS,
    *,
    environ: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> CA:
    """Return the CA of a directory, making both if need be; safe to be called by several processes at once.

    hosts: the only ones the CA may vouch for (`*.example.com` allowed); clients then refuse its certificates for any
    other. Empty, or with a host that cannot be written so (`*`): unconstrained. days: validity of a new one, at
    most 90. A usable CA that is found is kept, whoever made it and however wide. One of ours that ends soon is renewed:
    clients that trust it go on. One of ours that has ended, or does not cover the hosts, is replaced. environ: where
    the parent's roots are named, by default os.environ.

    Raises CAError: no permission, not a CA, one made by somebody else that cannot be used, or one that begins later.
    """
    environ = os.environ if environ is None else environ
    authority = directory / _AUTHORITY
    try:
        _make_private(directory)
        with _locked(directory):
            pem = _usable(authority, hosts, now or datetime.now(UTC))
            if pem is None:
                pem = certificates.make(hosts, days, now or datetime.now(UTC))
            elif certificates.ends_soon(pem, now or datetime.now(UTC)):
                pem = certificates.renewed(pem, now or datetime.now(UTC))
            _write(authority, pem, 0o600)
            os.chmod(authority, 0o600)
            return _publish(directory, certificates.public_part(pem), environ)
    except OSError as error:
        raise CAError(f"CA directory {directory}: {error.strerror or error}; choose another one") from error


def find_ca(directory: Path) -> tuple[CA, certificates.About]:
    """The CA that a directory holds, as it is, and what its certificate says. Raises CAError: none, or not one."""
    authority = directory / _AUTHORITY
    try:
        found = certificates.about(authority.read_bytes())
    except FileNotFoundError:
        make = f"ledger ca create --ca-dir {shlex.quote(str(directory))}"
        raise CAError(f"there is no CA in {directory}; `{make}` makes one") from None
    except OSError as error:
        raise CAError(f"{authority}: {error.strerror}") from error
    except ValueError as error:
        raise CAError(f"{authority}: it holds no certificate that can be read") from error
    return _files(directory), found


def rotate_ca(directory: Path, days: int = PERSISTENT_DAYS, *, environ: Mapping[str, str] | None = None) -> CA:
    """Put a new CA in the place of the one that is there. Sidecars that run take it up by themselves.

    Raises CAError: there is none, it is somebody else's, or it cannot be written.
    """
    _, found = find_ca(directory)
    if not found.ours:
        raise CAError(f"{directory / _AUTHORITY}: this CA is not one of Ledger's; replace it yourself")
    try:
        with _locked(directory):
            pem = certificates.make((), days, datetime.now(UTC))
            _write(directory / _AUTHORITY, pem, 0o600)
            return _publish(directory, certificates.public_part(pem), os.environ if environ is None else environ)
    except OSError as error:
        raise CAError(f"CA directory {directory}: {error.strerror or error}") from error


def share(ca: CA, folder: Path) -> None:
    """Keep what clients trust in another directory, too, without the key: a volume that agents may read.

    Raises CAError when it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (ca.cert_path, ca.bundle_path):
            _write(folder / path.name, path.read_bytes(), 0o644)
    except OSError as error:
        raise CAError(f"trust directory {folder}: {error.strerror or error}") from error


def upstream_bundle(directory: Path, extra_ca: Path | None, environ: Mapping[str, str] | None = None) -> Path:
    """Write the file of roots that upstreams are verified by: the usual ones, the parent's and `--upstream-ca`.

    Raises CAError if `extra_ca` cannot be read or holds no certificate.
    """
    environ = os.environ if environ is None else environ
    extra = _given(extra_ca) if extra_ca else []
    # Sidecars that share a directory may have been given different files.
    suffix = "-" + hashlib.sha256(b"".join(extra)).hexdigest()[:12] if extra else ""
    path = directory / f"upstream{suffix}.pem"
    _write(path, roots.join(extra, roots.usual(), roots.named_by(environ)), 0o644)
    return path


def _usable(authority: Path, hosts: Collection[str], now: datetime) -> bytes | None:
    """Return the CA found; None when there is none, or one of ours that has to be replaced."""
    try:
        pem = authority.read_bytes()
    except FileNotFoundError:
        return None
    try:
        begins = certificates.begins(pem)
        flaw = certificates.flaw(pem, hosts, now)
        ours = certificates.is_ours(pem)
    except ValueError as error:
        raise CAError(f"{authority}: {error}; remove the file or choose another directory") from error
    if now < begins:
        # A clock is wrong, here or where it was made. Others may share it: only a person replaces it.
        raise CAError(
            f"{authority}: the CA is not valid before {begins:{_TIME}}, and here it is {now:{_TIME}}; "
            "set this machine's clock, or make another CA with `ledger ca rotate`"
        )
    if flaw is None:
        return pem
    if not ours:
        raise CAError(f"{authority}: this CA, not one of Ledger's, {flaw}; replace it or choose another directory")
    logger.warning("%s: the CA %s; a new one was made, clients must trust the new ca-cert.pem", authority, flaw)
    return None


def _files(directory: Path) -> CA:
    return CA(directory, directory / "ca-cert.pem", directory / "bundle.pem")


def _publish(directory: Path, cert: bytes, environ: Mapping[str, str]) -> CA:
    ca = _files(directory)
    _write(ca.cert_path, cert, 0o644)
    _write(ca.bundle_path, roots.join([cert], roots.usual(), roots.named_by(environ)), 0o644)
    _write(ca.node_path, roots.join([cert], roots.named_by(environ, ("NODE_EXTRA_CA_CERTS",))), 0o644)
    _write(directory / _DHPARAM, _FFDHE2048, 0o600)
    return ca


def _given(path: Path) -> list[bytes]:
    try:
        found = roots.certificates_in(path.read_bytes())
    except OSError as error:
        raise CAError(f"upstream CA file {path}: {error.strerror}") from error
    if not found:
        raise CAError(f"upstream CA file {path}: it holds no PEM certificate that can be read")
    return found


def _make_private(directory: Path) -> None:
    """Make a directory and its parents, 0700 under any umask. One with files in it keeps the mode its owner chose."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        # Another process may be making the same one.
        path.mkdir(exist_ok=True)
        path.chmod(0o700)
    if not missing and not any(directory.iterdir()):
        directory.chmod(0o700)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock; it is released when the file is closed, also by a crash."""
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file at once, so that no reader sees half of it; an equal one is left alone."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
