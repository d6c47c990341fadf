"""A live proof on this machine: an origin of its own that counts, a sidecar in front, and every client that is found
here asking it twice for the same effect. Nothing leaves loopback, and nothing of the user's is touched.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from ledger_proxy import certificates
from ledger_proxy.child_env import SHIMS, child_environment
from ledger_proxy.ending import Ending
from ledger_proxy.preparing import Prepared, prepared
from ledger_proxy.settings import Settings
from ledger_proxy.sidecar import started
from ledger_rules import loader

HOST = "selftest.ledger.test"
SECONDS = 20.0
"""How long one client gets."""
_PYTHON = (
    "import sys, urllib.request as u; "
    "u.urlopen(u.Request(sys.argv[1], data=sys.argv[2].encode(), headers={'Content-Type': 'text/plain'})).read()"
)
_NODE = (
    "fetch(process.argv[1], {method: 'POST', body: process.argv[2]})"
    ".then(r => process.exit(r.ok ? 0 : 1), e => {console.error(String(e.cause ?? e)); process.exit(1)})"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one client came to. effects: of the two that it asked for, how many the origin counted; one is right."""

    client: str
    effects: int
    said: str = ""

    @property
    def right(self) -> bool:
        """Whether it went through, trusted the certificate, and had one effect."""
        return self.effects == 1 and not self.said


def clients() -> Iterator[tuple[str, list[str]]]:
    """The clients on this machine, and how each is told to POST: its command, to which URL and body are added."""
    yield f"Python ({sys.executable})", [sys.executable, "-c", _PYTHON]
    for name, rest in (
        ("curl", ["-sS", "--fail-with-body", "-o", os.devnull]),
        ("node", ["-e", _NODE]),
        ("wget", ["-qO-"]),
    ):
        if found := shutil.which(name):
            yield f"{name} ({found})", [found, *rest]


async def run() -> list[Seen]:
    """Ask with every client, twice each. Raises what a sidecar raises that cannot start."""
    with tempfile.TemporaryDirectory(prefix="ledger-selftest-") as folder, _origin(Path(folder)) as origin:
        async with _sidecar(Path(folder), origin) as ready:
            return [await _ask(name, command, ready, origin) for name, command in clients()]


@dataclass(frozen=True, slots=True)
class _Origin:
    port: int
    ca: Path
    effects: Counter[str]


async def _ask(name: str, command: list[str], ready: Prepared, origin: _Origin) -> Seen:
    url, body = f"https://{HOST}/effects", f"client={name}"
    env = child_environment(os.environ, ready.url, ready.ca, SHIMS, ruled_hosts=[HOST])
    for _ in range(2):
        said = await _told([*command, *_arguments(command[0], url, body)], env)
        if said is not None:
            return Seen(name, origin.effects[body], said)
    return Seen(name, origin.effects[body])


def _arguments(program: str, url: str, body: str) -> list[str]:
    match Path(program).name:
        case "curl":
            return ["--data", body, url]
        case "wget":
            return [f"--post-data={body}", url]
    return [url, body]


async def _told(command: list[str], env: dict[str, str]) -> str | None:
    """None when it went well, else the last thing it said."""
    child = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS):
            _, said = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()
        return f"no answer in {SECONDS:.0f} s"
    if child.returncode == 0:
        return None
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"it ended with {child.returncode}"


@asynccontextmanager
async def _sidecar(folder: Path, origin: _Origin) -> AsyncIterator[Prepared]:
    rules = loader.loads(
        f'version: 1\nrules: [{{name: selftest, match: {{method: POST, url: "https://{HOST}/effects"}}}}]\n'
    )
    settings = Settings(
        rules=rules,
        db=str(folder / "ledger.db"),
        listen=("127.0.0.1", 0),
        resolve={(HOST, 443): ("127.0.0.1", origin.port)},
        upstream_ca=origin.ca,
        drain=1.0,
    )
    async with prepared(settings) as ready, started(ready, Ending()):
        yield ready


@contextmanager
def _origin(folder: Path) -> Iterator[_Origin]:
    effects: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            effects[self.rfile.read(int(self.headers["Content-Length"])).decode()] += 1
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: whoever runs the test reads its result."""

    ca, leaf = _certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield _Origin(server.server_address[1], ca, effects)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _certificates(folder: Path) -> tuple[Path, Path]:
    """A CA for the origin alone, and the origin's certificate with its key."""
    now = datetime.now(UTC)
    authority = certificates.make([HOST], 1, now)
    issuer = x509.load_pem_x509_certificate(authority)
    signer = load_pem_private_key(authority, None)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    builder = x509.CertificateBuilder(issuer.subject, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(issuer.not_valid_before_utc).not_valid_after(now + timedelta(hours=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    leaf = builder.add_extension(identifier, False).sign(signer, hashes.SHA256())  # type: ignore[arg-type]
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    paths = folder / "origin-ca.pem", folder / "origin.pem"
    for path, pem in zip(
        paths, (certificates.public_part(authority), private + leaf.public_bytes(Encoding.PEM)), strict=True
    ):
        path.touch(0o600)
        path.write_bytes(pem)
    return paths
