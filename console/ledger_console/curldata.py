"""The bodies that curl makes of its data and form options, files that they name included. Knows no other option."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote_plus

type Given = Sequence[tuple[str, str]]
"""Options and their values, in order."""

FORM = "application/x-www-form-urlencoded"
_BOUNDARY = "ledger-explain-7d3f"
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"[^;]*|([^;]*)', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_PARAMETER = re.compile(r";\s*(?:(type|filename)=)?", re.IGNORECASE)
_BY_SUFFIX = {
    **{".gif": "image/gif", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"},
    **{".svg": "image/svg+xml", ".txt": "text/plain", ".htm": "text/html", ".html": "text/html"},
    **{".pdf": "application/pdf", ".xml": "application/xml"},
}
"""What curl calls a file of no given type, as its manual has it; of any other suffix application/octet-stream."""


def joined(given: Given) -> bytes:
    """Return the body of -d and the options like it: pieces of a form, or of one JSON text."""
    pieces = [_piece(option, value) for option, value in given]
    return (b"" if all(option == "--json" for option, _ in given) else b"&").join(pieces)


def multipart(given: Given) -> tuple[bytes, str]:
    """Return the body of -F and --form-string, and its media type."""
    parts = b"".join(_part(option, value) for option, value in given)
    return parts + f"--{_BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={_BOUNDARY}"


def contents(name: str) -> bytes:
    """Return what a file holds. Raises OSError, and ValueError for standard input."""
    if name == "-":
        raise ValueError("'-' means standard input, which is not read here; name a file, or give the data itself")
    return Path(name).read_bytes()


def urlencoded(value: str) -> bytes:
    """Return a value of --data-urlencode: `content`, `=content`, `name=content`, `@file` or `name@file`."""
    name, mark, said = value.partition("=" if "=" in value else "@")
    content = contents(said) if mark == "@" else as_bytes(said if mark else value)
    return as_bytes(f"{name}=" if mark and name else "") + quote_plus(content).encode()


def as_bytes(text: str) -> bytes:
    """Return the bytes of a word of the command line."""
    return text.encode("utf-8", "surrogateescape")


def _piece(option: str, value: str) -> bytes:
    if option == "--data-urlencode":
        return urlencoded(value)
    if option == "--data-raw" or not value.startswith("@"):
        return as_bytes(value)
    read = contents(value[1:])
    return read if option in ("--data-binary", "--json") else read.replace(b"\r", b"").replace(b"\n", b"")


def _part(option: str, text: str) -> bytes:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"expected a form field as name=value or name=@file, found '{text}'")
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if option == "--form-string":
        return _head(disposition, None) + as_bytes(value) + b"\r\n"
    word, parameters = _parameters(value)
    kind = parameters.get("type")
    if word.startswith("@"):
        named = parameters.get("filename", Path(word[1:]).name)
        disposition += f'; filename="{named}"'
        kind = kind or _BY_SUFFIX.get(Path(named).suffix.lower(), "application/octet-stream")
    content = contents(word[1:]) if word.startswith(("@", "<")) else as_bytes(word)
    return _head(disposition, kind) + content + b"\r\n"


def _head(disposition: str, kind: str | None) -> bytes:
    return as_bytes(f"--{_BOUNDARY}\r\n{disposition}\r\n" + (f"Content-Type: {kind}\r\n" if kind else "") + "\r\n")


def _parameters(value: str) -> tuple[str, dict[str, str]]:
    """Read `content;type=…;filename=…`; what curl does not know of it, it leaves out."""
    start = value[:1] if value[:1] in ("@", "<") else ""
    content, place = _word(value, len(start))
    found: dict[str, str] = {}
    while parameter := _PARAMETER.match(value, place):
        word, place = _word(value, parameter.end())
        if parameter[1]:
            found[parameter[1].lower()] = word
    return start + content, found


def _word(value: str, place: int) -> tuple[str, int]:
    """Read a word, which may stand in double quotes; return where it ends, too."""
    word = _WORD.match(value, place)
    assert word is not None  # it fits the empty text
    return (word[2] if word[1] is None else _ESCAPED.sub(r"\1", word[1])), word.end()
