"""What Ledger's CA certificate says, and whether one that was found will do. Bytes in, bytes out: no files here."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

MAX_DAYS = 90
_ORGANIZATION = "Ledger sidecar"
_CLOCK_SKEW = timedelta(hours=1)
_SOON = timedelta(days=7)
_EVERY_ADDRESS = [x509.IPAddress(ipaddress.ip_network(net)) for net in ("0.0.0.0/0", "::/0")]


def make(hosts: Collection[str], days: int, now: datetime) -> bytes:
    """Return a new CA as PEM, key first, valid for `days` and vouching for `hosts` only (all, if empty).

    Raises ValueError for a validity that is not short.
    """
    if not 1 <= days <= MAX_DAYS:
        raise ValueError(f"a CA is valid for 1 to {MAX_DAYS} days, not {days}")
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = x509.Name(
        [
            # Its own name for each, so that a trust store with two of them never picks the wrong one.
            x509.NameAttribute(NameOID.COMMON_NAME, f"Ledger CA {serial:x}"[:24]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
        ]
    )
    begin = now - _CLOCK_SKEW
    builder = x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
    builder = builder.serial_number(serial).not_valid_before(begin).not_valid_after(begin + timedelta(days=days))
    for extension, critical in _extensions(key.public_key(), hosts):
        builder = builder.add_extension(extension, critical)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def public_part(pem: bytes) -> bytes:
    """Return the CA's certificate alone, as PEM."""
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.PEM)


@dataclass(frozen=True, slots=True)
class About:
    """What a certificate says. fingerprint: SHA-256 as openssl prints it. hosts: all it may vouch for; empty: any."""

    name: str
    fingerprint: str
    begins: datetime
    ends: datetime
    key: str
    hosts: tuple[str, ...]
    ours: bool


def about(pem: bytes) -> About:
    """Read a CA's certificate. Raises ValueError."""
    cert = x509.load_pem_x509_certificate(pem)
    key = cert.public_key()
    kind = f"EC {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__
    try:
        limits = cert.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    except x509.ExtensionNotFound:
        limits = []
    return About(
        name=cert.subject.rfc4514_string(),
        fingerprint=cert.fingerprint(hashes.SHA256()).hex(":").upper(),
        begins=cert.not_valid_before_utc,
        ends=cert.not_valid_after_utc,
        key=kind,
        hosts=tuple(str(subtree.value) for subtree in limits),
        ours=is_ours(pem),
    )


def is_ours(pem: bytes) -> bool:
    """Say whether Ledger made this CA, so that it may replace it."""
    names = x509.load_pem_x509_certificate(pem).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return any(name.value == _ORGANIZATION for name in names)


def flaw(pem: bytes, hosts: Collection[str], now: datetime) -> str | None:
    """Return why a CA cannot serve these hosts from now on (continues "the CA ..."), None if it can.

    Raises ValueError, in a few words, when it is no CA with its key at all.
    """
    cert = _load(pem)
    end = cert.not_valid_after_utc
    if now >= end:
        return f"expired at {end:%Y-%m-%d %H:%M} UTC"
    if not _vouches_for(cert, hosts):
        return "may not vouch for every host asked for"
    return None


def begins(pem: bytes) -> datetime:
    """From when on a CA is valid. Raises ValueError, in a few words, when it is no CA with its key at all."""
    return _load(pem).not_valid_before_utc


def ends_soon(pem: bytes, now: datetime) -> bool:
    """Say whether it is time to renew it. A foreign one is its owner's business until it ends."""
    cert = x509.load_pem_x509_certificate(pem)
    life = cert.not_valid_after_utc - cert.not_valid_before_utc
    # A quarter of a short life is enough notice.
    return is_ours(pem) and cert.not_valid_after_utc - now < min(_SOON, life / 4)


def renewed(pem: bytes, now: datetime) -> bytes:
    """Return the same CA from now on, as PEM with its key: same name, key, hosts and length of life.

    A client that trusts the old certificate accepts what this one signs, until the old one ends: a path is found by
    name and key (RFC 5280 §6.1), and both are the same.
    """
    old, key = x509.load_pem_x509_certificate(pem), load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    begin, life = now - _CLOCK_SKEW, old.not_valid_after_utc - old.not_valid_before_utc
    builder = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(begin + life)
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def same_key(one: bytes, other: bytes) -> bool:
    """Whether a client that trusts one of two CAs accepts what the other signs: see `renewed`."""
    first, second = (x509.load_pem_x509_certificate(pem) for pem in (one, other))
    return first.subject == second.subject and first.public_key() == second.public_key()


def _extensions(key: ec.EllipticCurvePublicKey, hosts: Collection[str]) -> list[tuple[x509.ExtensionType, bool]]:
    """What OpenSSL's strict mode asks of a root (RFC 5280 §4.2.1), and nothing a client could stumble over."""
    identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_SIGN_ONLY, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (identifier, False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
    ]
    constraints = _constraints(hosts)
    return [*found, (constraints, True)] if constraints else found


_SIGN_ONLY = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def _constraints(hosts: Collection[str]) -> x509.NameConstraints | None:
    subtrees = [_subtree(host) for host in sorted(hosts)]
    permitted = [subtree for subtree in dict.fromkeys(subtrees) if subtree is not None]
    if not hosts or None in subtrees:
        return None
    # OpenSSL reads the common name of a certificate without DNS names, an IPv4 address here, as one.
    permitted += [x509.DNSName(str(s.value).partition("/")[0]) for s in permitted if isinstance(s, x509.IPAddress)]
    # A kind of name that no subtree speaks of would be unconstrained (RFC 5280 §4.2.1.10): close it.
    addresses = any(isinstance(subtree, x509.IPAddress) for subtree in permitted)
    return x509.NameConstraints(permitted, None if addresses else _EVERY_ADDRESS)


def _subtree(host: str) -> x509.GeneralName | None:
    """Return the smallest subtree with every name a host pattern can mean, None if that is everything."""
    host = host.strip("[]").rstrip(".").lower()
    try:
        return x509.IPAddress(ipaddress.ip_network(host))
    except ValueError:
        pass
    if "*" in host:
        host = host.rpartition("*")[2].partition(".")[2]
    try:
        return x509.DNSName(host.encode("idna").decode()) if host else None
    except UnicodeError:
        return None


def _vouches_for(cert: x509.Certificate, hosts: Collection[str]) -> bool:
    try:
        limits = cert.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return True
    wanted = [_subtree(host) for host in hosts]
    permitted = limits.permitted_subtrees or []
    return bool(wanted) and all(subtree and _covered(subtree, permitted) for subtree in wanted)


def _covered(wanted: x509.GeneralName, permitted: Collection[x509.GeneralName]) -> bool:
    if isinstance(wanted, x509.DNSName):
        names = [subtree.value for subtree in permitted if isinstance(subtree, x509.DNSName)]
        return any(wanted.value == name or wanted.value.endswith(f".{name}") for name in names)
    return wanted in permitted


def _load(pem: bytes) -> x509.Certificate:
    """Return the certificate of a PEM with key and certificate, once sure that it is a CA and that the key is its."""
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        raise ValueError("its key is encrypted, and Ledger has no passphrase") from None
    except Exception:
        raise ValueError("it holds no private key that can be read") from None
    try:
        cert = x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise ValueError("it holds no certificate that can be read") from None
    try:
        authority = cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        authority = False
    if not authority:
        raise ValueError("its certificate is not a CA's")
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*spki) != cert.public_key().public_bytes(*spki):
        raise ValueError("its key is not the certificate's")
    return cert
