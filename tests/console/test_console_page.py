"""docs/console.md: every command has a section, and what its examples print is what the commands print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import typer

from ledger_console.main import app

PAGE = (Path(__file__).parents[2] / "docs" / "console.md").read_text("utf-8")
MASKED = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)", "TIME"),
    (r"(?<=\s)\d+[smh](?=\s)", "AGE"),
    (r"\d+,\d{3}(?= bytes|,? after)", "SIZE"),
    (r"[0-9a-f]{64}", "FINGERPRINT"),
    (r"\d+ rules are about", "N rules are about"),
    (r" +", " "),
)


def masked(text: str) -> list[str]:
    for what, word in MASKED:
        text = re.sub(what, word, text)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def test_every_command_has_a_section_with_an_example() -> None:
    sections = dict(re.findall(r"^### ledger ([a-z]+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
    command = typer.main.get_command(app)
    assert list(command.commands)  # type: ignore[attr-defined]
    assert set(sections) == set(command.commands)  # type: ignore[attr-defined]
    for name, text in sections.items():
        assert f"ledger {name}" in "".join(re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL)), name


def test_the_examples_print_what_the_page_says(tmp_path: Path) -> None:
    script = re.search(r"^```python\n# shop\.py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert script is not None
    (tmp_path / "shop.py").write_text(script[1])
    commands = Path(sys.executable).parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
    env = {**kept, "PATH": f"{commands}:{kept['PATH']}", "LOGNAME": "ada"}
    subprocess.run([sys.executable, "shop.py"], cwd=tmp_path, env=env, check=True)
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        for line, told in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            done = subprocess.run(
                line, shell=True, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert masked(done.stdout) == masked(told), line
            assert done.returncode == 0, line
