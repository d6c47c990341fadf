"""A stream writer that sends in one system call what is written within one turn of the event loop."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakSet

LARGE = 16 * 1024
"""What is larger is handed on as it is: to copy it would cost more than the call."""

_transports: WeakSet[asyncio.WriteTransport] = WeakSet()


def unsent() -> bool:
    """Whether something written by any of them is still here: what takes it slowly may be closed already."""
    return any(transport.get_write_buffer_size() for transport in _transports)


class GatheringWriter:
    """In front of an `asyncio.StreamWriter`: the head and the body of an answer leave together."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._parts: list[bytes] = []
        _transports.add(writer.transport)

    def write(self, data: bytes) -> None:
        """Send `data` before the loop turns again."""
        if len(data) > LARGE:
            self.flush()
            self._writer.write(data)
            return
        if not self._parts:
            asyncio.get_running_loop().call_soon(self.flush)
        self._parts.append(data)

    def flush(self) -> None:
        """Send what has gathered."""
        if self._parts:
            parts, self._parts = self._parts, []
            self._writer.write(parts[0] if len(parts) == 1 else b"".join(parts))

    async def drain(self) -> None:
        """As `StreamWriter.drain`."""
        self.flush()
        await self._writer.drain()

    def write_eof(self) -> None:
        """As `StreamWriter.write_eof`."""
        self.flush()
        self._writer.write_eof()

    def close(self) -> None:
        """As `StreamWriter.close`."""
        self.flush()
        self._writer.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)
