"""What is installed: the dashboard's templates and static files are in the wheel, and both commands are."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = "console/ledger_console/dashboard"


def test_the_wheel_has_every_file_of_the_dashboard(tmp_path: Path) -> None:
    uv = ROOT / ".tools/bin/uv"
    if not uv.exists():
        pytest.skip("there is no uv in .tools: `make` puts it there")
    # Its own settings only, except where packages come from.
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    command = [uv, "build", "--wheel", "--quiet", "--out-dir", tmp_path, ROOT]
    made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env)
    assert made.returncode == 0, made.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entries,) = (name for name in names if name.endswith("entry_points.txt"))
        commands = archive.read(entries).decode()
    sources = (p for kind in ("templates", "static") for p in (ROOT / HERE / kind).iterdir())
    expected = {str(p.relative_to(ROOT / "console")) for p in sources}
    assert len(expected) > 10
    assert expected <= names
    assert "ledger-dashboard = ledger_console.dashboard.command:main" in commands
