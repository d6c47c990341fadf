"""XML in one spelling: what Canonical XML calls equal, and less. DTDs and entities of one's own are refused.

As in https://www.w3.org/TR/xml-c14n11/ attribute order, quotes, white space inside tags, empty-element tags, character
references and CDATA do not matter. The standard library's canonicalize() is not used: exclusive canonicalization, as in
version 2.0, drops a declaration `xmlns:x` that only a text such as `x:Refund` refers to, and would merge two meanings.
Here prefixes, declarations and comments count as they stand.
"""

from __future__ import annotations

from typing import NoReturn
from xml.parsers import expat

MAX_NODES = 500_000
"""Elements count twice, for their start and their end. It is their number that takes time and memory."""

_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_VALUE = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})


def canonical(text: str) -> str:
    """Return the one spelling; raises ValueError for what is not well-formed, has a DTD or names another encoding."""
    writer = _Writer()
    try:
        writer.parser.Parse(text.encode("utf-8"), True)
    except expat.ExpatError as error:
        raise ValueError(f"not well-formed XML: {error}") from None
    return "".join(writer.parts)


class _Writer:
    """Writes what expat reads, without namespaces: a prefix is part of a name."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.parser = expat.ParserCreate("UTF-8")
        self.parser.buffer_text = True
        self.parser.XmlDeclHandler = self._declaration
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = lambda name: self._write(f"</{name}>")
        self.parser.CharacterDataHandler = lambda text: self._write(text.translate(_TEXT))
        self.parser.CommentHandler = lambda text: self._write(f"<!--{text}-->")
        self.parser.ProcessingInstructionHandler = lambda target, data: self._write(f"<?{target} {data}?>")

    def _write(self, text: str) -> None:
        if len(self.parts) >= MAX_NODES:
            raise ValueError(f"more than {MAX_NODES:,} nodes")
        self.parts.append(text)

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        """Refuse what would make the bytes say something else than they do in UTF-8."""
        if version != "1.0" or (encoding or "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
            raise ValueError(f"XML {version} in {encoding}")

    def _doctype(self, *_: object) -> NoReturn:
        raise ValueError("a document type declaration can change what follows")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        written = (f' {key}="{value.translate(_VALUE)}"' for key, value in sorted(attributes.items()))
        self._write(f"<{name}{''.join(written)}>")
