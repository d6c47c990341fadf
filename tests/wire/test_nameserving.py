"""Which of this machine's resolvers answers a command in a namespace of its own: the one that would answer outside."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger_proxy import nameserving

QUESTION = b"\x12\x34\x01\x00\0\1\0\0\0\0\0\0\3api\4test\0\0\1\0\1"
FINE, FAILED, NO_SUCH_NAME, NOT_DONE, REFUSED = 0, 2, 3, 4, 5
"""Codes of RFC 1035 §4.1.1."""


class Resolver(asyncio.DatagramProtocol):
    """Answers with one code. asked: how often."""

    def __init__(self, code: int) -> None:
        self._code, self.asked = code, 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        self._transport.sendto(data[:2] + bytes([0x81, 0x80 | self._code]) + data[4:], addr)


@contextlib.asynccontextmanager
async def resolving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *codes: int
) -> AsyncIterator[tuple[list[Resolver], socket.socket]]:
    """Resolvers in the order of resolv.conf, and the socket where commands ask."""
    loop, made, ends, port = asyncio.get_running_loop(), [], [], 0
    for number, code in enumerate(codes, 2):
        at = (f"127.0.0.{number}", port)
        end, resolver = await loop.create_datagram_endpoint(lambda code=code: Resolver(code), at)  # type: ignore[misc]
        port = end.get_extra_info("sockname")[1]
        made.append(resolver)
        ends.append(end)
    conf = tmp_path / "resolv.conf"
    conf.write_text("".join(f"nameserver 127.0.0.{number}\n" for number in range(2, len(codes) + 2)))
    monkeypatch.setattr(nameserving, "RESOLV_CONF", conf)
    monkeypatch.setattr(nameserving, "PORT", port)
    inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    inside.bind(("127.0.0.1", 0))
    async with nameserving.serving([inside]):
        yield made, inside
    for end in ends:
        end.close()


async def asked(at: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect(at.getsockname())
        await loop.sock_sendall(client, QUESTION)
        return await asyncio.wait_for(loop.sock_recv(client, 512), 20)


@pytest.mark.parametrize(
    ("codes", "told", "counts"),
    [
        ((FINE, FINE), FINE, [1, 0]),
        ((NO_SUCH_NAME, FINE), NO_SUCH_NAME, [1, 0]),
        ((FAILED, FINE), FINE, [1, 1]),
        ((NOT_DONE, FINE), FINE, [1, 1]),
        ((REFUSED, NO_SUCH_NAME), NO_SUCH_NAME, [1, 1]),
        ((REFUSED, FAILED), FAILED, [1, 1]),
    ],
)
async def test_one_that_does_not_answer_for_names_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codes: tuple[int, ...], told: int, counts: list[int]
) -> None:
    async with resolving(tmp_path, monkeypatch, *codes) as (resolvers, inside):
        answer = await asked(inside)
    assert (answer[:2], answer[3] & 0x0F) == (QUESTION[:2], told)
    assert [resolver.asked for resolver in resolvers] == counts
