"""llms.txt and CLAUDE.md: what they tell coding assistants exists, with these parameters."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ledger
from ledger import Guard, settings

ROOT = Path(__file__).parents[2]
FILES = ["llms.txt", "CLAUDE.md"]


def text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def code(file: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text(file).replace("\n", " "))


@pytest.mark.parametrize("file", FILES)
def test_every_method_and_its_parameters_exist(file: str) -> None:
    for said in code(file):
        for owner, name, arguments in re.findall(r"\b(guard|Guard)\.(\w+)(?:\(([^()]*(?:\([^()]*\))?[^()]*)\))?", said):
            method = getattr(Guard, name)
            assert owner == "guard" or inspect.ismethod(method), f"{said}: Guard.{name} is for instances"
            parameters = inspect.signature(method).parameters
            if name == "once":
                parameters = {**inspect.signature(Guard.policy).parameters, "blocked_return": None}
            for given in re.findall(r"(?:^|, )(\w+)=", arguments):
                assert given in parameters, said


@pytest.mark.parametrize("file", FILES)
def test_every_class_and_variable_exists(file: str) -> None:
    told = " ".join(code(file))
    for name in set(re.findall(r"\b_?[A-Z][a-z]+(?:[A-Z][a-z]+)*\b", told)) - {"None", "True", "False", "TimeoutError"}:
        assert hasattr(ledger, name), name
    for name in set(re.findall(r"\bLEDGER_[A-Z]+\b", told)):
        assert name in Path(settings.__file__).read_text(), name


@pytest.mark.parametrize("file", FILES)
def test_every_file_it_points_to_is_there(file: str) -> None:
    links = re.findall(r"\]\(([^)]+)\)", text(file))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_command_exists() -> None:
    commands = set(re.findall(r"`ledger (\w+)", text("llms.txt") + text("CLAUDE.md")))
    assert commands >= {"run", "show", "resolve"}
    told = subprocess.run(
        [sys.executable, "-m", "ledger_console", "--help"], capture_output=True, encoding="utf-8", check=True
    ).stdout
    for command in commands:
        assert re.search(rf"\b{command}\b", told), command


def test_every_public_method_is_told() -> None:
    told = text("llms.txt")
    for name, value in vars(Guard).items():
        if not name.startswith("_") and (callable(value) or isinstance(value, classmethod)):
            assert f".{name}" in told, name
    for name in inspect.signature(Guard.policy).parameters:
        assert name in ("self", "tool") or f"{name}=" in told, name
