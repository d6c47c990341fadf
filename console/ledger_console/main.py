"""The `ledger` command: its commands assembled, and every error as one line with the right exit code."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, TextIO

from ledger_console.loading import loading

with loading():
    import typer

    from ledger.errors import LedgerError
    from ledger_console.lazily import Lazily, Lazy
    from ledger_console.problems import FAILED, USAGE, Problem, ReaderGone
    from ledger_console.text import visible

# Not compiled here: that takes as long as a small command, and few command lines are wrong.
_CHOICE = r"'([^']*)' is not one of (.*)"
_QUOTED = r"'([^']*)'"
_OPTIONS = r" \(Possible options: (.*?)\)\.?"
_NUMBER = r"a valid (int|float)( range)?"
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


class _Ledger(Lazily):
    """The commands in the order in which help lists them."""

    table: ClassVar[dict[str, Lazy]] = {
        # Options end at the command's name: `ledger run python agent.py --limit 3` passes --limit on.
        "run": Lazy(
            "ledger_console.sidecar",
            "run",
            "Run a command behind a sidecar of its own",
            "Run",
            {"allow_interspersed_args": False},
        ),
        "proxy": Lazy("ledger_console.sidecar", "proxy", "Run a sidecar for agents that are started elsewhere", "Run"),
        "env": Lazy("ledger_console.env", "env", "Print the variables that such an agent needs", "Run"),
        "doctor": Lazy("ledger_console.doctor", "doctor", "Say what is wrong here, and prove exactly-once live", "Run"),
        "rules": Lazy("ledger_console.rules", "app", "Check, explain and test rules", "Run"),
        "ca": Lazy("ledger_console.authority", "app", "The certificate authority that agents trust", "Run"),
        "show": Lazy("ledger_console.show", "show", "List the records, or show one", "Look"),
        "tail": Lazy("ledger_console.tail", "tail", "Show what happens, as it happens", "Look"),
        "stats": Lazy("ledger_console.stats", "stats", "Totals, and the share that were duplicates", "Look"),
        "unknown": Lazy("ledger_console.unknown", "unknown", "List what waits for a person, with what to type", "Look"),
        "dashboard": Lazy("ledger_console.dashboard.command", "dashboard", "All of it in a browser, live", "Look"),
        "resolve": Lazy("ledger_console.settle", "resolve", "Say whether an unknown's effect happened", "Settle"),
        "retry": Lazy("ledger_console.settle", "retry", "Let the next attempt run", "Settle"),
        "clear": Lazy("ledger_console.clear", "clear", "Remove records, after asking", "Settle"),
        "export": Lazy("ledger_console.export", "export", "Write the records as JSON Lines or CSV", "Keep"),
        "import": Lazy("ledger_console.importing", "import_", "Take over records of another ledger", "Keep"),
        "backup": Lazy("ledger_console.upkeep", "backup", "Copy a ledger that is in use", "Keep"),
        "purge": Lazy("ledger_console.upkeep", "purge", "Remove what ended long ago", "Keep"),
        "vacuum": Lazy("ledger_console.upkeep", "vacuum", "Give the space of removed records back", "Keep"),
        "encrypt": Lazy("ledger_console.upkeep", "encrypt", "Encrypt what is kept, or change the key", "Keep"),
    }


app = typer.Typer(
    name="ledger",
    cls=_Ledger,
    help=(
        "Exactly-once for AI agents: retries are answered from a durable record.\n\n"
        "\b\nExamples:\n  ledger run -- python agent.py\n  ledger tail\n  ledger unknown\n  ledger dashboard --open"
    ),
    add_completion=True,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    # For every command: a context has them from the one that it is in.
    context_settings={"help_option_names": ["-h", "--help"]},
    # Plain help: rich would cost a tenth of a second on every usage error.
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ledger {version('ledger-sidecar')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0 done, 1 failed, 2 usage; `run` passes its child's through."""
    _with_streams()
    for stream in (sys.stdout, sys.stderr):
        # Recorded text may not fit the terminal's encoding; it is spelled out then, never an error.
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="backslashreplace")
    return _exit_code(lambda: app(args=argv, prog_name="ledger", standalone_mode=False))


def _with_streams() -> None:
    """Where a shell's `>&-` left no stream, nothing is read or written; and no file of ours gets its number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            found = os.open(os.devnull, os.O_RDWR)
            if found != number:
                os.dup2(found, number)
                os.close(found)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115  for as long as the process runs


def _exit_code(command: Callable[[], Any]) -> int:
    try:
        code = command()
        sys.stdout.flush()
    except Problem as problem:
        return _say(str(problem), problem.code, "ledger: " if problem.prefixed else "")
    except typer.TyperException as error:
        return _usage(error)
    except LedgerError as error:
        return _say(str(error), FAILED)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (ReaderGone, BrokenPipeError):
        _forget(sys.stdout)
        _forget(sys.stderr)
        return 0
    except ModuleNotFoundError as error:
        from ledger_console import extra

        return _say(str(extra.missing()), USAGE) if extra.is_missing(error) else _bug(error)
    except OSError as error:
        _forget(sys.stdout)
        return _say(f"{error.filename or 'the output'}: {error.strerror or error}", FAILED)
    except Exception as error:
        return _bug(error)
    return code if isinstance(code, int) else 0


def _bug(error: Exception) -> int:
    if os.environ.get("LEDGER_DEBUG"):
        raise error
    return _say(f"a bug in ledger: {type(error).__name__}: {error}; LEDGER_DEBUG=1 shows where", FAILED)


def _say(message: str, code: int, prefix: str = "ledger: ") -> int:
    try:
        for line in message.splitlines():
            sys.stderr.write(f"{prefix}{visible(line)}\n")
        sys.stderr.flush()
    except BrokenPipeError:
        _forget(sys.stderr)
    return code


def _usage(error: typer.TyperException) -> int:
    """A usage error as one line that says where to look; a command without its arguments gets its help."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if context is None:
        return _say(message, error.exit_code)
    if message == context.get_help():
        return _say(message, error.exit_code, "")
    said = _friendly(" ".join(message.split()))
    return _say(
        f"{said if said.endswith(('.', '?')) else f'{said}.'} See `{context.command_path} --help`.", error.exit_code
    )


def _friendly(said: str) -> str:
    """A usage error in the words of the others, naming what is nearly right."""
    from difflib import get_close_matches

    if found := re.search(_CHOICE, said):
        near = get_close_matches(found[1], re.findall(_QUOTED, found[2]), 1)
        return f"{said.rstrip('.')}. Did you mean '{near[0]}'?" if near else said
    said = re.sub(_OPTIONS, lambda found: f". Did you mean {found[1].replace(', ', ' or ')}?", said)
    return re.sub(_NUMBER, lambda found: "a whole number" if found[1] == "int" else "a number", said)


def _forget(stream: TextIO) -> None:
    """What is still buffered cannot be written; keep the interpreter from trying again when it ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
