"""Whether a `ledger` command line that people are told to type is one: its command and every option of it exist."""

from __future__ import annotations

import re
import shlex

import click
import typer

from ledger_console.main import app


def check_command(line: str) -> None:
    """Assert that the words of a command line lead to a command that has these options."""
    words = shlex.split(line, comments=True)
    assert words[0] == "ledger", line
    command: click.Command = typer.main.get_command(app)
    at = 1
    while at < len(words) and hasattr(command, "commands") and not words[at].startswith("-"):
        assert words[at] in command.commands, f"{line!r}: there is no command {words[at]!r}"
        command = command.commands[words[at]]
        at += 1
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help"}
    for word in words[at:]:
        if word in ("--", "|", "&&", ";", ">"):
            break
        option = word.partition("=")[0]
        if re.fullmatch(r"--?[a-z][a-z-]*", option):
            assert option in known, f"{line!r}: `{words[0]} {' '.join(words[1:at])}` has no {option}"
