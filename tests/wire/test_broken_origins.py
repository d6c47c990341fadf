"""An origin that breaks while no rule is meant: its client sees what it would have seen without Ledger."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.raw import HOST, Origin, ask, direct, recorder, through
from tests.wire.sidecars import Sidecar, running_for

RULES = f'rules: [{{name: ruled, match: {{method: POST, url: "https://{HOST}/ruled/**"}}}}]'
MOMENTS = ("early", "before", "in-head", "in-body", "in-chunk", "after-interim")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Origin, Sidecar]]:
    folder: Path = tmp_path_factory.mktemp("broken")
    with recorder(folder / "origin") as origin, running_for(folder / "s", origin, RULES) as sidecar:
        yield origin, sidecar


def told(connection: socket.socket, path: str) -> tuple[int, bytes, bool] | str:
    """Status, as much of the body as came, and whether it was whole; or that the client was hung up on."""
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2\r\n\r\n".encode()
    try:
        answer = ask(connection, head + b"{}")
    except ConnectionError:
        return "hung up"
    return answer.status, answer.body, answer.whole


@pytest.mark.parametrize("when", MOMENTS)
@pytest.mark.parametrize("how", ["reset", "end", "half-close"])
def test_an_unruled_client_sees_it_break_as_it_broke(world: tuple[Origin, Sidecar], how: str, when: str) -> None:
    origin, sidecar = world
    with direct(origin) as connection:
        wanted = told(connection, f"/free/direct/{how}-{when}")
    with through(sidecar) as connection:
        assert told(connection, f"/free/through/{how}-{when}") == wanted
    assert sidecar.records() == []
    if when != "early":
        assert len(origin.requests(f"/free/through/{how}-{when} ".encode())) == 1
