"""The Python shim: runs anywhere, keeps the user's own, patches late, and gives way to what a program chose."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.trust.conftest import SHIMS

OLDER = ("3.8", "3.9", "3.10", "3.11", "3.12")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder for the user's own modules, and a bundle."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "bundle.pem").write_text("roots")
    return tmp_path


def run(
    home: Path, code: str, *, python: str = sys.executable, shims: bool = True, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a program with the user's folder on the path, after ours."""
    path = [str(SHIMS)] * shims + [str(home / "mine")]
    given = {
        "PYTHONPATH": os.pathsep.join(path),
        "LEDGER_CA_BUNDLE": str(home / "bundle.pem"),
        "PYTHONWARNINGS": "error",
    }
    words = [python, "-c", dedent(code)]
    return subprocess.run(words, env={**given, **env}, capture_output=True, text=True, timeout=60, check=False)


def says(home: Path, code: str, **kw: str) -> str:
    done = run(home, code, **kw)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def module(home: Path, name: str, code: str) -> None:
    file = home / "mine" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(code))


class TestTheUsersOwn:
    def test_runs_once_and_is_the_module_of_that_name(self, home: Path) -> None:
        module(home, "sitecustomize.py", "print('mine'); GREETING = 'hello'")
        assert says(home, "import sitecustomize; print(sitecustomize.GREETING)") == "mine\nhello"

    @pytest.mark.parametrize("code", ["1 / 0", "import no_such_thing", "def broken(:"])
    def test_its_errors_are_reported_as_python_does(self, home: Path, code: str) -> None:
        module(home, "sitecustomize.py", code)
        with_ours, without = (run(home, "print('ran on')", shims=shims) for shims in (True, False))
        assert (with_ours.returncode, with_ours.stdout, with_ours.stderr) == (
            without.returncode,
            without.stdout,
            without.stderr,
        )

    def test_it_may_end_the_program(self, home: Path) -> None:
        module(home, "sitecustomize.py", "raise SystemExit('enough')")
        done = run(home, "print('ran on')")
        assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (1, "", "SystemExit: enough")

    def test_without_one_nothing_happens(self, home: Path) -> None:
        assert says(home, "print('ran')") == "ran"

    def test_another_tool_that_chains_before_us_does_not_go_round_in_circles(self, home: Path) -> None:
        """As ddtrace-run does: its folder stands first, and its sitecustomize imports the next one."""
        module(home, "sitecustomize.py", "print('mine')")
        (home / "tool").mkdir()
        (home / "tool" / "sitecustomize.py").write_text(
            "import sys, os; here = os.path.dirname(__file__); sys.path.remove(here)\n"
            "del sys.modules['sitecustomize']; import sitecustomize\nsys.path.insert(0, here); print('tool')"
        )
        path = os.pathsep.join(map(str, (home / "tool", SHIMS, home / "mine")))
        assert says(home, "print('ran')", PYTHONPATH=path) == "mine\ntool\nran"


class TestStripe:
    def test_trusts_our_bundle_as_soon_as_it_is_imported(self, home: Path) -> None:
        assert says(home, "import stripe; print(stripe.ca_bundle_path)") == str(home / "bundle.pem")

    def test_also_by_way_of_a_submodule(self, home: Path) -> None:
        code = "from stripe.checkout import Session; import stripe; print(stripe.ca_bundle_path)"
        assert says(home, code) == str(home / "bundle.pem")

    def test_also_if_the_users_sitecustomize_imports_it(self, home: Path) -> None:
        module(home, "sitecustomize.py", "import stripe")
        assert says(home, "import stripe; print(stripe.ca_bundle_path)") == str(home / "bundle.pem")

    def test_but_what_the_program_assigns_stays(self, home: Path) -> None:
        code = (
            "import stripe; stripe.ca_bundle_path = '/mine.pem'; import stripe.checkout; print(stripe.ca_bundle_path)"
        )
        assert says(home, code) == "/mine.pem"

    def test_is_not_imported_by_being_looked_for(self, home: Path) -> None:
        code = """
            import importlib.util, sys
            spec = importlib.util.find_spec("stripe")
            print(spec.name, type(spec.loader).__name__, "stripe" in sys.modules)
        """
        assert says(home, code) == "stripe SourceFileLoader False"


