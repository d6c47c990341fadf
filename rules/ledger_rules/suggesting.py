"""Rules proposed from observed requests, as YAML that says on what evidence. Pure: requests in, text out."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, count
from urllib.parse import quote

from yarl import URL

from ledger_rules.patterns import Place, UrlPattern
from ledger_rules.shapes import VOLATILE, Field, Shape
from ledger_rules.urls import split_target
from ledger_rules.varying import Variation, variation

CLOSE_SECONDS = 60.0
"""Attempts of one operation come close in time."""
_NEIGHBOURS = 5
_PLAIN = "%-._~!$&'()+,;=:@"
_ID = re.compile(r"\d+|(?=.*\d)[\w-]{12,}", re.A)


@dataclass(frozen=True, slots=True)
class Observed:
    """One request that was let through. origin: `scheme://host[:port]`; at: Unix seconds."""

    method: str
    origin: str
    target: str
    at: float
    fields: tuple[Field, ...] = ()
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """How often one value varied between requests that were alike otherwise, and what it looked like."""

    place: str
    varied: int
    shapes: tuple[Shape, ...]

    @property
    def noise(self) -> bool:
        """Whether it never looked like anything else."""
        return all(shape in VOLATILE for shape in self.shapes)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One rule. ignored: what looks like noise; kept: what varied and looks like business; repeats: equal requests."""

    method: str
    url: str
    requests: int
    pairs: int
    repeats: int
    ignored: tuple[Evidence, ...] = ()
    kept: tuple[Evidence, ...] = ()
    first: float = field(default=0.0)


def propose(observed: Iterable[Observed]) -> list[Proposal]:
    """Return a rule for each endpoint that was asked: exact paths first, since the first that matches wins."""
    found = [_propose(one.method, one.url, sorted(one.seen, key=lambda o: o.at)) for one in _endpoints(observed)]
    return sorted(found, key=lambda p: (p.url.count("*"), -(p.pairs + p.repeats), -p.requests, p.url))


@dataclass(slots=True)
class _Endpoint:
    method: str
    url: str
    pattern: UrlPattern
    seen: list[Observed]

    def means(self, method: str, seen: Iterable[Observed]) -> bool:
        """Whether its rule would match all of these: two spellings of one path are one endpoint."""
        return self.method == method and all(self.pattern.matches(_place(one)) for one in seen)


def _endpoints(observed: Iterable[Observed]) -> list[_Endpoint]:
    groups: dict[tuple[str, str], list[Observed]] = defaultdict(list)
    for one in observed:
        groups[one.method, one.origin + _pattern(one.target)].append(one)
    found: list[_Endpoint] = []
    for (method, url), group in sorted(groups.items(), key=lambda item: (item[0][1].count("*"), item[0])):
        same = next((known for known in found if known.means(method, group)), None)
        if same is not None:
            same.seen += group
            continue
        with suppress(ValueError):  # a URL that no pattern can say
            found.append(_Endpoint(method, url, UrlPattern.parse(url), group))
    return found


def _place(one: Observed) -> Place:
    at = URL(one.origin)
    return Place.of(at.scheme, at.host or "", at.port or 0, one.target)


def as_yaml(proposals: Sequence[Proposal]) -> str:
    """Return a rules file, every rule with its evidence as comments."""
    head = "# Proposed from observed requests. Read it, keep what is right, then: ledger rules check FILE\nversion: 1\n"
    names: set[str] = set()
    return head + "rules:\n" + "".join(_rule(p, _name(p, names)) for p in proposals)


def _pattern(target: str) -> str:
    """The path, with `*` for segments that look like ids: `/orders/1234/refunds` is one endpoint."""
    path = split_target(target)[0]
    return "/".join("*" if _ID.fullmatch(segment) else _written(segment) for segment in path.split("/"))


def _written(segment: str) -> str:
    text = quote(segment, safe=_PLAIN)
    return f"%3A{text[1:]}" if text.startswith(":") else text


def _propose(method: str, url: str, group: Sequence[Observed]) -> Proposal:
    variations, repeats = _compare(group)
    alike = [v for v in variations if v.noise] or variations
    shapes: dict[str, list[Shape]] = defaultdict(list)
    for one in alike:
        for each in one.fields:
            shapes[each.place].append(each.shape)
    business = {f.place: f.shape for v in variations if not v.noise for f in v.fields if f.shape not in VOLATILE}
    evidence = [Evidence(place, len(seen), tuple(seen)) for place, seen in shapes.items()]
    return Proposal(
        method,
        url,
        len(group),
        sum(v.noise for v in variations),
        repeats,
        tuple(e for e in evidence if e.noise),
        tuple(Evidence(place, _varied(variations, place), (shape,)) for place, shape in business.items()),
        group[0].at,
    )


def _compare(group: Sequence[Observed]) -> tuple[list[Variation], int]:
    """Each request with the few before it that came close in time."""
    variations, repeats = [], 0
    for index, later in enumerate(group):
        for earlier in group[max(0, index - _NEIGHBOURS) : index]:
            if later.at - earlier.at > CLOSE_SECONDS:
                continue
            if later.fields == earlier.fields and later.target == earlier.target:
                repeats += 1
            elif (found := variation(earlier.fields, later.fields)) is not None:
                variations.append(found)
    return variations, repeats


def _varied(variations: Sequence[Variation], place: str) -> int:
    return sum(any(f.place == place for f in v.fields) for v in variations)


def _name(proposal: Proposal, taken: set[str]) -> str:
    words = re.findall(r"[a-z0-9]+", proposal.url.partition("://")[2].lower())
    name = "-".join([proposal.method.lower(), *words])[:60].rstrip("-")
    numbered = (f"{name}-{number}" for number in count(2))
    free = next(one for one in chain([name], numbered) if one not in taken)
    taken.add(free)
    return free


def _rule(proposal: Proposal, name: str) -> str:
    said = f"{_count(proposal.requests, 'request')}; {_count(proposal.repeats, 'pair')} equal"
    lines = [f"  # {said}, {proposal.pairs} alike but for noise"]
    lines += [f"  # kept: {_told(e)}, so it is part of what is asked for" for e in proposal.kept]
    match = f"{{method: {proposal.method}, url: {json.dumps(proposal.url)}}}"
    lines += [f"  - name: {name}", f"    match: {match}"]
    if any(e.place.startswith("header.") for e in proposal.ignored):
        lines.append("    idempotency_key: ignore-generated  # the client mints a new one for every call")
    lines += _fingerprint([e for e in proposal.ignored if not e.place.startswith("header.")])
    return "\n".join(lines) + "\n"


def _fingerprint(ignored: Sequence[Evidence]) -> list[str]:
    query = [e for e in ignored if e.place.startswith("query.")]
    body = [e for e in ignored if e.place.startswith("$")]
    lines = ["    fingerprint:"] if ignored else []
    for part, found in (("query", query), ("body", body)):
        if found:
            lines += [f"      {part}:", "        ignore:"]
            lines += [f"          - {json.dumps(e.place.removeprefix('query.'))}  # {_told(e)}" for e in found]
    return lines


def _told(evidence: Evidence) -> str:
    looks = Counter(evidence.shapes).most_common(1)[0][0]
    place = json.dumps(evidence.place) if evidence.place.isprintable() is False else evidence.place
    return f"{place} varied {_count(evidence.varied, 'time')} and is {looks}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
