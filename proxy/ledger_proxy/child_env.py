"""The environment that takes an unchanged child through Ledger and makes it trust Ledger's CA. Reads, never writes."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from ledger.errors import LedgerError
from ledger_proxy.ca import CA
from ledger_proxy.chaining import parse_proxy
from ledger_proxy.no_proxy import kept

SHIMS = Path(__file__).parent / "shims"
"""What Python and Node children load first, for clients that no variable reaches."""

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
_NO_PROXY = ("NO_PROXY", "no_proxy")

OTHER_PROXIES = (
    "grpc_proxy",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "NPM_CONFIG_PROXY",
    "NPM_CONFIG_HTTPS_PROXY",
    "YARN_HTTP_PROXY",
    "YARN_HTTPS_PROXY",
    "CARGO_HTTP_PROXY",
    "PIP_PROXY",
)
"""Stronger than the usual variables for one tool each: with a value of the parent's they would lead past Ledger."""

BUNDLES = (
    "SSL_CERT_FILE",  # OpenSSL (so Python's ssl, Ruby, PHP), Go, rustls, httpx, uv
    "NIX_SSL_CERT_FILE",  # goes before SSL_CERT_FILE in Nix's OpenSSL and curl
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",  # Deno appends: the bundle does no harm there, and keeps what the parent had named
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HTTPLIB2_CA_CERTS",  # Google's API client
    "WEBSOCKET_CLIENT_CA_BUNDLE",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
)
"""Each names one file of roots *instead of* a client's own, so it gets the whole bundle."""

OTHER_BUNDLES = ("npm_config_cafile", "NPM_CONFIG_CAFILE", "YARN_CAFILE", "YARN_HTTPS_CA_FILE_PATH")
"""The same for tools that need nothing unless the parent had set it: they go by NODE_EXTRA_CA_CERTS."""

BUNDLE_FOR_SHIMS = "LEDGER_CA_BUNDLE"
"""Tells our shims the bundle, also when the program changes the variables above."""


class ProxyError(LedgerError):
    """The proxy that the environment names cannot be chained to; str() is one line that says what to do."""


def child_environment(
    parent: Mapping[str, str],
    proxy_url: str | None,
    ca: CA,
    shim_dir: Path,
    *,
    ruled_hosts: Collection[str] = (),
) -> dict[str, str]:
    """Return the environment for a child: the parent's, with proxies, roots and shims set to Ledger's.

    proxy_url: None where every connection leads to Ledger anyway; then no proxy is named, the parent's neither.
    ruled_hosts: patterns of the hosts that rules name; no `NO_PROXY` entry that could cover one is passed on.

    Left alone on purpose: `SSL_CERT_DIR`, which every reader takes together with, or after, `SSL_CERT_FILE`;
    `UV_NATIVE_TLS` and `UV_SYSTEM_CERTS`, because uv reads `SSL_CERT_FILE` with and without them.
    """
    if proxy_url is None:
        named = {"ALL_PROXY", "all_proxy", *PROXIES, *OTHER_PROXIES}
        parent = {name: value for name, value in parent.items() if name not in named}
    proxies = _proxies(parent, proxy_url, ruled_hosts) if proxy_url is not None else {}
    return {**parent, **proxies, **_roots(parent, ca), **_shims(parent, shim_dir)}


def upstream_proxy(parent: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy through which the parent would have sent HTTPS, None if directly.

    Raises ProxyError for one that is no HTTP proxy (SOCKS), without its credentials.
    """
    if "*" in (entry.strip() for entry in _first(parent, "no_proxy", "NO_PROXY").split(",")):
        return None
    url = _first(parent, "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY").strip()
    if not url:
        return None
    try:
        parse_proxy(url)
    except ValueError as error:
        raise ProxyError(f"{error}; set HTTPS_PROXY to such a one, or unset HTTPS_PROXY and ALL_PROXY") from None
    return url if "://" in url else f"http://{url}"


def _proxies(parent: Mapping[str, str], url: str, ruled_hosts: Collection[str]) -> dict[str, str]:
    direct = ",".join(kept([parent.get(name, "") for name in _NO_PROXY], ruled_hosts))
    found = {**dict.fromkeys(PROXIES, url), **dict.fromkeys(_NO_PROXY, direct), "NODE_USE_ENV_PROXY": "1"}
    found |= {name: url for name in OTHER_PROXIES if name in parent}
    # The variables above go first for HTTP, so ALL_PROXY speaks of other protocols, which Ledger does not carry:
    # a SOCKS proxy stays. An HTTP one is replaced, for a client that reads nothing else must not slip past.
    found |= {name: url for name in ("ALL_PROXY", "all_proxy") if name in parent and not _socks(parent[name])}
    return found


def _roots(parent: Mapping[str, str], ca: CA) -> dict[str, str]:
    bundle = str(ca.bundle_path)
    found = dict.fromkeys((*BUNDLES, BUNDLE_FOR_SHIMS), bundle)
    found |= {name: bundle for name in OTHER_BUNDLES if name in parent}
    # Node appends this file to its own roots; the other one also holds what the parent had it append.
    found["NODE_EXTRA_CA_CERTS"] = str(ca.node_path if parent.get("NODE_EXTRA_CA_CERTS") else ca.cert_path)
    return found


def _shims(parent: Mapping[str, str], shim_dir: Path) -> dict[str, str]:
    given = parent.get("PYTHONPATH", "")
    # An empty entry means the current directory: those of the user stay, none is added.
    rest = [entry for entry in given.split(os.pathsep) if entry != str(shim_dir)] if given else []
    preload = f"--require={_quoted(str(shim_dir / 'node-preload.cjs'))}"
    options = parent.get("NODE_OPTIONS", "")
    return {
        "PYTHONPATH": os.pathsep.join([str(shim_dir), *rest]),
        "NODE_OPTIONS": options if preload in options else f"{options} {preload}".strip(),
    }


def _quoted(path: str) -> str:
    """Quote a path for NODE_OPTIONS, which knows double quotes and, inside them, backslashes."""
    if not any(character in path for character in ' "\\'):
        return path
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _first(environ: Mapping[str, str], *names: str) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def _socks(url: str) -> bool:
    return url.strip().lower().startswith("socks")
