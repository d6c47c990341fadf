"""A curl command line as the request that curl would send, its bodies aside. Sends nothing."""

from __future__ import annotations

import argparse
import base64
import re
import shlex
from collections.abc import Sequence
from typing import NoReturn
from urllib.parse import unquote

from ledger_console import curldata
from ledger_console.curldata import FORM
from ledger_rules.composing import compose
from ledger_rules.request import Request

_METHOD = re.compile(r"[A-Z]+|[a-z]+")
_USER = re.compile(r"[^/]*//([^/?#]*)@")
_CONTINUED = re.compile(r"\\\r?\n")
_ANSI_C = re.compile(r"(?:^|\s)\$'")
"""As browsers copy a body that has a `!` or a line break: `--data-raw $'...'`."""

_FLAGS = (
    *("-k", "--insecure", "-s", "--silent", "-S", "--show-error", "-v", "--verbose", "-i", "--include", "-L"),
    *("--location", "-f", "--fail", "-g", "--globoff", "-N", "--no-buffer", "--http1.1", "--http2", "-4", "-6"),
    *("--compressed", "-q", "--disable", "-#", "--progress-bar", "-O", "--remote-name", "--fail-with-body"),
    *("--http1.0", "--http2-prior-knowledge", "--http3", "--tlsv1.2", "--tlsv1.3", "--ssl-no-revoke", "--path-as-is"),
    *("--retry-all-errors", "--retry-connrefused", "--no-progress-meter", "--no-keepalive", "--tcp-nodelay", "--basic"),
    *("-j", "--junk-session-cookies", "-J", "--remote-header-name", "--location-trusted", "--anyauth"),
)
"""Options that change nothing about the request, as far as it matters here."""
_WITH_VALUE = (
    *("-o", "--output", "-m", "--max-time", "--connect-timeout", "--retry", "--retry-delay", "-x", "--proxy"),
    *("--cacert", "--cert", "--key", "-w", "--write-out", "--resolve", "-c", "--cookie-jar", "--max-redirs"),
    *("--retry-max-time", "-D", "--dump-header", "--trace", "--trace-ascii", "--noproxy", "-U", "--proxy-user", "-E"),
    *("--capath", "--interface", "--limit-rate", "--output-dir", "--connect-to", "--tls-max", "--ciphers"),
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
    headers = _headers(said, _user(url))
    body, kind = _body(said)
    if method is not None and kind == FORM and (body or b"").lstrip()[:1] in (b"{", b"["):
        kind = "application/json"
    if said.get and body is not None:
        url, body = _with_query(url, body), None
    for piece in said.url_query:
        url = _with_query(url, curldata.urlencoded(piece))
    if kind and body is not None and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", kind))
    default = "HEAD" if said.head else "PUT" if said.upload_file else "GET" if body is None else "POST"
    kept = [(name, value) for name, value in headers if value is not None]
    return compose(method or said.request or default, url, kept, body or b"")


def _with_query(url: str, more: bytes) -> str:
    return url + ("&" if "?" in url else "?") + more.decode("utf-8", "surrogateescape")


def _user(url: str) -> str | None:
    """Return `user:password` where the URL names them: curl sends these as -u."""
    named = _USER.match(url)
    return unquote(named[1] if ":" in named[1] else f"{named[1]}:") if named else None


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
    for option in ("-F", "--form", "--form-string"):
        parser.add_argument(option, dest="form", action=_Data)
    parser.add_argument("-T", "--upload-file")
    parser.add_argument("--url-query", action="append", default=[])
    parser.add_argument("-u", "--user")
    parser.add_argument("--oauth2-bearer")
    parser.add_argument("-A", "--user-agent")
    parser.add_argument("-e", "--referer")
    parser.add_argument("-b", "--cookie")
    parser.add_argument("-G", "--get", action="store_true")
    parser.add_argument("-I", "--head", action="store_true")
    for flag in _FLAGS:
        parser.add_argument(flag, action="store_true", dest="_flag")
    for option in _WITH_VALUE:
        parser.add_argument(option, dest="_value")
    parser.set_defaults(data=[], form=[])
    return parser


class _Data(argparse.Action):
    """Keeps by which option each was given, in order."""

    def __call__(
        self, parser: object, namespace: argparse.Namespace, values: object, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), (option, str(values))])


def _headers(said: argparse.Namespace, user: str | None) -> list[tuple[str, str | None]]:
    """Return the headers; one without a value is one that curl would add and is told not to."""
    lines = [line for given in said.header for line in _lines(given)]
    found = [_header(line) for line in lines]
    bearer = None if said.oauth2_bearer is None else f"Bearer {said.oauth2_bearer}"
    named = (("User-Agent", said.user_agent), ("Referer", said.referer), ("Cookie", said.cookie))
    found += [(name, value) for name, value in (*named, ("Authorization", bearer)) if value is not None]
    user = said.user if said.user is not None else user
    if user is not None and bearer is None:
        found.append(("Authorization", "Basic " + base64.b64encode(curldata.as_bytes(user)).decode()))
    if any(option == "--json" for option, _ in said.data):
        given = {name.lower() for name, _ in found}
        found += [(n, "application/json") for n in ("Content-Type", "Accept") if n.lower() not in given]
    return found


def _lines(given: str) -> list[str]:
    """Return the lines of a file of headers (`-H @file`), or the one that was given."""
    return curldata.contents(given[1:]).decode("latin-1").splitlines() if given.startswith("@") else [given]


def _header(line: str) -> tuple[str, str | None]:
    """Read `Name: value`; `Name;` has an empty one, and `Name:` takes back what curl would add."""
    name, colon, value = line.partition(":")
    if not colon and line.endswith(";"):
        return line[:-1].strip(), ""
    if not colon or not name.strip():
        raise ValueError(f"expected a header as 'Name: value', found '{line}'")
    return name.strip(), value.strip() or None


def _body(said: argparse.Namespace) -> tuple[bytes | None, str | None]:
    if said.upload_file is not None:
        return curldata.contents(said.upload_file), None
    if said.form:
        return curldata.multipart(said.form)
    return (curldata.joined(said.data), FORM) if said.data else (None, None)
