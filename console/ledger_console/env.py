"""`ledger env`: the variables that take an agent, started elsewhere, through a running `ledger proxy`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from ledger_console import options, rulesfiles, screen
from ledger_console.extra import needs_extra
from ledger_console.problems import USAGE, Problem
from ledger_console.sidecar import LISTEN, CaDir, default_ca_dir, parse_listen


class Form(StrEnum):
    """For whom the variables are written."""

    SH = "sh"
    FISH = "fish"
    POWERSHELL = "powershell"
    DOTENV = "dotenv"
    DOCKER = "docker"


For = Annotated[Form, typer.Option("--for", help="Whose syntax.")]
At = Annotated[str, typer.Option("--proxy", metavar="HOST:PORT", help="Where the sidecar listens.")]


def env(
    form: For = Form.SH,
    proxy: At = LISTEN,
    rules: options.Rules = None,
    ca_dir: CaDir = None,
    workflow: options.Workflow = None,
    caller: options.RunCaller = None,
) -> None:
    """Print the variables that an agent needs to go through a running sidecar and to trust it.

    A workflow goes along in the proxy's URL, as its user; the caller is its password, without which some clients send
    neither (default: agent).

    \b
    Examples:
      eval "$(ledger env)"
      eval "$(ledger env --workflow order-42 --caller agent-A)"
      ledger env --for fish | source
      ledger env --for dotenv --proxy 127.0.0.1:8080 > agent.env
    """
    host, port = parse_listen(proxy, "--proxy")
    needs_extra("env")
    if port == 0:
        raise Problem("--proxy needs the port that the sidecar said it listens on", USAGE)
    from ledger_rules.request import place

    workflow = workflow or os.environ.get("LEDGER_WORKFLOW")
    url = f"http://{_user(workflow, caller)}{place(host, port)}"
    for name, value in sorted(_variables(url, rules, ca_dir, workflow).items()):
        screen.line(_FORMS[form](name, value))


def _user(workflow: str | None, caller: str | None) -> str:
    """What the agent's requests say of themselves, as a URL has it."""
    if workflow is None:
        if caller is not None:
            raise Problem(
                "--caller needs --workflow: they go along in the proxy's URL, as its user and password", USAGE
            )
        return ""
    if ":" in workflow:
        raise Problem(f"the workflow '{workflow}' has a colon, which a proxy's user cannot have; use another", USAGE)
    return f"{quote(workflow, safe='')}:{quote(caller or 'agent', safe='')}@"


def _variables(url: str, rules: str | None, ca_dir: str | None, workflow: str | None) -> dict[str, str]:
    from ledger_proxy.ca import ensure_ca
    from ledger_proxy.child_env import SHIMS, child_environment

    ca = ensure_ca(Path(ca_dir).expanduser().absolute() if ca_dir else default_ca_dir())
    hosts = rulesfiles.load(rules)[1].hosts()
    wanted = child_environment(os.environ, url, ca, SHIMS, ruled_hosts=hosts)
    # Also what is set here already: the agent may be started somewhere else.
    always = child_environment({}, url, ca, SHIMS, ruled_hosts=hosts)
    if workflow is not None:
        wanted["LEDGER_WORKFLOW"] = always["LEDGER_WORKFLOW"] = workflow
    return {name: value for name, value in wanted.items() if name in always or os.environ.get(name) != value}


def _fish(name: str, value: str) -> str:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{quoted}'"


def _powershell(name: str, value: str) -> str:
    quoted = value.replace("'", "''")
    return f"$env:{name} = '{quoted}'"


def _dotenv(name: str, value: str) -> str:
    """Double quotes, as Docker Compose and the dotenv libraries read them."""
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'{name}="{quoted}"'


_FORMS: Mapping[Form, Callable[[str, str], str]] = {
    Form.SH: lambda name, value: f"export {name}={shlex.quote(value)}",
    Form.FISH: _fish,
    Form.POWERSHELL: _powershell,
    Form.DOTENV: _dotenv,
    # `docker run --env-file` takes everything after the = as it is.
    Form.DOCKER: lambda name, value: f"{name}={value}",
}
