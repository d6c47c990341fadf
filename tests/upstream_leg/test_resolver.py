"""What `--resolve` takes."""

from __future__ import annotations

import pytest

from ledger_proxy.resolver import parse_resolve, parse_resolves


@pytest.mark.parametrize(
    ("text", "named", "reached"),
    [
        ("api.stripe.com:443:127.0.0.1:9443", ("api.stripe.com", 443), ("127.0.0.1", 9443)),
        ("API.Stripe.com:443:localhost:9443", ("api.stripe.com", 443), ("localhost", 9443)),
        ("h:443:[::1]:9443", ("h", 443), ("::1", 9443)),
        ("[2001:DB8::1]:443:10.0.0.1:1", ("2001:db8::1", 443), ("10.0.0.1", 1)),
    ],
)
def test_reads_host_port_address_port(text, named, reached):
    assert parse_resolve(text) == (named, reached)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.stripe.com",
        "api.stripe.com:443",
        "api.stripe.com:443:127.0.0.1",
        "api.stripe.com:443:::1:9443",
        ":443:127.0.0.1:1",
        "h:443:127.0.0.1:",
        "h:٤٤٣:127.0.0.1:1",
        "https://h:443:127.0.0.1:1",
        "h:443:127.0.0.1:1:2",
        "u@h:443:127.0.0.1:1",
    ],
)
def test_anything_else_is_told_how_to_write_it_in_one_line(text):
    with pytest.raises(ValueError, match=r"^--resolve .*: write HOST:PORT:ADDR:PORT.*brackets$"):
        parse_resolve(text)


@pytest.mark.parametrize("port", ["0", "65536", "99999999999"])
def test_a_port_out_of_range_is_named(port):
    with pytest.raises(ValueError, match=f"{port} is not a port"):
        parse_resolve(f"h:443:127.0.0.1:{port}")


def test_several_make_one_mapping_and_a_contradiction_is_refused():
    same = ["a:443:127.0.0.1:1", "b:443:127.0.0.1:2", "A:443:127.0.0.1:1"]
    assert parse_resolves(same) == {("a", 443): ("127.0.0.1", 1), ("b", 443): ("127.0.0.1", 2)}
    with pytest.raises(ValueError, match="a:443 is already sent somewhere else"):
        parse_resolves([*same, "a:443:127.0.0.1:3"])
