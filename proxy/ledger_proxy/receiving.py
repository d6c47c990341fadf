"""A request's body that is large, or whose size nobody knows: it spools, and is hashed from there. No engine here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from ledger_proxy.spool import IN_MEMORY, Spool
from ledger_rules.bodies import MAX_WHOLE, Digest, Reading
from ledger_rules.request import Request
from ledger_rules.rule import Rule

MAX_BODY = 1 << 30
"""Bytes that a ruled request's body may have: more would fill the disk for one request."""
_PIECE = 1 << 20


class TooLarge(Exception):
    """The body is longer than `MAX_BODY`."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A body on the disk. reading: what it says, as its rule asks."""

    spool: Spool
    reading: Reading


async def receive(request: Request, pieces: AsyncIterator[bytes], spool: Spool) -> Request:
    """Take the whole body into `spool`, which the caller closes; into the request, too, if it is small.

    Raises TooLarge, OSError when the disk is full, and what `pieces` raises when the agent leaves.
    """
    async for piece in pieces:
        if spool.size + len(piece) > MAX_BODY:
            raise TooLarge
        spool.write(piece)
    return replace(request, body=spool.whole()) if spool.size <= IN_MEMORY else request


def legible(request: Request, spool: Spool) -> Request:
    """The request with a body that conditions can be held against, as far as bodies are read at all."""
    return request if request.body or spool.size > MAX_WHOLE else replace(request, body=spool.whole())


async def spooled(rule: Rule, request: Request, spool: Spool) -> Spooled | None:
    """What a spooled body says, read piece by piece between other work; None for one that is in the request."""
    if spool.size <= IN_MEMORY:
        return None
    digest = Digest(request.header("Content-Type"), request.header("Content-Encoding"), rule.fingerprint.body)
    file = spool.rewound()
    while piece := file.read(_PIECE):
        digest.feed(piece)
        await asyncio.sleep(0)
    return Spooled(spool, digest.finish())
