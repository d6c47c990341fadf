"""What came by lately. Bounded; a hint, never a fact."""

from __future__ import annotations


class Recent:
    """Which names came by lately."""

    def __init__(self, size: int = 16384) -> None:
        self._size = size
        self._hashes: dict[int, None] = {}

    def seen(self, id: str) -> bool:
        """Whether it came before; from now on it has."""
        key = hash(id)
        if key in self._hashes:
            return True
        self._hashes[key] = None
        if len(self._hashes) > self._size:
            del self._hashes[next(iter(self._hashes))]
        return False
