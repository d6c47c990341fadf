"""Runs at the start of every Python under `ledger run`, of any version from 3.8 and in its own environment.

Makes the libraries that go by no variable use Ledger. Nothing of Ledger is imported here, and nothing is patched
before the program itself imports it. Whatever goes wrong in here, the program runs on.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself would cost every start some milliseconds
    from collections.abc import Callable
    from typing import Any


def _stripe(module: Any) -> None:
    # stripe verifies against a bundle of its own. It reads this name per request, or when a client is made; what
    # the program assigns later wins.
    module.ca_bundle_path = _bundle()


def _razorpay(module: Any) -> None:
    # So does razorpay, and each client has its own; what the program assigns to it later wins.
    import functools

    original = module.Client.__init__

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.cert_path = _bundle()

    module.Client.__init__ = __init__


def _certifi(module: Any) -> None:
    # Many libraries ask certifi for its file and mean "the usual roots", which our bundle holds too.
    bundle = _bundle()

    def where() -> str:
        """Return the file of roots."""
        return bundle

    def contents() -> str:
        """Return the text of the file of roots."""
        with open(bundle, encoding="ascii") as file:
            return file.read()

    holders: tuple[Any, ...] = (module, sys.modules.get("certifi.core"))
    for holder in holders:
        if holder is not None:
            holder.where, holder.contents = where, contents


def _aiohttp(module: Any) -> None:
    # aiohttp reads the proxy variables only where trust_env is set. It then also reads ~/.netrc, as requests and
    # httpx do by default.
    import functools

    session, plain = module.ClientSession, module.TCPConnector
    original = session.__init__

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if "trust_env" not in kwargs and _connects_as_usual(kwargs.get("connector"), plain):
            kwargs["trust_env"] = True
        original(self, *args, **kwargs)

    session.__init__ = __init__


def _connects_as_usual(connector: Any, plain: type[Any]) -> bool:
    """False for a connector with a way of its own: a Unix socket, a SOCKS proxy."""
    if connector is None:
        return True
    ways = ("connect", "_create_connection", "_create_direct_connection", "_wrap_create_connection")
    kind = type(connector)
    return isinstance(connector, plain) and all(getattr(kind, w, None) is getattr(plain, w, None) for w in ways)


_PATCHES: dict[str, Callable[[Any], None]] = {
    "stripe": _stripe,
    "razorpay.client": _razorpay,
    "certifi": _certifi,
    "aiohttp": _aiohttp,
}


def _bundle() -> str:
    path = os.environ.get("LEDGER_CA_BUNDLE", "")
    if not os.path.isfile(path):
        raise LookupError("LEDGER_CA_BUNDLE names no file")
    return path


def _apply(module: Any) -> None:
    try:
        _PATCHES[module.__name__](module)
    except Exception as error:  # a version that differs: its requests may then fail, the program must not
        _say_once(f"{module.__name__} could not be set up to go through Ledger: {error}")


def _say_once(line: str) -> None:
    if not _said and sys.stderr is not None:
        _said.append(line)
        sys.stderr.write(f"ledger: {line}\n")


_said: list[str] = []


class _AfterImport:
    """Finds nothing itself; makes what the other finders found call back once it was executed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in _PATCHES:
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = None if finder is self or find is None else find(name, path, target)
            if spec is not None:
                _follow(name, spec.loader)
                return spec
        return None


def _follow(name: str, loader: Any) -> None:
    """Shadow exec_module on this one loader, so that its type and all else it offers stay as they are."""
    execute = getattr(loader, "exec_module", None)
    if execute is None:
        return

    def exec_module(module: Any) -> None:
        execute(module)
        if module.__name__ == name:  # some loaders serve several modules
            _apply(module)

    try:
        loader.exec_module = exec_module
    except (AttributeError, TypeError):
        return


def _install() -> None:
    for name in _PATCHES:
        if name in sys.modules:  # a .pth file was faster
            _apply(sys.modules[name])
    sys.meta_path.insert(0, _AfterImport())


def _run_the_users() -> None:
    """Run the sitecustomize that this one hides. Its errors pass through: Python reports them as it always does.

    Only what comes later on the path can be hidden; others that stand before us have run, and led here.
    """
    here = os.path.dirname(os.path.realpath(__file__))
    places = [os.path.realpath(entry or os.curdir) for entry in sys.path]
    if here not in places:
        return
    after = [sys.path[i] for i in range(places.index(here) + 1, len(places)) if places[i] != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", after)
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec

    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_install()
_run_the_users()
