"""Fixtures of the upstream leg: servers that misbehave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trustme

from ledger_proxy.upstream import AiohttpUpstream, Answer
from ledger_rules.request import Request

type Build = Callable[..., AiohttpUpstream]


@pytest.fixture
async def build(bundle: Path) -> AsyncIterator[Build]:
    """Build upstreams that trust only our own CA, if nothing else is said, and are closed when the test ends."""
    built: list[AiohttpUpstream] = []

    def make(**options: object) -> AiohttpUpstream:
        built.append(AiohttpUpstream(**{"resolve": {}, "ca_bundle": bundle, **options}))
        return built[-1]

    yield make
    for upstream in built:
        await upstream.close()


@pytest.fixture
async def upstream(build: Build) -> AiohttpUpstream:
    return build()


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def bundle(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return path


def request(port: int, method: str = "POST", target: str = "/v1/charges", **fields: object) -> Request:
    base = {"scheme": "http", "host": "127.0.0.1", "headers": (), "body": b""}
    return Request(method=method, target=target, port=port, **{**base, **fields})


async def send(upstream: AiohttpUpstream, req: Request, *, resendable: bool = False) -> Answer:
    """The whole answer, be it streamed or not."""
    answer = await upstream.send(req, headers=req.headers, resendable=resendable)
    if isinstance(answer, Answer):
        return answer
    parts = []
    while piece := await answer.body.read():
        parts.append(piece)
    return Answer(answer.status, answer.reason, answer.headers, b"".join(parts))
