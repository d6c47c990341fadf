"""The roots a machine trusts without Ledger: the system's, certifi's and those its environment names."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import ssl
import stat
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import certifi

NAMING = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NIX_SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",
    "NODE_EXTRA_CA_CERTS",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HTTPLIB2_CA_CERTS",
    "npm_config_cafile",
    "NPM_CONFIG_CAFILE",
)
"""Variables by which a parent may have named roots of its own, a file or a directory (`SSL_CERT_DIR`: several)."""

_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where Debian, Fedora, old Red Hat, SUSE, and Alpine and macOS keep theirs: a Python that was not built for
this machine has other paths compiled in."""

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


def certificates_in(pem: bytes) -> list[bytes]:
    """Return the certificates in a PEM text, each as PEM; what OpenSSL cannot read is left out.

    One bad block would make OpenSSL refuse a whole bundle.
    """
    return [cert for block in _CERTIFICATE.findall(pem) if (cert := _readable(b"".join(block.split())))]


def join(*groups: Iterable[bytes]) -> bytes:
    """Return one PEM text with every certificate once, in order."""
    return b"".join(dict.fromkeys(cert for group in groups for cert in group))


@cache
def usual() -> tuple[bytes, ...]:
    """Return the system's roots and certifi's."""
    paths = ssl.get_default_verify_paths()
    files = [path for path in (paths.openssl_cafile, *_SYSTEM_FILES) if path and Path(path).is_file()]
    system = _at(Path(files[0])) if files else _at(Path(paths.openssl_capath))
    return (*system, *_at(Path(certifi.where())))


def named_by(environ: Mapping[str, str], names: Sequence[str] = NAMING) -> list[bytes]:
    """Return the roots that variables name; a file that is missing names none, as it would for most clients."""
    places = dict.fromkeys(
        place
        for name in names
        if (value := environ.get(name))
        for place in (value.split(":") if name == "SSL_CERT_DIR" else [value])
        if place
    )
    return [cert for place in places for cert in _at(Path(place))]


def _at(place: Path) -> list[bytes]:
    with contextlib.suppress(OSError):
        if place.is_dir():
            return [cert for file in _files(place) for cert in _in_file(file)]
    return _in_file(place)


def _files(folder: Path) -> Iterable[Path]:
    """Each once: OpenSSL's directories hold a file once more, as a link by its hash."""
    found: dict[tuple[int, int], Path] = {}
    for file in folder.iterdir():
        with contextlib.suppress(OSError):
            about = file.stat()
            if stat.S_ISREG(about.st_mode):
                found.setdefault((about.st_dev, about.st_ino), file)
    return sorted(found.values())


def _in_file(file: Path) -> list[bytes]:
    try:
        return certificates_in(file.read_bytes())
    except OSError:
        return []


@cache
def _readable(block: bytes) -> bytes | None:
    try:
        der = base64.b64decode(block, validate=True)
        _judge().load_verify_locations(cadata=der)
    except (binascii.Error, ssl.SSLError):
        return None
    return ssl.DER_cert_to_PEM_cert(der).encode("ascii")


@cache
def _judge() -> ssl.SSLContext:
    """OpenSSL itself, asked about each certificate once: the same ones are named again and again."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
