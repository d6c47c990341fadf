"""An upstream that does not prove who it is gets no request, ruled or not.

A revoked certificate is not among them: revocation is not asked about, as most clients do not (docs/security.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.wire.bad_certificates import GOOD, Shop, open_shop
from tests.wire.sidecars import Sidecar, launch

RULES = """
version: 1
rules: [{name: orders, match: {method: POST, url: "https://*.test/orders"}}]
"""
BAD = (
    "expired",
    "not-yet-valid",
    "wrong-host",
    "self-signed",
    "unknown-ca",
    "weak-key",
    "weak-signature",
    "missing-intermediate",
    "name-only-as-subject",
    "for-clients-only",
    "expired-intermediate",
    "beyond-constraints",
)


@dataclass
class Stage:
    shop: Shop
    sidecar: Sidecar

    def asks(self, host: str) -> tuple[httpx.Response, httpx.Response]:
        """The answers to a ruled request and to one that no rule names."""
        with self.sidecar.client() as client:
            return client.post(f"https://{host}/orders", json={"n": 1}), client.get(f"https://{host}/other")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("shop")) as opened:
        yield opened


def started(folder: Path, shop: Shop, *more: object) -> Sidecar:
    folder.mkdir(exist_ok=True)
    (folder / "ledger.yaml").write_text(RULES)
    shop.asked.clear()
    trust = ("--upstream-ca", shop.ca_file)
    return launch(folder, folder / "ledger.yaml", None, *shop.resolves(), *trust, *more)


@pytest.fixture(scope="module")
def stage(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    sidecar = started(tmp_path_factory.mktemp("s"), shop)
    yield Stage(shop, sidecar)
    sidecar.stop()


def test_the_good_one_is_asked_so_the_bad_ones_would_be(stage: Stage) -> None:
    ruled, other = stage.asks(GOOD)
    assert (ruled.status_code, ruled.headers["Ledger-Outcome"], other.status_code) == (200, "executed", 200)
    assert stage.shop.asked[GOOD] == 2


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_one_is_asked_nothing(stage: Stage, kind: str) -> None:
    host = f"{kind}.test"
    ruled, other = stage.asks(host)
    assert (ruled.status_code, ruled.headers.get("Ledger-Outcome")) == (502, "failed")
    assert other.status_code == 502
    assert stage.shop.asked[host] == 0
    (record,) = (record for record in stage.sidecar.records() if host in record["url"])
    assert record["status"] == "failed"
    assert "certificate" in record["error"]


def test_every_kind_was_tried(shop: Shop) -> None:
    assert {f"{kind}.test" for kind in BAD} | {GOOD} == set(shop.hosts)
