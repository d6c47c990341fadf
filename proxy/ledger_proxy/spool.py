"""Bytes that are too many for memory, in a temporary file that nobody else can find. No protocol, no decisions."""

from __future__ import annotations

import tempfile
from typing import BinaryIO

IN_MEMORY = 1 << 20
"""Bytes that stay in memory; more goes to the disk."""


class Spool:
    """Takes bytes once and gives them back any number of times. size: how many it was given."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        # Unlinked as soon as it is made: it is gone with its last descriptor, whatever ends the process.
        self._file: BinaryIO = tempfile.SpooledTemporaryFile(in_memory)  # type: ignore[assignment]  # noqa: SIM115 - `close` is ours
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append. Raises OSError when the disk is full."""
        self._file.write(data)
        self.size += len(data)

    def rewound(self) -> BinaryIO:
        """The file, at its start."""
        self._file.seek(0)
        return self._file

    def whole(self) -> bytes:
        """All of it, in memory."""
        return self.rewound().read()

    def close(self) -> None:
        """Give the space back."""
        self._file.close()
