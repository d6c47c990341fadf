"""What a sidecar is started with. A plain value; the command line and tests make it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ledger_proxy.modes import REGULAR, Mode
from ledger_proxy.peers import Peers
from ledger_rules.ruleset import Ruleset

if TYPE_CHECKING:
    from ledger_proxy.auth import Auth
    from ledger_proxy.listening import Handed

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a sidecar needs to know.

    db: path of the ledger. listen: host and port, port 0 for any free one. ca_dir: None for a private
    directory that is removed at the end. resolve: where connections to a host and port really go. upstream_ca:
    PEM file trusted for upstreams besides the usual roots. upstream_proxy: URL to send everything through.
    upstream_timeout: seconds that an upstream has for its answer, and for each further piece of one that streams.
    key: HMAC key of the ledger, None for the one inside it. durability: "full" or "normal". drain: seconds
    that exchanges in flight get at the end. max_stored: bytes of a response body that are kept.
    admin: host and port of the admin server, None for none. auth: the secret that clients must know, None for none.
    mode: how traffic comes in.
    ports: what redirected connections may be on their way to, besides those that rules name; None for all.
    reload: reads the rules again, raising RulesError, and rules_file is what to watch for it; both None where the
    rules are not from a file. peers: upstreams that TLS treats unlike the rest. handed: what a worker got from its
    parent; None for a sidecar of its own. trust_dir: where the certificates of a CA that is kept are kept, too.
    """

    rules: Ruleset
    db: str
    workflow: str = "default"
    caller: str | None = None
    observe: bool = False
    listen: Address = ("127.0.0.1", 8080)
    ca_dir: Path | None = None
    resolve: Mapping[Address, Address] = field(default_factory=dict)
    upstream_ca: Path | None = None
    upstream_proxy: str | None = None
    upstream_timeout: float = 600.0
    key: bytes | None = None
    durability: str = "full"
    drain: float = 10.0
    max_stored: int = 8 * 1024 * 1024
    admin: Address | None = None
    auth: Auth | None = None
    mode: Mode = REGULAR
    ports: frozenset[int] | None = None
    reload: Callable[[], Ruleset] | None = None
    rules_file: Path | None = None
    handed: Handed | None = None
    trust_dir: Path | None = None
    peers: Peers = field(default_factory=Peers)
