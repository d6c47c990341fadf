"""A network namespace for one command, whose only way out are sockets of ours. What is done inside it is in `launcher`.

Nothing is made outside of it, so nothing is left behind whoever is killed: it ends with the command's last process,
and without a sidecar nothing answers in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger_proxy.errors import EngineError

_LAUNCHER = Path(__file__).with_name("launcher.py")
_SECONDS = 30.0
_LONGEST = 1 << 16
_REJECTED = 0x200
_IMPOSSIBLE = "--transparent is not possible here"


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A namespace that waits for its command. streams: where its connections arrive. names: where it asks for names."""

    process: asyncio.subprocess.Process
    streams: tuple[socket.socket, ...]
    names: tuple[socket.socket, ...]
    _control: socket.socket

    def descriptors(self) -> tuple[int, ...]:
        """Of `streams`, which are given away with them."""
        return tuple(one.detach() for one in self.streams)

    async def start(self, command: Sequence[str], env: Mapping[str, str]) -> asyncio.subprocess.Process:
        """Let it become the command. Raises OSError where that cannot be executed."""
        loop = asyncio.get_running_loop()
        told = json.dumps({"command": list(command), "env": dict(env)}).encode() + b"\n"
        await loop.sock_sendall(self._control, told)
        if failed := await loop.sock_recv(self._control, _LONGEST):
            said = json.loads(failed)
            await self.process.wait()
            raise OSError(said["errno"], said["error"])
        return self.process


@contextlib.asynccontextmanager
async def enclosure() -> AsyncIterator[Enclosure]:
    """One for the block. Raises EngineError."""
    if sys.platform != "linux":
        raise EngineError(f"{_IMPOSSIBLE}: it needs Linux")
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        with theirs:
            words = (sys.executable, "-I", "-S", str(_LAUNCHER), str(theirs.fileno()))
            process = await asyncio.create_subprocess_exec(*words, pass_fds=[theirs.fileno()])
        made: list[socket.socket] = []
        try:
            async with asyncio.timeout(_SECONDS):
                made += await _made(ours)
            streams = tuple(one for one in made if one.type == socket.SOCK_STREAM)
            names = tuple(one for one in made if one.type == socket.SOCK_DGRAM)
            yield Enclosure(process, streams, names, ours)
        except TimeoutError:
            raise EngineError(f"{_IMPOSSIBLE}: it was not ready within {_SECONDS:.0f} s") from None
        finally:
            for one in made:
                one.close()
            ours.close()
            await _ended(process)


async def _made(control: socket.socket) -> list[socket.socket]:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(control, json.dumps({"routes": list(routes())}).encode() + b"\n")
    told, descriptors = await _received(control)
    found = [socket.socket(fileno=one) for one in descriptors]
    if not found:
        said: dict[str, Any] = json.loads(told) if told else {"error": "its launcher ended"}
        raise EngineError(f"{_IMPOSSIBLE}: {said['error']}")
    for one in found:
        one.setblocking(False)
    return found


async def _received(control: socket.socket) -> tuple[bytes, list[int]]:
    """As `socket.recv_fds`, which knows no loop."""
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(control, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(control)
    told, descriptors, _, _ = socket.recv_fds(control, _LONGEST, 8)
    return told, descriptors


async def _ended(process: asyncio.subprocess.Process) -> None:
    """A launcher that became no command sees that we are gone, and ends."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await process.wait()


def routes() -> Iterator[str]:
    """The networks that this machine has a way to. Others are unreachable inside, too: clients try the next address."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/route").read_text().splitlines()[1:]:
            device, network, _, flags, _, _, _, mask, *_ = line.split()
            if device != "lo" and not int(flags, 16) & _REJECTED:
                parts = (str(ipaddress.IPv4Address(int(one, 16).to_bytes(4, sys.byteorder))) for one in (network, mask))
                yield str(ipaddress.ip_network("/".join(parts)))
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/ipv6_route").read_text().splitlines():
            network, length, *_, flags, device = line.split()
            found = ipaddress.ip_network((bytes.fromhex(network), int(length, 16)))
            if device != "lo" and not int(flags, 16) & _REJECTED and not (found.is_link_local or found.is_multicast):
                yield str(found)
