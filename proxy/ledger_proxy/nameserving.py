"""Names for a command in a namespace of its own: its questions go to this machine's own resolver, byte for byte.

Wherever they were sent to: also a resolver on loopback, such as 127.0.0.53, is out of reach from inside.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterable
from functools import partial
from pathlib import Path
from typing import cast

logger = logging.getLogger(__name__)

RESOLV_CONF = Path("/etc/resolv.conf")
PORT = 53
_SECONDS = 3.0
_AT_ONCE = 256
_LONGEST = 1 << 16
_TRANSACTION = 2
"""Bytes of a message's id (RFC 1035 §4.1.1)."""
_HEADER, _CODE = 12, 0x0F
"""Bytes before the question; bits of the fourth that say what came of it."""
_FOUND, _SETTLED = 0, (0, 3)
"""An answer; what ends the search. After any other, as after none, the C library asks its next resolver."""


def resolvers(text: str) -> list[str]:
    """The addresses that a resolv.conf(5) names; loopback where it names none."""
    words = (line.split() for line in text.splitlines())
    return [found[1] for found in words if len(found) > 1 and found[0] == "nameserver"] or ["127.0.0.1"]


def here() -> list[str]:
    """The resolvers of this machine, as they are now."""
    try:
        return resolvers(RESOLV_CONF.read_text(errors="replace"))
    except OSError:
        return resolvers("")


@contextlib.asynccontextmanager
async def serving(sockets: Iterable[socket.socket], led: Iterable[str] = ()) -> AsyncIterator[None]:
    """Answer what is asked on these for the block. led: names whose connections `--resolve` leads elsewhere."""
    loop = asyncio.get_running_loop()
    questions = partial(_Questions, set(led))
    ends = [(await loop.create_datagram_endpoint(questions, sock=one))[0] for one in sockets]
    try:
        yield
    finally:
        for end in ends:
            end.close()


class _Questions(asyncio.DatagramProtocol):
    """Passes each on in a task of its own; what is asked beyond a bound is lost, as UDP may lose it."""

    def __init__(self, led: set[str]) -> None:
        self._led = led
        self._asking: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(self._asking) < _AT_ONCE:
            task = asyncio.create_task(self._answer(data, addr))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self._asking:
            task.cancel()

    async def _answer(self, question: bytes, asker: tuple[str, int]) -> None:
        answer = b""
        for resolver in here():
            with contextlib.suppress(OSError, TimeoutError):
                answer = await _ask(resolver, question)
                if _code(answer) in _SETTLED:
                    break
        if answer:
            self._transport.sendto(answer, asker)
        if _code(answer) != _FOUND:
            self._unknown(name_in(question))

    def _unknown(self, name: str) -> None:
        """Say once why a command finds no way to a host that `--resolve` names: it needs an address to begin with."""
        if name in self._led:
            self._led.discard(name)
            logger.warning(
                "%s is in --resolve, but this machine's resolver knows no address of it for the command to connect to; "
                "give it any in DNS, or one that is not of this machine in /etc/hosts: --resolve then leads from there",
                name,
            )


def _code(answer: bytes) -> int | None:
    return answer[3] & _CODE if answer[3:4] else None


def name_in(question: bytes) -> str:
    """The name that a message asks for, in lower case; empty where it cannot be read (RFC 1035 §4.1.2)."""
    labels, rest = [], question[_HEADER:]
    while rest and (size := rest[0]):
        labels.append(rest[1 : size + 1])
        rest = rest[size + 1 :]
    return b".".join(labels).decode("latin-1").lower()


async def _ask(resolver: str, question: bytes) -> bytes:
    """One question to one resolver. Raises OSError, TimeoutError."""
    loop = asyncio.get_running_loop()
    family, _, _, _, address = socket.getaddrinfo(resolver, PORT, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[
        0
    ]
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        # Connected, so that nobody else can answer.
        asking.connect(address)
        async with asyncio.timeout(_SECONDS):
            await loop.sock_sendall(asking, question)
            while True:
                answer = await loop.sock_recv(asking, _LONGEST)
                if answer[:_TRANSACTION] == question[:_TRANSACTION]:
                    return answer
