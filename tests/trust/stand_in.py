"""A real intercepting proxy with our CA, mitmdump, in front of a TLS upstream that says what reached it."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

from ledger_proxy.ca import CA, upstream_bundle

NAMES = ("api.example.test", "api.stripe.com")


class Echo(BaseHTTPRequestHandler):
    """Answers every POST with what suits its path, and with who saw it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps(_answer(self.path) | {"seen_by": self.headers.get("X-Seen-By")}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def _answer(path: str) -> dict[str, Any]:
    if path.endswith("/chat/completions"):
        message = {"role": "assistant", "content": "Booked."}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        return {"id": "cmpl_1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini", "choices": choices}
    kind = "payment_intent" if "payment_intents" in path else "order"
    return {"id": "one", "object": kind, "path": path}


@contextmanager
def upstream(authority: trustme.CA) -> Iterator[int]:
    """Serve on loopback with certificates for NAMES; yields the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*NAMES).configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def mitmdump(ca: CA, upstream_port: int, upstream_ca: Path) -> Iterator[str]:
    """Run mitmdump from this environment; yields its URL."""
    binary = shutil.which("mitmdump", path=str(Path(sys.executable).parent))
    assert binary, "mitmdump belongs to the proxy extra"
    roots = upstream_bundle(ca.directory, upstream_ca)
    options = [f"confdir={ca.directory}", f"ssl_verify_upstream_trusted_ca={roots}", "connection_strategy=lazy"]
    arguments = [word for option in options for word in ("--set", option)]
    process = subprocess.Popen(
        [
            binary,
            "--listen-host",
            "127.0.0.1",
            "--listen-port",
            "0",
            *arguments,
            "-s",
            Path(__file__).parent / "reroute.py",
        ],
        env={**os.environ, "UPSTREAM_PORT": str(upstream_port), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process, process.stdout as log:
        try:
            line = next((text for text in log if "listening at" in text), "")
            assert line, "mitmdump did not start"
            yield "http://" + line.rsplit(" ", 1)[1].strip().rstrip(".")
        finally:
            process.terminate()
            process.wait(10)
