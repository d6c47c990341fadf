"""A curl command line as the request that curl would send. Reads files that it names; sends nothing."""

from __future__ import annotations

import argparse
import base64
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote_plus

from ledger_rules.composing import compose
from ledger_rules.request import Request

FORM = "application/x-www-form-urlencoded"
_BOUNDARY = "ledger-explain-7d3f"
_METHOD = re.compile(r"[A-Z]+|[a-z]+")
_CONTINUED = re.compile(r"\\\r?\n")
_ANSI_C = re.compile(r"(?:^|\s)\$'")
"""As browsers copy a body that has a `!` or a line break: `--data-raw $'...'`."""

_FLAGS = (
    *("-k", "--insecure", "-s", "--silent", "-S", "--show-error", "-v", "--verbose", "-i", "--include", "-L"),
    *("--location", "-f", "--fail", "-g", "--globoff", "-N", "--no-buffer", "--http1.1", "--http2", "-4", "-6"),
    *("--compressed", "-q", "--disable", "-#", "--progress-bar", "-O", "--remote-name", "--fail-with-body"),
)
"""Options that change nothing about the request, as far as it matters here."""
_WITH_VALUE = (
    *("-o", "--output", "-m", "--max-time", "--connect-timeout", "--retry", "--retry-delay", "-x", "--proxy"),
    *("--cacert", "--cert", "--key", "-w", "--write-out", "--resolve", "-c", "--cookie-jar", "--max-redirs"),
)
"""The same, with a value each."""


def request_from(words: Sequence[str]) -> Request:
    """Return the request of `METHOD URL [-H …] [-d …]`, of `curl …`, or of a whole curl command in one word.

    curl takes any data for a form; without `curl`, data that looks like JSON is taken for JSON.
    Raises ValueError that says in one line what cannot be read; OSError for a file that it names.
    """
    if len(words) == 1 and words[0].lstrip().startswith("curl"):
        words = _split(words[0])
    if words and words[0] == "curl":
        return _composed(words[1:], None)
    if words and _METHOD.fullmatch(words[0]):
        return _composed(words[1:], words[0])
    return _composed(words, None)


def _split(line: str) -> list[str]:
    if _ANSI_C.search(line):
        raise ValueError("$'...' is read by a shell only; paste the command behind -- without quotes around it")
    try:
        return shlex.split(_CONTINUED.sub(" ", line))
    except ValueError as error:
        raise ValueError(f"the command line cannot be read: {str(error).lower()}") from None


def _composed(words: Sequence[str], method: str | None) -> Request:
    said, unknown = _parser().parse_known_args(list(words))
    if unknown:
        raise ValueError(f"'{unknown[0]}' is not understood here; leave it out")
    urls = [*said.urls, *([said.url] if said.url else [])]
    if len(urls) != 1:
        raise ValueError(f"expected one URL, such as https://api.example.com/orders, found {', '.join(urls) or 'none'}")
    url = urls[0] if "://" in urls[0] else f"http://{urls[0]}"
    headers = _headers(said)
    body, kind = _body(said)
    if method is not None and kind == FORM and (body or b"").lstrip()[:1] in (b"{", b"["):
        kind = "application/json"
    if said.get and body is not None:
        url, body = url + ("&" if "?" in url else "?") + body.decode("utf-8", "surrogateescape"), None
    if kind and body is not None and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", kind))
    default = "HEAD" if said.head else "GET" if body is None else "POST"
    return compose(method or said.request or default, url, headers, body or b"")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _parser() -> argparse.ArgumentParser:
    """Option names as in https://curl.se/docs/manpage.html; only those that make the request."""
    parser = _Parser(prog="curl", add_help=False, allow_abbrev=False)
    parser.add_argument("urls", nargs="*")
    parser.add_argument("--url")
    parser.add_argument("-X", "--request")
    parser.add_argument("-H", "--header", action="append", default=[])
    for option in ("-d", "--data", "--data-ascii", "--data-raw", "--data-binary", "--data-urlencode", "--json"):
        parser.add_argument(option, dest="data", action=_Data)
    parser.add_argument("-F", "--form", action="append", default=[])
    parser.add_argument("-u", "--user")
    parser.add_argument("-A", "--user-agent")
    parser.add_argument("-e", "--referer")
    parser.add_argument("-b", "--cookie")
    parser.add_argument("-G", "--get", action="store_true")
    parser.add_argument("-I", "--head", action="store_true")
    for flag in _FLAGS:
        parser.add_argument(flag, action="store_true", dest="_flag")
    for option in _WITH_VALUE:
        parser.add_argument(option, dest="_value")
    parser.set_defaults(data=[])
    return parser


class _Data(argparse.Action):
    """Keeps what kind of data each was, in order."""

    def __call__(
        self, parser: object, namespace: argparse.Namespace, values: object, option: str | None = None
    ) -> None:
        namespace.data = [*namespace.data, (option, str(values))]


def _headers(said: argparse.Namespace) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in said.header:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise ValueError(f"expected a header as 'Name: value', found '{line}'")
        found.append((name.strip(), value.strip()))
    named = (("User-Agent", said.user_agent), ("Referer", said.referer), ("Cookie", said.cookie))
    found += [(name, value) for name, value in named if value is not None]
    if said.user is not None:
        found.append(("Authorization", "Basic " + base64.b64encode(said.user.encode()).decode()))
    if any(option == "--json" for option, _ in said.data):
        given = {name.lower() for name, _ in found}
        found += [(n, "application/json") for n in ("Content-Type", "Accept") if n.lower() not in given]
    return found


def _body(said: argparse.Namespace) -> tuple[bytes | None, str | None]:
    if said.form:
        parts = b"".join(_part(text) for text in said.form)
        return parts + f"--{_BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={_BOUNDARY}"
    if not said.data:
        return None, None
    pieces = [_data(option, value) for option, value in said.data]
    joined = b"" if all(option == "--json" for option, _ in said.data) else b"&"
    return joined.join(pieces), FORM


def _data(option: str, value: str) -> bytes:
    if option == "--data-raw":
        return _bytes(value)
    if option == "--data-urlencode":
        name, equals, content = value.partition("=")
        return _bytes(f"{name}={quote_plus(content)}" if equals and name else quote_plus(content if equals else value))
    if value.startswith("@"):
        read = Path(value[1:]).read_bytes()
        return read if option in ("--data-binary", "--json") else read.replace(b"\r", b"").replace(b"\n", b"")
    return _bytes(value)


def _part(text: str) -> bytes:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"expected a form field as name=value or name=@file, found '{text}'")
    value, _, kind = value.partition(";type=")
    disposition = f'Content-Disposition: form-data; name="{name}"'
    content = _bytes(value)
    if value.startswith("@"):
        content = Path(value[1:]).read_bytes()
        disposition += f'; filename="{Path(value[1:]).name}"'
        kind = kind or "application/octet-stream"
    elif value.startswith("<"):
        content = Path(value[1:]).read_bytes()
    head = f"--{_BOUNDARY}\r\n{disposition}\r\n" + (f"Content-Type: {kind}\r\n" if kind else "")
    return _bytes(head) + b"\r\n" + content + b"\r\n"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
