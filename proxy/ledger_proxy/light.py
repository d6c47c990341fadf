"""Import this before mitmproxy: its `addons` package is registered without being run.

That package's `__init__` imports every addon there is, with flask and ldap3: half a second and some 30 MB that a
sidecar never uses. The few addons that are used are imported from it one by one, as ever.
"""

from __future__ import annotations

import importlib.util
import sys

PACKAGE = "mitmproxy.addons"


def _register() -> None:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {PACKAGE!r}", name=PACKAGE)
    # Never executed: it has a path, which is all that importing its modules needs.
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)


if PACKAGE not in sys.modules:
    _register()