class TestCertifi:
    def test_names_our_bundle_to_everyone(self, home: Path) -> None:
        code = """
            import certifi, certifi.core
            from certifi import where
            print(certifi.where(), where(), certifi.core.where(), certifi.contents(), sep="\\n")
        """
        assert says(home, code).split("\n") == [str(home / "bundle.pem")] * 3 + ["roots"]


class TestAiohttp:
    @pytest.mark.parametrize(
        ("session", "trusts"),
        [
            ("aiohttp.ClientSession()", True),
            ("aiohttp.ClientSession('https://api.example.test', raise_for_status=True)", True),
            ("aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))", True),
            ("aiohttp.ClientSession(trust_env=False)", False),
            ("aiohttp.ClientSession(trust_env=True)", True),
            ("aiohttp.ClientSession(connector=aiohttp.UnixConnector('/run/docker.sock'))", False),
            ("aiohttp.ClientSession(connector=OwnWay())", False),
            ("aiohttp.ClientSession(connector=OnlyLimits())", True),
        ],
    )
    def test_goes_by_the_variables_unless_the_program_chose(self, home: Path, session: str, trusts: bool) -> None:
        code = f"""
            import aiohttp, asyncio
            class OwnWay(aiohttp.TCPConnector):
                async def _wrap_create_connection(self, *a, **k): raise OSError
            class OnlyLimits(aiohttp.TCPConnector):
                def __init__(self): super().__init__(limit=1)
            async def main():
                async with {session} as session: print(session.trust_env)
            asyncio.run(main())
        """
        assert says(home, code) == str(trusts)


class TestTrouble:
    def test_a_bundle_that_is_gone_costs_one_line_and_not_the_program(self, home: Path) -> None:
        done = run(home, "import stripe; print('ran')", LEDGER_CA_BUNDLE="/gone.pem")
        assert (done.returncode, done.stdout) == (0, "ran\n")
        assert done.stderr.endswith(" could not be set up to go through Ledger: LEDGER_CA_BUNDLE names no file\n")
        assert done.stderr.count("\n") == 1

    def test_a_library_of_another_make_runs_on(self, home: Path) -> None:
        module(home, "aiohttp.py", "VERSION = 99")
        done = run(home, "import aiohttp; print(aiohttp.VERSION)")
        assert (done.returncode, done.stdout) == (0, "99\n")
        assert done.stderr.startswith("ledger: aiohttp could not be set up")

    def test_an_import_that_fails_fails_as_ever(self, home: Path) -> None:
        module(home, "stripe.py", "raise RuntimeError('no stripe today')")
        code = "try:\n    import stripe\nexcept RuntimeError as error:\n    print(error)"
        assert says(home, code) == "no stripe today"


@pytest.mark.parametrize("version", OLDER)
def test_runs_on_every_python_from_3_8(home: Path, version: str) -> None:
    python = _python(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    module(home, "stripe/__init__.py", "ca_bundle_path = 'its own'")
    module(home, "stripe/checkout.py", "")
    module(home, "sitecustomize.py", "print('mine')")
    code = "import stripe.checkout; print(stripe.ca_bundle_path)"
    assert says(home, code, python=python).split("\n") == ["mine", str(home / "bundle.pem")]


def _python(version: str) -> str | None:
    """Find an interpreter: pyenv's commands of that name fail unless the version is switched on."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [*map(str, pyenv.glob(f"versions/{version}.*/bin/python")), shutil.which(f"python{version}")]
    return next((path for path in found if path), None)


def test_nothing_of_ledger_and_nothing_slow_is_imported(home: Path) -> None:
    code = "import sys; print(sorted(m for m in sys.modules if m.split('.')[0] in BAD))"
    bad = "BAD = {'ledger', 'ledger_proxy', 'typing', 'ssl', 'stripe', 'aiohttp', 'certifi', 'asyncio'}; "
    assert says(home, bad + code) == "[]"
