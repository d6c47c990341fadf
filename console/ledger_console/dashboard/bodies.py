"""A recorded answer as text for a page: pretty where it is JSON, short always, never markup. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from ledger.errors import StoreUnavailable
from ledger.records import Kind, Record
from ledger_console.dashboard import words

SHOWN = 64 * 1024
"""Characters of a body that a page shows; the rest is a download."""
_HEX_BYTES = 4096
_PRETTY_BYTES = 1024 * 1024
_DEEPEST = 40
"""Levels that are indented; deeper ones would only make the page wide."""
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


@dataclass(frozen=True, slots=True)
class Shown:
    """A kept answer. size: bytes kept. cut: whether `text` is only its beginning. binary: `text` is a hex dump."""

    status: int | None
    reason: str
    headers: tuple[tuple[str, str], ...]
    text: str
    size: int
    cut: bool
    binary: bool


def answer(record: Record) -> tuple[Shown | None, str]:
    """What duplicates are answered with; None when it was not kept or cannot be read, and why."""
    try:
        return _shown(record), words.no_body(record)
    except StoreUnavailable as error:
        return None, f"Kept, but {error}."


def _shown(record: Record) -> Shown | None:
    if record.result is None or record.result.body is None:
        return None
    meta, body = record.result.meta, record.result.body
    headers = tuple((str(n), str(v)) for n, v in meta.get("headers", ()))
    text, binary = _text(body, plain=record.kind is Kind.CALL or not _encoded(headers))
    cut = len(body) > _HEX_BYTES if binary else len(text) > SHOWN
    return Shown(meta.get("status"), str(meta.get("reason", "")), headers, text[:SHOWN], len(body), cut, binary)


def pretty(text: str) -> str:
    """JSON over several lines, token by token: read and written again, 1.10 would be 1.1. Raises ValueError."""
    json.loads(text)
    out: list[str] = []
    depth = 0
    tokens = _TOKENS.findall(text)
    for piece, follows in zip(tokens, [*tokens[1:], ""], strict=True):
        if piece in "}]":
            depth -= 1
        if piece in "}]" and out and out[-1] not in "{[":
            out.append(_line(depth))
        out.append(": " if piece == ":" else piece)
        if piece in "{[":
            depth += 1
        if piece in "{[," and follows not in ("}", "]"):
            out.append(_line(depth))
    return "".join(out)


def _line(depth: int) -> str:
    return "\n" + "  " * min(depth, _DEEPEST)


def _encoded(headers: tuple[tuple[str, str], ...]) -> bool:
    return any(name.lower() == "content-encoding" and value.lower() != "identity" for name, value in headers)


def _text(body: bytes, plain: bool) -> tuple[str, bool]:
    if not plain:
        return _hex(body), True
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return _hex(body), True
    if len(body) <= _PRETTY_BYTES:
        try:
            return pretty(text), False
        except (ValueError, RecursionError):
            pass
    return text, False


def _hex(body: bytes) -> str:
    lines = (body[at : at + 16] for at in range(0, min(len(body), _HEX_BYTES), 16))
    return "\n".join(line.hex(" ") for line in lines)
