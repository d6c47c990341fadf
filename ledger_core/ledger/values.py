"""Values: immutable for the type checkers, plain for the interpreter.

A frozen dataclass sets each field through `object.__setattr__`, which takes four times as long as a plain one, and a
call makes a dozen of them. mypy and pyright hold them frozen all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import dataclass_transform


@dataclass_transform(frozen_default=True)
def value[T](cls: type[T]) -> type[T]:
    """A dataclass with slots whose fields are never assigned to. Equal values are equal and hash equal."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
