"""The command as a whole: which ledger it means, and one line for everything that can be wrong."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ledger.ports import Query
from ledger.stores.sqlite import SqliteStore
from ledger_console import main as console
from ledger_rules import loader
from tests.commands import check_command
from tests.console.conftest import Agent, Ledger

READERS = ("show", "tail", "stats", "clear")


@pytest.mark.parametrize(
    "command", ["show", "tail --no-follow", "stats", "unknown", "clear", "resolve ab --done", "retry ab"]
)
def test_a_missing_ledger_is_one_line_and_is_not_made(ledger: Ledger, command: str, tmp_path: Path) -> None:
    said = ledger(*command.split())
    how = "`ledger run` and the first guarded call make one, --db or LEDGER_DB names another"
    assert said == (1, "", f"ledger: there is no ledger at ledger.db; {how}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", READERS)
def test_what_is_not_a_ledger_is_named_and_left_alone(ledger: Ledger, command: str, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, " * 100)
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE cats (name)")
    db.commit()
    db.close()
    for stranger in (text, other):
        before = stranger.read_bytes()
        said = ledger(command, stranger)
        assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
        assert str(stranger) in said.err
        assert stranger.read_bytes() == before


@pytest.mark.parametrize("command", [["show"], ["tail", "--no-follow"], ["stats"], ["clear", "--yes"]])
def test_a_damaged_ledger_is_one_line(agent: Agent, ledger: Ledger, command: list[str]) -> None:
    for number in range(200):
        agent.ask(f"{number:032x}")
    agent.close()
    content = bytearray(agent.path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    agent.path.write_bytes(content)
    said = ledger(*command)
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert "ledger.db" in said.err


def test_a_directory_is_no_ledger(ledger: Ledger, tmp_path: Path) -> None:
    for command in ("show", "stats", "tail", "unknown", "clear", "vacuum"):
        said = ledger(command, f"{tmp_path}/")
        assert (said.code, said.err) == (2, f"ledger: {tmp_path}/ is a folder; give the path of a ledger\n"), command


def test_where_the_ledger_is_comes_from_the_nearest(
    agent: Agent, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.ask("aa")
    for name in ("named", "env"):
        other = Agent(tmp_path / f"{name}.db")
        other.ask(name)
        other.close()

    def ids(*words: str) -> list[str]:
        return [r["id"] for r in ledger("show", "--json", *words).json]

    assert ids() == ["aa"]
    monkeypatch.setenv("LEDGER_DB", "env.db")
    assert ids() == ["env"]
    for words in (["named.db"], ["--db", "named.db"], ["named.db", "--db", "named.db"], ["sqlite:///named.db"]):
        assert ids(*words) == ["named"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("show --db postgresql://u@h/db", "postgresql:// ledger cannot be opened by this version"),
        ("stats redis://localhost", "redis:// ledger cannot be opened by this version"),
        ("show a.db --db b.db", "more than one ledger is named: a.db, b.db"),
        ("show aa bb", "takes one record"),
        ("stats aa", "use --db aa"),
        ("show --db :memory:", "give the path of a file"),
        ("show --status odd", "'odd' is not one of 'running', 'success', 'failed', 'unknown'. See"),
        ("show --status unkown", "Did you mean 'unknown'? See `ledger show --help`."),
        ("show --sort blockd --limit 3", "Did you mean 'blocked'? See"),
        ("run --upstream-timeout soon -- true", "--upstream-timeout': 'soon' is not a number. See"),
        ("show --limit many", "--limit': 'many' is not a whole number. See"),
        ("show --stauts failed", "No such option: --stauts. Did you mean --status? See"),
        ("rules packs strip", "no pack 'strip'; did you mean 'stripe'? There are"),
        ("backup nowhere/copy.db", "there is no folder nowhere; make it, or give another FILE"),
        ("show --limit -1", "--limit"),
        ("shwo", "shwo"),
        ("show --jsno", "--jsno"),
        ("resolve", "RECORD"),
        ("resolve aa", "--done or --not-done"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_2(ledger: Ledger, command: str, said: str) -> None:
    answer = ledger(*command.split())
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert said in answer.err


def test_no_command_is_helped(ledger: Ledger) -> None:
    said = ledger()
    assert said.code == 2
    assert all(command in said.err for command in ("run", "proxy", *READERS, "resolve", "retry", "rules"))
    assert ledger("--help").code == 0


def test_version(ledger: Ledger) -> None:
    said = ledger("--version")
    assert said.code == 0
    assert said.out.startswith("ledger 0.")


def test_a_bug_is_one_line_too(agent: Agent, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.stores.sqlite.SqliteStore.page", lambda *_: 1 / 0)
    said = ledger("show")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "ZeroDivisionError" in said.err
    monkeypatch.setenv("LEDGER_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        console.main(["show"])


@pytest.mark.parametrize("command", ["--help", "show", "stats", "tail --no-follow", "resolve ff --done"])
def test_the_wire_and_the_rules_do_not_ride_along(agent: Agent, command: str) -> None:
    """They would cost every `ledger show` half a second."""
    agent.ask("ab12")
    code = """
        import sys
        from ledger_console.main import main
        main(sys.argv[1:])
        # Where observations are kept is a line of its own, and light.
        wire = {name for name in sys.modules if name.startswith("ledger_proxy.")} - {"ledger_proxy.beside"}
        heavy = {"mitmproxy", "aiohttp", "ledger_rules", "rich"} & set(sys.modules) | wire
        print("heavy:", sorted(heavy))
    """
    words = [sys.executable, "-c", textwrap.dedent(code), *command.split()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_whoever_closes_the_pipe_early_hears_nothing(agent: Agent) -> None:
    for number in range(300):
        agent.ask(f"{number:032x}")
    shell = f"set -o pipefail; {sys.executable} -m ledger_console show --json | head -n 1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith('{"id"')


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_line(agent: Agent) -> None:
    agent.ask("ab12")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ledger_console", "show"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "ledger: the output: No space left on device\n")


def test_a_terminal_without_unicode_gets_it_spelled_out(agent: Agent) -> None:
    agent.ask("ab12", tool="支払い")
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "ledger_console", "show"],
        capture_output=True,
        text=True,
        env=env,
        timeout=30,
        check=True,
    )
    assert "\\u652f" in done.stdout


def _commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield (*words, name), command
        if hasattr(command, "commands"):
            yield from _commands(command, (*words, name))


def test_the_help_of_every_command_has_examples() -> None:
    found = list(_commands(typer.main.get_command(console.app)))
    assert len(found) > 25
    assert [words for words, command in found if "Examples:" not in (command.help or "")] == []


def test_every_example_in_a_help_is_a_command_line() -> None:
    """And names a rule that there is, where it names one."""
    examples = [
        re.sub(r"^([A-Z_]+=\S+ )*(eval \"\$\()?", "", line.strip())
        for _, command in _commands(typer.main.get_command(console.app))
        for line in (command.help or "").partition("Examples:")[2].splitlines()
        if line.strip()
    ]
    assert len(examples) > 50
    rules = {rule.name for rule in loader.default().rules}
    for line in examples:
        typed = re.split(r"\)\"$| [|>] ", line)[0]
        check_command(typed)
        words = shlex.split(typed)
        if "--tool" in words and "/" in (tool := words[words.index("--tool") + 1]):
            assert tool in rules, line


def test_help_is_also_asked_for_shortly(ledger: Ledger) -> None:
    for words in ([], ["show"], ["rules"], ["ca", "show"]):
        assert ledger(*words, "-h") == ledger(*words, "--help")


def test_the_list_of_commands_is_in_parts(ledger: Ledger) -> None:
    """As docs/console.md has them."""
    said = ledger("--help").lines
    parts = [line.rstrip(":") for line in said if line and not line.startswith((" ", "Usage", "Options"))]
    assert parts == ["Run", "Look", "Settle", "Keep"]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["show", "stats --json", "clear", "show no-such-record"])
def test_without_a_stream_there_is_no_bug(agent: Agent, command: str, closed: str) -> None:
    """A shell's `>&-`, and what some supervisors start: the file that is opened first must not become stdout."""
    agent.ask("a1")
    agent.close()
    line = f"{sys.executable} -m ledger_console {command} --db ./ledger.db {closed}"
    done = subprocess.run(
        line, check=False, shell=True, cwd=agent.path.parent, capture_output=True, text=True, timeout=60
    )
    assert "bug" not in done.stderr
    assert done.returncode == {"clear": 2, "show no-such-record": 1}.get(command, 0)
    with contextlib.closing(SqliteStore(agent.path)) as store:
        assert [r.id for r in store.page(Query())] == ["a1"]


def test_every_help_is_plain_and_cuts_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for words, command in _commands(typer.main.get_command(console.app)):
        said = ledger(*words, "--help")
        assert (said.code, said.err) == (0, ""), words
        examples = {line.strip() for line in (command.help or "").splitlines()}
        assert [line for line in said.lines if len(line) > 80 and line.strip() not in examples] == [], words
        # Neither boxes, nor an ellipsis where a command's line in a list was too long, nor what only `ledger` has.
        cut = [line for line in said.lines if line.startswith("  ") and line.endswith("...")]
        assert (cut, "─" in said.out, "--install-completion" in said.out) == ([], False, False), words
        for option in command.params:
            if getattr(option, "help", None) and "[default" in option.help:
                assert "[default" in said.out, words


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [("ledger pro", "proxy"), ("ledger ca ro", "rotate"), ("ledger proxy --upstream-t", "--upstream-timeout")],
)
def test_a_shell_completes_commands_and_options(typed: str, wanted: str) -> None:
    """What bash asks of the command itself, once `ledger --install-completion` has told it to."""
    asked = {"_LEDGER_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    words = [Path(sys.executable).with_name("ledger")]
    ended = subprocess.run(words, env={**os.environ, **asked}, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.split() == [wanted]
