"""Who may talk to the dashboard, and what a browser may do with its pages. Knows nothing of ledgers.

The server holds other people's data on a port that every page in the user's browser can reach. So: only loopback
names in Host (DNS rebinding), a token that only the terminal shows, a cookie that no other site can send, no
request that another origin started, and a content policy under which nothing recorded can run.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

SAFE = frozenset({"GET", "HEAD"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
PUBLIC = ("/static/", "/login")
"""What a browser needs before it has the cookie; nothing of the ledger is there."""

HEADERS = {
    # Trusted Types besides the policy: a script of ours that tried to write markup would fail, too.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not no-referrer: under it a browser sends the Origin of our own forms as null.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Gate:
    """The secrets of one running dashboard. token: opens it; csrf: what its own forms carry."""

    def __init__(self, port: int) -> None:
        self.token, self.csrf = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(32)
        # Cookies do not know ports: two dashboards on one machine must not take each other's.
        self._cookie = f"ledger-{port}"

    def opened_by(self, token: str) -> bool:
        """Whether this is the token that the terminal showed."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def knows(self, request: web.Request) -> bool:
        """Whether the browser was let in before."""
        return hmac.compare_digest(request.cookies.get(self._cookie, "").encode(), self._session.encode())

    def let_in(self, response: web.Response) -> web.Response:
        """Give the browser its cookie, for as long as it runs."""
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="Strict", path="/")
        return response

    def own_form(self, given: object) -> bool:
        """Whether a form came from a page of ours."""
        return isinstance(given, str) and hmac.compare_digest(given.encode(), self.csrf.encode())


def middleware(gate: Gate, login: Handler) -> Middleware:
    """Refuse everything that is not the user's own browser on this machine. login: answers who has no cookie yet."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _loopback(request.host):
            raise web.HTTPMisdirectedRequest(text="This dashboard answers on localhost only.")
        if foreign(request):
            raise web.HTTPForbidden(text="Another site asked for this. Open the dashboard itself.")
        token = request.query.get("token")
        if token is not None and request.method in SAFE and gate.opened_by(token):
            # The address without the token: it is not to stay in the history or be bookmarked.
            return gate.let_in(_see_other(request.rel_url.without_query_params("token")))
        if gate.knows(request) or request.path.startswith(PUBLIC):
            return await handler(request)
        return await login(request)

    return guarded


async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on every answer, errors included."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.popall("Server", None)


def foreign(request: web.Request) -> bool:
    """Whether another origin started the request; https://web.dev/articles/fetch-metadata.

    A link from elsewhere may open a page (without the strict cookie it gets the login). Nothing else may come.
    """
    if request.method not in SAFE:
        origin = request.headers.get("Origin")
        if origin is None or urlsplit(origin).netloc != request.host:
            return True
    site = request.headers.get("Sec-Fetch-Site", "none")
    navigates = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.method in SAFE
    return site not in ("none", "same-origin") and not navigates


def _loopback(host: str) -> bool:
    """Any port: an SSH tunnel may end on another one. A name that an attacker owns is what must not pass."""
    try:
        return URL(f"http://{host}").host in LOOPBACK
    except ValueError:
        return False


def _see_other(where: URL) -> web.Response:
    # A path only: `//elsewhere` would lead away.
    path = "/" + str(where).lstrip("/\\")
    return web.Response(status=303, headers={"Location": path})
