"""An origin with a certificate of its own for each name it is asked by: one good, twelve bad in twelve ways."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Issuer:
    """Who signs. chain: what a server sends after its own certificate."""

    key: rsa.RSAPrivateKey
    cert: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()


def _key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _validity(begins: int, ends: int) -> tuple[datetime.datetime, datetime.datetime]:
    return NOW + begins * DAY, NOW + ends * DAY


def authority(
    name: str, by: Issuer | None = None, *, begins: int = -5, ends: int = 30, permitted: str | None = None
) -> Issuer:
    """A CA: a root, or below another."""
    key, (start, end) = _key(), _validity(begins, ends)
    builder = x509.CertificateBuilder(by.cert.subject if by else _name(name), _name(name), key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
    builder = builder.add_extension(x509.BasicConstraints(True, None), True)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    builder = builder.add_extension(
        x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, decipher_only=False, **usage), True
    )
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    signer = by.key if by else key
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
    if permitted:
        builder = builder.add_extension(x509.NameConstraints([x509.DNSName(permitted)], None), True)
    cert = builder.sign(signer, hashes.SHA256())
    return Issuer(key, cert, (cert, *by.chain) if by else ())


def leaf(
    by: Issuer | None,
    *names: str,
    begins: int = -5,
    ends: int = 20,
    bits: int = 2048,
    usage: x509.ObjectIdentifier = SERVER,
    subject: str = "leaf",
    sha1: bool = False,
    send: bool = True,
) -> bytes:
    """A server's PEM: key, certificate, chain. by: None for one that signs itself."""
    key, (start, end) = _key(bits), _validity(begins, ends)
    builder = x509.CertificateBuilder(by.cert.subject if by else _name(subject), _name(subject), key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
    signer = by.key if by else key
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    cert = builder.sign(signer, hashes.SHA256())
    if sha1:
        cert = _signed_weakly(cert, signer)
    chain = by.chain if by and send else ()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return b"".join([private, *(one.public_bytes(Encoding.PEM) for one in (cert, *chain))])


def _signed_weakly(cert: x509.Certificate, signer: rsa.RSAPrivateKey) -> x509.Certificate:
    """The same over SHA-1, which no library signs certificates with any more: so put together by hand."""
    strong, weak = (bytes.fromhex(f"2a864886f70d0101{last}") for last in ("0b", "05"))
    body = cert.tbs_certificate_bytes.replace(strong, weak)
    signature = signer.sign(body, padding.PKCS1v15(), hashes.SHA1())
    der = cert.public_bytes(Encoding.DER).replace(strong, weak)
    return x509.load_der_x509_certificate(der.replace(cert.signature, signature))


GOOD, CLUB = "good.test", "club.test"


def certificates(root: Issuer) -> dict[str, bytes]:
    """What the origin shows, by host."""
    fine = authority("intermediate", root)
    return {
        GOOD: leaf(fine, GOOD),
        "expired.test": leaf(root, "expired.test", ends=-1),
        "not-yet-valid.test": leaf(root, "not-yet-valid.test", begins=2),
        "wrong-host.test": leaf(root, "other.test"),
        "self-signed.test": leaf(None, "self-signed.test"),
        "unknown-ca.test": leaf(authority("nobody"), "unknown-ca.test"),
        "weak-key.test": leaf(root, "weak-key.test", bits=1024),
        "weak-signature.test": leaf(root, "weak-signature.test", sha1=True),
        "missing-intermediate.test": leaf(fine, "missing-intermediate.test", send=False),
        "name-only-as-subject.test": leaf(root, subject="name-only-as-subject.test"),
        "for-clients-only.test": leaf(root, "for-clients-only.test", usage=CLIENT),
        "expired-intermediate.test": leaf(authority("old", root, ends=-1), "expired-intermediate.test"),
        "beyond-constraints.test": leaf(authority("narrow", root, permitted="other.test"), "beyond-constraints.test"),
    }


@dataclass
class Shop:
    """The running origin. asked: requests it read, by the name in TLS."""

    port: int
    ca_file: Path
    hosts: list[str]
    asked: Counter[str] = field(default_factory=Counter)

    def resolves(self) -> list[str]:
        return [word for host in self.hosts for word in ("--resolve", f"{host}:443:127.0.0.1:{self.port}")]


@contextlib.contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    """The origin for the length of a `with` block."""
    folder.mkdir(parents=True, exist_ok=True)
    root = authority("root")
    (folder / "root.pem").write_bytes(root.cert.public_bytes(Encoding.PEM))
    contexts = {}
    for host, pem in certificates(root).items():
        (folder / f"{host}.pem").write_bytes(pem)
        contexts[host] = context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(folder / f"{host}.pem")

    def choose(sock: ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        sock.context = contexts[name or GOOD]

    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.set_ciphers("DEFAULT:@SECLEVEL=0")
    listening.load_cert_chain(folder / f"{GOOD}.pem")
    listening.sni_callback = choose  # type: ignore[assignment]
    with _serving(listening, folder / "root.pem", list(contexts)) as shop:
        yield shop


@contextlib.contextmanager
def open_club(folder: Path, server: socket.socket | None = None) -> Iterator[Shop]:
    """An origin that serves only who shows a certificate of its CA: `folder/member.pem`, `folder/member.key`.

    The member's certificate comes by an intermediate, which must be shown, too. server: what it listens on, elsewhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    root = authority("root")
    (folder / "root.pem").write_bytes(root.cert.public_bytes(Encoding.PEM))
    (folder / "club.pem").write_bytes(leaf(root, CLUB))
    whole = leaf(authority("members", root), usage=CLIENT, subject="member")
    key, begin, certs = whole.partition(b"-----BEGIN CERTIFICATE-----")
    (folder / "whole.pem").write_bytes(whole)
    (folder / "member.key").write_bytes(key)
    (folder / "member.pem").write_bytes(begin + certs)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(folder / "root.pem")
    context.load_cert_chain(folder / "club.pem")
    with _serving(context, folder / "root.pem", [CLUB, "stranger.test"], server) as shop:
        yield shop


@contextlib.contextmanager
def _serving(
    context: ssl.SSLContext, root: Path, hosts: list[str], server: socket.socket | None = None
) -> Iterator[Shop]:
    with server or socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        shop = Shop(server.getsockname()[1], root, hosts)
        thread = threading.Thread(target=_serve, args=(server, context, shop))
        thread.start()
        try:
            yield shop
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(server: socket.socket, context: ssl.SSLContext, shop: Shop) -> None:
    while True:
        try:
            raw, _ = server.accept()
        except OSError:
            return
        raw.settimeout(10)
        with raw, contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as sock:
            head = sock.recv(65536)
            host = next(line[6:] for line in head.split(b"\r\n") if line.lower().startswith(b"host: "))
            shop.asked[host.decode()] += 1
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
