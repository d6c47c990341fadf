"""A curl command line means the request that curl would send. Where curl is installed, it is asked."""

from __future__ import annotations

import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger_console.curl import request_from
from ledger_rules import bodies
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
    "-sXPUT -dx=1 -vk",
    "--data-urlencode @file.txt --data-urlencode note@file.txt --data-urlencode '=a&b=c' --data-urlencode 'a=é+~*'",
    "-G --data-urlencode 'q=a b' -d r=2",
    "-X POST -G -d q=1",
    "-X GET -d q=1",
    "--json @file.txt",
    "--json '{}' -H 'Content-Type: application/vnd.api+json'",
    "-H 'Content-Type;' -d x=1",
    "-H 'Content-Type:' -d x=1",
    "-H 'X-Empty;' -H 'Accept:' -d x=1",
    "-H @headers.txt -d x=1",
    "-d ''",
    "-d a=1 --data-binary @file.txt -d b=2",
    "-T file.txt",
    "-T file.txt -X POST",
    "--oauth2-bearer s3cret -d x=1",
    "--url-query b=2 --url-query 'c=x y' -d x=1",
    "--retry 3 --retry-all-errors --retry-connrefused --retry-max-time 9 --no-progress-meter --http1.0 -d x=1",
    "-u user: -d x=1 --basic --tlsv1.2 --no-keepalive -j",
    "-d @file.txt -d 'a b' --data-ascii c=3",
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
    (tmp_path / "headers.txt").write_bytes(b"X-A: 1\r\nX-B: 2\n")
    line = f"curl {options} '{server}'"
    subprocess.run(["sh", "-c", line + " -s -o /dev/null --noproxy '*'"], check=True, timeout=30)
    real, ours = Recorder.seen.pop(), request_from([line])
    assert (ours.method, ours.target, ours.body) == (real.method, real.target, real.body)
    added = {"host", "accept", "user-agent", "content-length", "accept-encoding", "expect"}
    stated = {(n.lower(), v) for n, v in ours.headers}
    assert stated <= set(real.headers)
    assert {n for n, _ in real.headers} - {n for n, _ in stated} <= added


FORMS = [
    "-F name=value -F 'note=a b'",
    "-F file=@a.bin -F text=@note.txt -F page=@page.html",
    "-F 'file=@a.bin;type=image/png;filename=b.png'",
    "-F 'file=@a.bin;filename=\"b;c.png\"' -F 'x=\"a;b\"' -F 'json={};type=application/json'",
    "-F 'x=<note.txt' -F 'y=a;b' --form-string 'z=@a;type=b'",
]


@pytest.mark.parametrize("options", FORMS)
def test_a_form_says_what_that_of_curl_says(options: str, server: str, tmp_path: Path) -> None:
    command("curl", server)  # skips without it
    for name in ("a.bin", "note.txt", "page.html"):
        (tmp_path / name).write_bytes(b"one\r\n\x00")
    line = f"curl {options} '{server}'"
    subprocess.run(["sh", "-c", line + " -s -o /dev/null --noproxy '*'"], check=True, timeout=30)
    real, ours = (bodies.read(r.body, r.header("Content-Type")) for r in (Recorder.seen.pop(), request_from([line])))
    assert real.format == "multipart"
    assert ours.value == real.value


def test_a_user_in_the_url_is_sent_as_one(server: str) -> None:
    command("curl", server)  # skips without it
    line = "curl '" + server.replace("://", "://us%40er:p%3Aw@") + "'"
    subprocess.run(["sh", "-c", line + " -s -o /dev/null --noproxy '*'"], check=True, timeout=30)
    assert request_from([line]).header("Authorization") == Recorder.seen.pop().header("Authorization")


def test_standard_input_is_not_read() -> None:
    with pytest.raises(ValueError, match="'-' means standard input"):
        request_from(["curl", "https://x.com/", "-d", "@-"])


def test_a_form_with_a_file_is_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x00\x01")
    made = request_from(["curl", "https://x.com/", "-F", "name=value", "-F", "file=@a.bin;type=image/png"])
    assert made.method == "POST"
    assert (made.header("Content-Type") or "").startswith("multipart/form-data; boundary=")
    assert b'name="file"; filename="a.bin"\r\nContent-Type: image/png\r\n\r\n\x00\x01\r\n' in made.body


def test_without_curl_data_that_looks_like_json_is_json() -> None:
    assert request_from(["POST", "https://x.com/", "-d", ' {"a": 1}']).header("Content-Type") == "application/json"
    assert "form" in (request_from(["curl", "https://x.com/", "-d", "{}"]).header("Content-Type") or "")
