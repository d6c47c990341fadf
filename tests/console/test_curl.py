"""A curl command line means the request that curl would send. Where curl is installed, it is asked."""

from __future__ import annotations

import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger_console.curl import request_from
from ledger_rules.request import Request
from tests.clients import command

COMMANDS = [
    "",
    "-X DELETE",
    "-XPUT -dx=1",
    "-d a=1 -d b=2",
    "--data-raw @not-a-file",
    "--data-urlencode 'name=a b&c' --data-urlencode 'x y'",
    "--data @file.txt",
    "--data-binary @file.txt",
    """--json '{"a": 1}' --json '{"b": 2}'""",
    "-H 'Content-Type: application/json' -d '{}'",
    "-u user:pass -A agent/1 -e http://from.example/ -b session=1",
    "-G -d q=1 -d r=2",
    "-sS --compressed -L --max-time 5 -d x=1",
    "--request POST --header 'X-A: 1' --header 'X-B:2'",
]


class Recorder(http.server.BaseHTTPRequestHandler):
    seen: list[Request] = []  # noqa: RUF012 - one test at a time

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = tuple((n.lower(), v) for n, v in self.headers.items())
        self.seen.append(Request(self.command, "http", "127.0.0.1", 0, self.path, headers, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _take

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}/orders?a=1"
        made.shutdown()
        thread.join()


@pytest.mark.parametrize("options", COMMANDS)
def test_it_is_what_curl_sends(options: str, server: str, tmp_path: Path) -> None:
    command("curl", server)  # skips without it
    (tmp_path / "file.txt").write_bytes(b"one\r\ntwo\n")
    line = f"curl {options} '{server}'"
    subprocess.run(["sh", "-c", line + " -s -o /dev/null --noproxy '*'"], check=True, timeout=30)
    real, ours = Recorder.seen.pop(), request_from([line])
    assert (ours.method, ours.target, ours.body) == (real.method, real.target, real.body)
    added = {"host", "accept", "user-agent", "content-length", "accept-encoding"}
    stated = {(n.lower(), v) for n, v in ours.headers}
    assert stated <= set(real.headers)
    assert {n for n, _ in real.headers} - {n for n, _ in stated} <= added


def test_a_form_with_a_file_is_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x00\x01")
    made = request_from(["curl", "https://x.com/", "-F", "name=value", "-F", "file=@a.bin;type=image/png"])
    assert made.method == "POST"
    assert (made.header("Content-Type") or "").startswith("multipart/form-data; boundary=")
    assert b'name="file"; filename="a.bin"\r\nContent-Type: image/png\r\n\r\n\x00\x01\r\n' in made.body


def test_without_curl_data_that_looks_like_json_is_json() -> None:
    assert request_from(["POST", "https://x.com/", "-d", ' {"a": 1}']).header("Content-Type") == "application/json"
    assert "form" in (request_from(["curl", "https://x.com/", "-d", "{}"]).header("Content-Type") or "")
