"""The `ledger` command: its commands assembled, and every error as one line with the right exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer

from ledger.errors import LedgerError
from ledger_console import authority, rules
from ledger_console.clear import clear
from ledger_console.dashboard.command import dashboard
from ledger_console.doctor import doctor
from ledger_console.env import env
from ledger_console.export import export
from ledger_console.importing import import_
from ledger_console.problems import FAILED, Problem, ReaderGone
from ledger_console.settle import resolve, retry
from ledger_console.show import show
from ledger_console.sidecar import proxy, run
from ledger_console.stats import stats
from ledger_console.suggest import suggest
from ledger_console.tail import tail
from ledger_console.text import visible
from ledger_console.unknown import unknown
from ledger_console.upkeep import backup, encrypt, purge, vacuum

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

app = typer.Typer(
    name="ledger",
    help="Exactly-once for AI agents: retries are answered from a durable record.",
    add_completion=True,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    # Plain help: rich would cost a tenth of a second on every usage error.
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ledger {version('ledger-sidecar')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


# Options end at the command's name: `ledger run python agent.py --limit 3` passes --limit on.
app.command(context_settings={"allow_interspersed_args": False})(run)
_LOOKING = (show, tail, stats, unknown, dashboard)
_SETTLING = (resolve, retry, clear)
_KEEPING = (export, backup, purge, vacuum, encrypt)
for _command in (proxy, env, doctor, *_LOOKING, *_SETTLING, *_KEEPING):
    app.command()(_command)
app.command("import")(import_)
rules.app.command()(suggest)
app.add_typer(rules.app, name="rules")
app.add_typer(authority.app, name="ca")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0 done, 1 failed, 2 usage; `run` passes its child's through."""
    for stream in (sys.stdout, sys.stderr):
        # Recorded text may not fit the terminal's encoding; it is spelled out then, never an error.
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="backslashreplace")
    return _exit_code(lambda: app(args=argv, prog_name="ledger", standalone_mode=False))


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
        _forget_stdout()
        return 0
    except OSError as error:
        _forget_stdout()
        return _say(f"{error.filename or 'the output'}: {error.strerror or error}", FAILED)
    except Exception as error:
        if os.environ.get("LEDGER_DEBUG"):
            raise
        return _say(f"a bug in ledger: {type(error).__name__}: {error}; LEDGER_DEBUG=1 shows where", FAILED)
    return code if isinstance(code, int) else 0


def _say(message: str, code: int, prefix: str = "ledger: ") -> int:
    for line in message.splitlines():
        sys.stderr.write(f"{prefix}{visible(line)}\n")
    return code


def _usage(error: typer.TyperException) -> int:
    """A usage error as one line that says where to look; a command without its arguments gets its help."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if context is None:
        return _say(message, error.exit_code)
    if message == context.get_help():
        return _say(message, error.exit_code, "")
    said = " ".join(message.split())
    return _say(
        f"{said if said.endswith(('.', '?')) else f'{said}.'} See `{context.command_path} --help`.", error.exit_code
    )


def _forget_stdout() -> None:
    """What is still buffered cannot be written; keep the interpreter from trying again when it ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
