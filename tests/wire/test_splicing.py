"""A piece that finds the reader of its connection busy goes behind what is in hand: none overtakes another."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace

from ledger_proxy import splicing


class Connection:
    """What a splice asks of one of mitmproxy's."""

    proxy_mode = SimpleNamespace(type_name="regular")


async def _end(client: Connection, ends: dict[Connection, SimpleNamespace]) -> socket.socket:
    """The far end of a new pair of sockets, whose near end is read as mitmproxy reads it."""
    near, far = socket.socketpair()
    far.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=near)
    ends[client] = SimpleNamespace(reader=reader, writer=writer)
    return far


async def test_what_comes_while_something_is_in_hand_waits_behind_it() -> None:
    loop, ends = asyncio.get_running_loop(), dict[Connection, SimpleNamespace]()
    client, server = Connection(), Connection()
    agent, origin = await _end(client, ends), await _end(server, ends)
    watchdog = SimpleNamespace(register_activity=lambda: None)
    splicing.tunnel(client)
    splicing.begin(SimpleNamespace(client=client, transports=ends, timeout_watchdog=watchdog), server)

    reader = ends[client].reader
    for number, said in enumerate((b"first ", b"second "), 1):
        await loop.sock_sendall(agent, said)
        async with asyncio.timeout(20):
            while len(reader._buffer) < 6 * number:
                await asyncio.sleep(0.001)
    assert await reader.read(100) == b"first second "

    waiting = asyncio.create_task(reader.read(100))
    await asyncio.sleep(0)
    await loop.sock_sendall(agent, b"third")
    assert await asyncio.wait_for(loop.sock_recv(origin, 100), 20) == b"third"
    agent.close()
    assert await asyncio.wait_for(waiting, 20) == b""
    for end in ends.values():
        end.writer.close()
        await end.writer.wait_closed()
    origin.close()
