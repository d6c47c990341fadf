"""The Node shim: agents get the proxy unless they chose otherwise; a Node that is too old says so, once."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients import node
from tests.trust.conftest import SHIMS

PRELOAD = SHIMS / "node-preload.cjs"
WARNING = (
    "ledger: Node {} ignores proxy variables: its requests do not go through Ledger. "
    "Use Node 22.21 or later, or 24.5 or later.\n"
)


def run(code: str, *, requires: tuple[Path, ...] = (PRELOAD,), binary: str = "", **env: str) -> Any:
    options = " ".join(f"--require={path}" for path in requires)
    given = {"NODE_OPTIONS": options, "NODE_USE_ENV_PROXY": "1", "HTTPS_PROXY": "http://127.0.0.1:9", **env}
    return subprocess.run(
        [binary or node(), "--input-type=module", "-e", code],
        env=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def says(code: str, **env: str) -> Any:
    done = run(code, **env)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


HEAD = "import http from 'node:http'; import https, { Agent } from 'node:https'; import * as all from 'https';"


@pytest.mark.parametrize(
    ("agent", "proxied"),
    [
        ("new https.Agent()", True),
        ("new https.Agent({ keepAlive: true })", True),
        ("new http.Agent({ keepAlive: true })", True),
        ("https.Agent({ keepAlive: true })", True),
        ("new Agent()", True),
        ("new all.Agent()", True),
        ("new (class Mine extends https.Agent {})({ maxSockets: 3 })", True),
        ("new https.globalAgent.constructor()", True),
        ("new Old()", True),
        ("new https.Agent({ proxyEnv: undefined })", False),
        ("new https.Agent({ createConnection: () => {} })", False),
        ("new https.Agent({ socketPath: '/run/docker.sock' })", False),
        ("new (class Mine extends https.Agent { createConnection() {} })()", False),
        ("new (class Mine extends http.Agent { createSocket() {} })()", False),
    ],
)
def test_an_agent_gets_the_proxy_unless_it_goes_its_own_way(agent: str, proxied: bool) -> None:
    old = "function Old() { https.Agent.call(this, { keepAlive: true }) }; Old.prototype = https.Agent.prototype;"
    assert says(f"{HEAD} {old} console.log(JSON.stringify(({agent}).options.proxyEnv !== undefined))") is proxied


def test_an_agent_is_otherwise_what_it_was() -> None:
    code = """
        class Mine extends https.Agent {}
        const made = new Mine({ keepAlive: true, maxSockets: 3 });
        console.log(JSON.stringify([made instanceof Mine, made instanceof https.Agent, made instanceof http.Agent,
          made.constructor === Mine, made.maxSockets, made.keepAlive, https.Agent.name,
          https.globalAgent instanceof https.Agent, Object.getPrototypeOf(made) === Mine.prototype]))
    """
    assert says(HEAD + code) == [True, True, True, True, 3, True, "Agent", True, True]


def test_a_program_that_turned_proxies_off_is_left_alone() -> None:
    code = f"{HEAD} console.log(JSON.stringify(new https.Agent().options.proxyEnv !== undefined))"
    assert says(code, NODE_USE_ENV_PROXY="0") is False


@pytest.fixture
def pretend(tmp_path: Path) -> Any:
    """Makes a Node claim a version before the preload runs."""

    def make(version: str) -> Path:
        file = tmp_path / f"{version}.cjs"
        changed = f"{{ ...process.versions, node: '{version}' }}"
        file.write_text(f"Object.defineProperty(process, 'versions', {{ value: {changed} }});")
        return file

    return make


@pytest.mark.parametrize(
    ("version", "fine"),
    [
        ("18.20.8", False),
        ("20.20.2", False),
        ("22.20.0", False),
        ("22.21.0", True),
        ("23.11.1", False),
        ("24.4.1", False),
        ("24.5.0", True),
        ("26.0.0", True),
    ],
)
def test_a_node_that_ignores_proxy_variables_says_so(pretend: Any, version: str, fine: bool) -> None:
    done = run("console.log('ran')", requires=(pretend(version), PRELOAD))
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert done.stderr == ("" if fine else WARNING.format(version))


def test_workers_and_children_do_not_repeat_it(pretend: Any) -> None:
    code = """
        import { Worker } from 'node:worker_threads'; import { execFileSync } from 'node:child_process';
        process.stdout.write(execFileSync(process.execPath, ['-e', 'console.log("child")'], { stdio: [0, 'pipe', 2] }));
        new Worker('console.log("worker")', { eval: true });
    """
    done = run(code, requires=(pretend("20.20.2"), PRELOAD))
    assert sorted(done.stdout.split()) == ["child", "worker"]
    assert done.stderr == WARNING.format("20.20.2")


def test_workers_have_the_proxy_too() -> None:
    inside = (
        "console.log(JSON.stringify(new (process.getBuiltinModule('https').Agent)().options.proxyEnv !== undefined))"
    )
    code = f"import {{ Worker }} from 'node:worker_threads'; new Worker({json.dumps(inside)}, {{ eval: true }});"
    assert says(code) is True


def test_the_real_thing_on_a_machine_with_an_old_node() -> None:
    old = shutil.which("node")
    version = old and subprocess.run([old, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if not old or not version or int(version.lstrip("v").split(".")[0]) >= 22:
        pytest.skip("no Node before 22 on this machine")
    done = run("console.log('ran')", binary=old)
    assert (done.stdout, done.stderr) == ("ran\n", WARNING.format(version.lstrip("v")))


def test_whatever_goes_wrong_in_it_the_program_runs(tmp_path: Path) -> None:
    broken = tmp_path / "broken.cjs"
    broken.write_text("Object.freeze(require('node:https'));")
    done = run("console.log('ran')", requires=(broken, PRELOAD))
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")
