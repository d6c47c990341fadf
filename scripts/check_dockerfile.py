"""Runs the Dockerfile's install steps without a container engine, and holds the image to its rules.

The build stage is played in a temporary folder: a fresh virtual environment stands for the base image, COPY copies,
RUN runs, ENV is set. Then the image's command is started from what was installed, with nothing else on its path.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
BUILD_TOOLS = ("pip install", "uv ", "apt-get", "apk ", "gcc", "make", "curl", "wget")
NOT_IN_THE_IMAGE = ("pytest", "ruff", "mypy", "stripe", "localstripe")


class Step(NamedTuple):
    """One instruction of the Dockerfile."""

    word: str
    rest: str


class Failed(Exception):
    """What is wrong with the Dockerfile, in one line."""


def stages(text: str) -> list[list[Step]]:
    """The instructions of each stage, comments dropped and continued lines joined."""
    plain = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    steps = [Step(*line.split(maxsplit=1)) for line in plain.splitlines() if line.strip()]
    starts = [n for n, step in enumerate(steps) if step.word == "FROM"]
    return [steps[a:b] for a, b in zip(starts, [*starts[1:], len(steps)], strict=True)]


@dataclass
class Sandbox:
    """A folder that stands for the build container: `/x` is `root/x`, and Python comes from a bare environment."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: Path = Path()

    def __post_init__(self) -> None:
        local = self.root / "usr" / "local"
        venv.create(local, with_pip=True)
        ours = ("PYTHON", "VIRTUAL_ENV", "UV_PROJECT", "UV_PYTHON")
        outside = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.env = outside | {"PATH": f"{local}/bin:/usr/bin:/bin"}

    def inside(self, path: str) -> Path:
        """Where a path of the container is here."""
        return self.root / path.lstrip("/") if path.startswith("/") else self.workdir / path

    def play(self, step: Step) -> None:
        """Do what the instruction says; one this does not know is an error, never skipped."""
        match step.word:
            case "FROM":
                pass
            case "ENV":
                self.env |= dict(self._settings(step.rest))
            case "WORKDIR":
                self.workdir = self.inside(step.rest)
                self.workdir.mkdir(parents=True, exist_ok=True)
            case "COPY":
                self._copy(*shlex.split(step.rest))
            case "RUN":
                self.run("sh", "-ec", step.rest, cwd=self.workdir)
            case _:
                raise Failed(f"{step.word} in the build stage: teach scripts/check_dockerfile.py to play it")

    def run(self, *command: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
        """Its stdout; Failed with the last lines of stderr when it fails."""
        done = subprocess.run(  # noqa: S603  (our own Dockerfile)
            command, cwd=cwd, env=env or self.env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Failed(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr.strip()[-2000:]}")
        return done.stdout

    def _settings(self, rest: str) -> Iterator[tuple[str, str]]:
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            yield name, str(self.inside(value)) if value.startswith("/") else value

    def _copy(self, *names: str) -> None:
        *sources, target = names
        for source in map(ROOT.joinpath, sources):
            place = self.inside(target)
            if source.is_dir():
                shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, place / source.name if place.is_dir() else place)


def check_final(final: list[Step]) -> None:
    """Not root, nothing installed or compiled, exec form (a shell would swallow SIGTERM)."""
    users = [step.rest for step in final if step.word == "USER"]
    if not users or not re.match(r"[1-9]\d*(:[1-9]\d*)?$", users[-1]):
        raise Failed("the final stage must end as a numeric user that is not root")
    for step in final:
        if step.word == "RUN" and any(tool in step.rest for tool in BUILD_TOOLS):
            raise Failed(f"build tools in the final stage: {step.rest}")
        if step.word in ("ENTRYPOINT", "CMD") and not step.rest.startswith("["):
            raise Failed(f"{step.word} must be a JSON list")


def check_pins(text: str) -> None:
    """One version of uv in the whole repository."""
    in_image = re.search(r"uv==(\S+)", text)
    in_bootstrap = re.search(r"^uv_version=(\S+)", (ROOT / "scripts" / "bootstrap").read_text(), re.MULTILINE)
    if not in_image or not in_bootstrap or in_image[1] != in_bootstrap[1]:
        raise Failed("Dockerfile and scripts/bootstrap must pin the same uv")


def check_installed(box: Sandbox, final: list[Step]) -> None:
    """The command answers from the installed environment alone, and no development package came along."""
    installed = box.inside("/opt/ledger")
    site = next(installed.glob("lib/python3*/site-packages"))
    extra = [name for name in NOT_IN_THE_IMAGE if (site / name).exists()]
    if extra:
        raise Failed(f"development packages in the image: {', '.join(extra)}")
    words = {step.word: json.loads(step.rest) for step in final if step.word in ("ENTRYPOINT", "CMD")}
    [command], [subcommand, *options] = words["ENTRYPOINT"], words["CMD"]
    bare = {"PATH": str(installed / "bin"), "HOME": str(box.root), "COLUMNS": "200"}
    told = box.run(str(installed / "bin" / command), subcommand, "--help", cwd=box.root, env=bare)
    missing = [option for option in options if option.startswith("--") and option not in told]
    if missing:
        raise Failed(f"`{command} {subcommand}` knows no {', '.join(missing)}")


def main() -> int:
    """One line, and 0 when the Dockerfile holds."""
    text = (ROOT / "Dockerfile").read_text()
    build, final = stages(text)
    try:
        check_pins(text)
        check_final(final)
        with tempfile.TemporaryDirectory(prefix="ledger-image-") as folder:
            box = Sandbox(Path(folder))
            for step in build:
                box.play(step)
            check_installed(box, final)
    except Failed as failed:
        print(f"Dockerfile: {failed}", file=sys.stderr)
        return 1
    print("Dockerfile: installs in a clean environment, and its command answers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
