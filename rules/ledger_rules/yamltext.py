"""YAML text into plain data that knows where everything was written. Nothing here knows what a rule is.

Only what configuration needs: mappings with text keys, lists and plain scalars. Tags, merge keys and duplicate
keys are refused, and aliases are counted, so that a file cannot grow beyond what it shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from ledger_rules.errors import RulesError

type Loc = tuple[int | str, ...]
type Mark = tuple[int, int]
"""Line and column, both from 1."""

MAX_ALIASES = 100
MAX_VALUES = 50_000
MAX_DEPTH = 32

_MEANT = {
    r"'\t'": "; indent with spaces, YAML takes no tabs",
    "cannot start any token": "; put a text that begins with it in quotes",
    "while scanning an alias": "; put a text with * or & in quotes",
    "mapping values are not allowed": (
        "; is this line indented as the one above it, a text with ': ' in quotes, and a space after every other ':'?"
    ),
    "expected <block end>": "; is this line indented as the others of its list or mapping?",
    "or ']', but got '['": "; put a JSONPath with brackets in quotes",
}
"""What a person did, for what the parser says of it."""

_CORE = "tag:yaml.org,2002:"
_SCALARS = frozenset(_CORE + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value"))


@dataclass(slots=True)
class Document:
    """Data and, for every place in it, where its key and its value were written and what a scalar looked like."""

    name: str
    data: Any = None
    keys: dict[Loc, Mark] = field(default_factory=dict)
    values: dict[Loc, Mark] = field(default_factory=dict)
    texts: dict[Loc, str] = field(default_factory=dict)

    def problem(self, loc: Loc, message: str, *, at_key: bool = False) -> str:
        """Return one line `FILE:LINE:COLUMN: message` for a place, or for the nearest one around it."""
        marks = self.keys if at_key else self.values
        while loc and loc not in marks:
            loc = loc[:-1]
        line, column = marks.get(loc, (1, 1))
        return f"{self.name}:{line}:{column}: {message}"

    def line(self, loc: Loc) -> int:
        """Return the line a value starts on."""
        return self.values.get(loc, (1, 1))[0]


def parse(text: str, name: str, *, ours: bool = False) -> Document:
    """Read one YAML document; raises RulesError with the position of what cannot be read.

    ours: it comes with Ledger, so its aliases need no counting, and the parser in C may read it: ten times as fast.
    """
    document = Document(name)
    try:
        node = _nodes(text, name, ours)
        if node is None:
            raise RulesError(f"{name}:1:1: the file is empty; expected rules, packs or tools")
        document.data = _Reader(document).read(node, ())
    except yaml.MarkedYAMLError as error:
        raise RulesError(_marked(name, error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        code = f"U+{ord(text[error.position]):04X}"
        raise RulesError(f"{name}:{line}:{column}: character {code} is not allowed in YAML") from None
    except RecursionError:
        raise RulesError(f"{name}:1:1: nested too deeply") from None
    return document


def _nodes(text: str, name: str, ours: bool) -> yaml.Node | None:
    if ours and yaml.__with_libyaml__:
        return yaml.CSafeLoader(text).get_single_node()
    return _Loader(text, name).get_single_node()


class _Loader(yaml.SafeLoader):
    """The safe loader, counting aliases."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self._source = name
        self._aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node; raises RulesError for one alias too many."""
        if self.check_event(yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > MAX_ALIASES:
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
                place = f"{self._source}:{mark.line + 1}:{mark.column + 1}"
                raise RulesError(f"{place}: more than {MAX_ALIASES} aliases; write the values out")
        return super().compose_node(parent, index)


class _Reader:
    """Turns nodes into data, filling in the document's positions."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._left = MAX_VALUES

    def read(self, node: yaml.Node, loc: Loc) -> Any:
        document = self._document
        document.values[loc] = _mark(node)
        self._left -= 1
        if self._left < 0 or len(loc) > MAX_DEPTH:
            raise RulesError(document.problem(loc, "too many or too deeply nested values; are aliases nested?"))
        match node:
            case yaml.MappingNode() if node.tag == _CORE + "map":
                return self._mapping(node, loc)
            case yaml.SequenceNode() if node.tag == _CORE + "seq":
                return [self.read(item, (*loc, index)) for index, item in enumerate(node.value)]
            case yaml.ScalarNode() if node.tag in _SCALARS:
                document.texts[loc] = node.value
                return _scalar(node)
        raise RulesError(document.problem(loc, f"tags are not allowed, found '{_short(node.tag)}'"))

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            line, column = _mark(key_node)
            place = f"{self._document.name}:{line}:{column}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise RulesError(f"{place}: expected a plain key, found a list or a mapping")
            if key_node.tag == _CORE + "merge":
                raise RulesError(f"{place}: merge keys are not read, found '{key}'; write its keys out")
            if key in data:
                first = self._document.keys[(*loc, key)][0]
                raise RulesError(f"{place}: duplicate key '{key}'; it is already given on line {first}")
            self._document.keys[(*loc, key)] = (line, column)
            data[key] = self.read(value_node, (*loc, key))
        return data


def _scalar(node: yaml.ScalarNode) -> Any:
    kind = node.tag.removeprefix(_CORE)
    if kind not in ("int", "float", "bool", "null"):
        return node.value
    if ":" in node.value:  # to YAML 1.1, and to no one else, 1:30 is the number 90
        return node.value
    constructor = yaml.constructor.SafeConstructor()
    try:
        return constructor.construct_object(node)
    except ValueError:  # an explicit !!int that is none
        return node.value


def _mark(node: yaml.Node) -> Mark:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag


def _marked(name: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    said = " ".join(filter(None, (error.context, error.problem))) or "cannot be read"
    meant = next((hint for part, hint in _MEANT.items() if part in said), "")
    return f"{name}:{line}:{column}: not valid YAML: {' '.join(said.split())}{meant}"
