"""What the front writes in one turn of the loop leaves together, and always in order."""

from __future__ import annotations

import asyncio
import socket

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_proxy.gathering import LARGE, GatheringWriter

SIZES = st.lists(st.sampled_from([1, 100, LARGE, LARGE + 1, 3 * LARGE]), max_size=8)


async def _through(sizes: list[int], turns: list[bool]) -> tuple[bytes, bytes]:
    ours, theirs = socket.socketpair()
    _, plain = await asyncio.open_connection(sock=ours)
    reader, back = await asyncio.open_connection(sock=theirs)
    writer, sent = GatheringWriter(plain), b""
    receiving = asyncio.create_task(reader.read())
    for number, size in enumerate(sizes):
        part = bytes([number]) * size
        writer.write(part)
        sent += part
        if turns[number]:
            await writer.drain()
    writer.write_eof()
    received = await receiving
    for end in (writer, back):
        end.close()
        await end.wait_closed()
    return sent, received


@settings(max_examples=50, deadline=None)
@given(SIZES, st.lists(st.booleans(), min_size=8, max_size=8))
def test_nothing_is_lost_and_nothing_overtakes(sizes: list[int], turns: list[bool]) -> None:
    sent, received = asyncio.run(_through(sizes, turns))
    assert received == sent


async def test_a_head_and_its_body_arrive_in_one_piece() -> None:
    ours, theirs = socket.socketpair()
    _, plain = await asyncio.open_connection(sock=ours)
    writer = GatheringWriter(plain)
    writer.write(b"head ")
    writer.write(b"body")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert theirs.recv(100) == b"head body"
    writer.close()
    await writer.wait_closed()
    theirs.close()
