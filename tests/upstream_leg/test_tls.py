"""Whom we trust: a certificate that does not prove the host means that nothing was sent."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
import trustme

from ledger_proxy.upstream import MaybeSent, NotSent

from .conftest import request, send
from .origin import Origin, closes, ok, replies


def serving(ca: trustme.CA, *names: str, days: int = 30) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    ca.issue_cert(*names, not_before=until - datetime.timedelta(days=60), not_after=until).configure_cert(context)
    return context


async def test_a_resolved_host_keeps_its_name_in_tls_and_in_host(build, ca):
    async with Origin(ok(b"charged"), tls=serving(ca, "api.stripe.com")) as origin:
        upstream = build(resolve={("api.stripe.com", 443): ("127.0.0.1", origin.port)})
        for _ in range(2):
            answer = await send(upstream, request(443, scheme="https", host="api.stripe.com"))
            assert answer.body == b"charged"
    assert origin.names == ["api.stripe.com"]
    assert origin.connections == 1
    assert all(b"\r\nHost: api.stripe.com\r\n" in seen for seen in origin.requests)


async def test_only_the_port_that_was_named_is_resolved_and_the_port_is_part_of_host(build, ca):
    async with (
        Origin(ok(b"a"), tls=serving(ca, "api.test")) as first,
        Origin(ok(b"b"), tls=serving(ca, "api.test")) as second,
    ):
        mapping = {("api.test", 443): ("127.0.0.1", first.port), ("api.test", 8443): ("127.0.0.1", second.port)}
        upstream = build(resolve=mapping)
        assert (await send(upstream, request(443, scheme="https", host="api.test"))).body == b"a"
        assert (await send(upstream, request(8443, scheme="https", host="api.test"))).body == b"b"
    assert b"\r\nHost: api.test:8443\r\n" in second.request


async def test_an_address_can_be_resolved_elsewhere_too(build, ca):
    async with Origin(ok(b"here"), tls=serving(ca, "192.0.2.7")) as origin:
        upstream = build(resolve={("192.0.2.7", 443): ("127.0.0.1", origin.port)})
        assert (await send(upstream, request(443, scheme="https", host="192.0.2.7"))).body == b"here"


@pytest.mark.parametrize(
    ("names", "days", "why"),
    [
        (("other.test",), 30, "Hostname mismatch"),
        (("*.other.test",), 30, "Hostname mismatch"),
        (("127.0.0.1",), 30, "Hostname mismatch"),
        (("api.test",), -1, "certificate has expired"),
        (("api.test",), 90, "certificate is not yet valid"),
    ],
)
async def test_a_certificate_that_does_not_fit_means_not_sent(build, ca, names, days, why):
    async with Origin(ok(), tls=serving(ca, *names, days=days)) as origin:
        upstream = build(resolve={("api.test", 443): ("127.0.0.1", origin.port)})
        with pytest.raises(NotSent, match=rf"^api\.test:443: its certificate was refused: {why}"):
            await send(upstream, request(443, scheme="https", host="api.test"))
    assert origin.requests == []


@pytest.mark.parametrize("own_bundle", [True, False])
async def test_an_unknown_ca_means_not_sent(build, bundle, own_bundle):
    async with Origin(ok(), tls=serving(trustme.CA(), "api.test")) as origin:
        resolve = {("api.test", 443): ("127.0.0.1", origin.port)}
        upstream = build(resolve=resolve, ca_bundle=bundle if own_bundle else None)
        with pytest.raises(NotSent, match="its certificate was refused"):
            await send(upstream, request(443, scheme="https", host="api.test"))
    assert origin.requests == []


async def test_an_origin_that_speaks_no_tls_means_not_sent(upstream):
    async with Origin(ok(), greeting=replies(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as origin:
        with pytest.raises(NotSent, match=r"^127\.0\.0\.1:\d+: no TLS connection: "):
            await send(upstream, request(origin.port, scheme="https"))
    assert origin.requests == []


async def test_a_connection_lost_after_the_handshake_is_maybe_sent(upstream, ca):
    async with Origin(closes(), tls=serving(ca, "127.0.0.1")) as origin:
        with pytest.raises(MaybeSent):
            await send(upstream, request(origin.port, "PUT", scheme="https"))
    assert len(origin.requests) == 1


@pytest.mark.parametrize("content", [None, "no certificate in here"])
async def test_a_bundle_that_cannot_be_used_is_named_in_one_line(build, tmp_path: Path, content):
    path = tmp_path / "roots.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=r"^upstream CA file .*roots\.pem: [^\n]+$"):
        build(ca_bundle=path)
