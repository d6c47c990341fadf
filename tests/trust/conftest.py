"""One CA, one upstream and one intercepting proxy for all real clients."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

import ledger_proxy
from ledger_proxy.ca import CA, ensure_ca
from ledger_proxy.child_env import child_environment
from tests.trust import stand_in

SHIMS = Path(ledger_proxy.__file__).parent / "shims"


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> CA:
    return ensure_ca(tmp_path_factory.mktemp("trust") / "ca", days=7)


@pytest.fixture(scope="session")
def proxy_url(ca: CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("upstream") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    with stand_in.upstream(authority) as port, stand_in.mitmdump(ca, port, file) as url:
        yield url


@pytest.fixture(scope="session")
def child(ca: CA, proxy_url: str) -> dict[str, str]:
    """The environment of a child under `ledger run`."""
    return child_environment(os.environ, proxy_url, ca, SHIMS, ruled_hosts=stand_in.NAMES)
