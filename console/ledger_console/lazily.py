"""Commands that are imported when they are asked for: `ledger show` must not wait for what `ledger proxy` needs."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

from ledger_console.loading import loading


@dataclass(frozen=True, slots=True)
class Lazy:
    """Where a command is. name: a function, or the Typer of a group. told: its line in the list of commands.

    part: of that list. settings: of its context, see typer.
    """

    module: str
    name: str
    told: str
    part: str
    settings: dict[str, Any] = field(default_factory=dict)


class Lazily(TyperGroup):
    """A group whose commands are those of `table`, by their names."""

    table: ClassVar[dict[str, Lazy]]

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Commands(self.table)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of commands for help, part by part: what each is told by needs none of them imported."""
        width = max(map(len, self.table))
        for part in dict.fromkeys(lazy.part for lazy in self.table.values()):
            with formatter.section(part):
                formatter.write_dl(
                    [(f"{n:<{width}}", lazy.told) for n, lazy in self.table.items() if lazy.part == part]
                )


class _Commands(MutableMapping[str, Any]):
    def __init__(self, table: dict[str, Lazy]) -> None:
        self._table, self._made = table, dict[str, Any]()

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _made(name, self._table[name])
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


def _made(name: str, lazy: Lazy) -> Any:
    with loading():
        found = getattr(import_module(lazy.module), lazy.name)
    if not isinstance(found, typer.Typer):
        only = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        only.command(name, context_settings=lazy.settings)(found)
        found = only
    command = typer.main.get_command(found)
    command.name, command.short_help = name, lazy.told
    return command
