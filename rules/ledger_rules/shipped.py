"""The packs that come with Ledger: provider rules as YAML, looked up by name. Their paths become URLs here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ledger_rules.patterns import UrlPattern
from ledger_rules.yamltext import Document, parse

OPT_IN = frozenset(("anthropic", "aws", "github", "openai", "webhooks"))
"""Packs that a file must name: they need hosts, cost tokens, or intercept what is mostly read or often meant again."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a provider, for people: texts of one line, and where they come from (URLs).

    native: the provider's own idempotency. retention: how long it remembers a key. replay: what a repeat is answered.
    """

    title: str
    native: str
    retention: str
    replay: str
    sources: tuple[str, ...]


def pack_names() -> tuple[str, ...]:
    """Return the names of all shipped packs, sorted."""
    names = (entry.name for entry in files("ledger_rules").joinpath("packs").iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


def default_packs() -> tuple[str, ...]:
    """Return the packs that apply without a rules file: payments and messaging."""
    return tuple(name for name in pack_names() if name not in OPT_IN)


def facts(name: str) -> Facts:
    """Return what a pack says of its provider."""
    about = yaml_of(name)["about"]
    return Facts(**{**about, "sources": tuple(about["sources"])})


def needs_hosts(name: str) -> bool:
    """Say whether a pack names no hosts of its own, so that its user must."""
    return not yaml_of(name)["hosts"]


@cache
def yaml_of(name: str) -> dict[str, Any]:
    """Return a pack as written: `about`, `hosts`, and `rules`, their URLs being paths. Not to be changed."""
    data: dict[str, Any] = _document(name).data
    return data


def expanded(name: str, hosts: Sequence[UrlPattern] | None) -> Document:
    """Return a pack as a rules file: its paths on each host, its rules named `pack/rule`."""
    document, pack = _document(name), yaml_of(name)
    origins = [host.origin for host in hosts] if hosts else [f"https://{host}" for host in pack["hosts"]]
    rules = [
        {
            **rule,
            "name": f"{name}/{rule['name']}",
            "match": {**rule["match"], "url": [o + path for o in origins for path in rule["match"]["url"]]},
        }
        for rule in pack["rules"]
    ]
    return Document(document.name, {"rules": rules}, document.keys, document.values, document.texts)


@cache
def _document(name: str) -> Document:
    text = files("ledger_rules").joinpath("packs", f"{name}.yaml").read_text("utf-8")
    return parse(text, f"packs/{name}.yaml", ours=True)
