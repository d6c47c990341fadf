"""A request's body that is large, or whose size nobody knows: it spools, and is hashed from there. No engine here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from ledger_proxy.recording import AGENT_SECONDS
from ledger_proxy.spool import IN_MEMORY, Spool
from ledger_rules import operation
from ledger_rules.bodies import MAX_WHOLE, Reading
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from ledger_rules.ruleset import decide

MAX_BODY = 1 << 30
"""Bytes that a ruled request's body may have: more would fill the disk for one request."""
LARGE = 256 << 10
"""Bytes of a body above which reading what it says (some 50 ms for each MiB of JSON) is left to a thread."""


class TooLarge(Exception):
    """The body is longer than `MAX_BODY`."""


class AgentLeft(Exception):
    """The agent went, or fell silent, before its body was whole."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A body on the disk. reading: what it says, as its rule asks."""

    spool: Spool
    reading: Reading


async def receive(request: Request, pieces: AsyncIterator[bytes], spool: Spool) -> Request:
    """Take the whole body into `spool`, which the caller closes; into the request, too, if it is small.

    Raises TooLarge, AgentLeft, and OSError when the disk is full.
    """
    while piece := await _next(pieces):
        if spool.size + len(piece) > MAX_BODY:
            raise TooLarge
        spool.write(piece)
    return replace(request, body=spool.whole()) if spool.size <= IN_MEMORY else request


def chosen(candidates: Sequence[Rule], request: Request, spool: Spool) -> Rule | None:
    """The rule that means a request whose body is in `spool`. One that is too large to be read may be the one meant."""
    if not candidates[0].match.reads_body or spool.size > MAX_WHOLE:
        return candidates[0]
    return decide(candidates, request if request.body else replace(request, body=spool.whole()))


async def read[*Args, T](size: int, reads: Callable[[*Args], T], *given: *Args) -> T:
    """Call what reads a body of `size` bytes: here, or in a thread, so that one large body does not stop all others."""
    return reads(*given) if size <= LARGE else await asyncio.to_thread(reads, *given)


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    try:
        async with asyncio.timeout(AGENT_SECONDS):
            return await anext(pieces, b"")
    except (ConnectionError, TimeoutError, web.RequestPayloadError):
        raise AgentLeft from None


async def spooled(rule: Rule, request: Request, spool: Spool) -> Spooled | None:
    """What a spooled body says, read piece by piece; None for one that is in the request."""
    if spool.size <= IN_MEMORY:
        return None
    return Spooled(spool, await read(spool.size, operation.read_body, rule, request, spool.rewound()))
