"""What a stranger installs: the wheel holds the four packages and all that they read, the source archive what the
README leads to, and neither anything else.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("ledger_core/ledger", "rules/ledger_rules", "proxy/ledger_proxy", "console/ledger_console")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    uv = ROOT / ".tools/bin/uv"
    if not uv.exists():
        pytest.skip("there is no uv in .tools: `make` puts it there")
    folder = tmp_path_factory.mktemp("dist")
    # Its own settings only, except where packages come from.
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    made = subprocess.run(
        [uv, "build", "--quiet", "--out-dir", folder, ROOT],
        capture_output=True, text=True, check=False, timeout=240, env=env,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> dict[str, bytes]:
    (file,) = built.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def source(built: Path) -> dict[str, bytes]:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        read = ((member.name.partition("/")[2], archive.extractfile(member)) for member in members)
        return {name: stream.read() for name, stream in read if stream is not None}


def _tracked(*folders: str) -> set[str]:
    listed = subprocess.run(["git", "ls-files", "--", *folders], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no checkout, so nobody says which files are the project's")
    return set(listed.stdout.splitlines())


def test_the_wheel_has_every_file_of_the_packages_and_no_other(wheel: dict[str, bytes]) -> None:
    files = {name for name in wheel if ".dist-info/" not in name}
    assert files == {name.partition("/")[2] for name in _tracked(*PACKAGES)}
    assert {f"{package.partition('/')[2]}/py.typed" for package in PACKAGES} <= files


def test_the_wheel_says_what_it_is_and_what_it_needs(wheel: dict[str, bytes]) -> None:
    (about,) = (content.decode() for name, content in wheel.items() if name.endswith("/METADATA"))
    told = message_from_string(about)
    assert (told["Name"], told["License-Expression"], told["License-File"]) == ("ledger-sidecar", "MIT", "LICENSE")
    assert told["Description-Content-Type"] == "text/markdown"
    extras = told.get_all("Provides-Extra")
    assert extras == ["all", "proxy"]
    base = [need for need in told.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert not [need for need in base if need.startswith(("mitmproxy", "cryptography"))]
    (commands,) = (content.decode() for name, content in wheel.items() if name.endswith("/entry_points.txt"))
    assert "ledger = ledger_console.__main__:run" in commands
    assert "ledger-dashboard = ledger_console.dashboard.command:main" in commands


def test_the_source_archive_has_what_the_readme_leads_to(source: dict[str, bytes]) -> None:
    named = re.findall(r"\]\((?!https?://|#)([^)#]+)", source["README.md"].decode())
    assert len(named) > 10
    assert [name for name in named if name not in source] == []
    known = _tracked() | {"PKG-INFO"}
    assert [name for name in source if name not in known] == []


def test_nothing_of_this_machine_is_in_either(wheel: dict[str, bytes], source: dict[str, bytes]) -> None:
    here = str(ROOT).encode()
    assert [name for files in (wheel, source) for name, content in files.items() if here in content] == []
