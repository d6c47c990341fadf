"""An operation as commands that are safe to paste, whatever was recorded: asked for again, settled. Prints nothing."""

from __future__ import annotations

import os
import re
import shlex
import string

from ledger.records import Record
from ledger_console.ledgers import Place
from ledger_console.text import SHORT

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
"""RFC 9110 section 5.6.2: what a method may be made of."""
_PLAIN = frozenset(string.printable) - frozenset("\t\n\r\x0b\x0c")


def curl(record: Record) -> str | None:
    """The request again, as far as it is kept; None for a function call. Credentials and body never are.

    The workflow goes along, so that through Ledger it is the same operation and is answered from the record.
    """
    method, url = str(record.about.get("method") or ""), str(record.about.get("url") or "")
    if not url.startswith(("http://", "https://")) or not _TOKEN.fullmatch(method):
        return None
    words = ["curl --globoff", f"--request {quoted(method)}", f"--url {quoted(url)}"]
    words.append(f"--header {quoted(f'Ledger-Workflow: {record.wf}')}")
    if media := record.about.get("media_type"):
        words.append(f"--header {quoted(f'Content-Type: {media}')}")
    if record.about.get("request_bytes"):
        words.append("--data-binary @body")
    return " \\\n  ".join(words)


def settling(record: Record, place: Place) -> str:
    """The command that settles an unknown, in whatever folder it is typed; the reader puts --not-done for --done."""
    return f"ledger resolve {quoted(record.id[:SHORT])} --done --db {quoted(os.path.abspath(place.path))}"


def quoted(text: str) -> str:
    """One word for sh, bash and zsh. What is not printable ASCII is spelled out: a pasted newline would run."""
    if _PLAIN.issuperset(text):
        return shlex.quote(text)
    return "$'" + "".join(map(_spelled, text)) + "'"


def _spelled(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character in _PLAIN:
        return character
    # Three octal digits end by themselves; \x would swallow a digit that follows.
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogatepass"))
