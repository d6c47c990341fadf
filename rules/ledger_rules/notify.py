"""Who is told of an operation whose outcome nobody knows: what a file says of it. Tells nobody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_URL = re.compile(r"https?://\S+|\$\{[A-Za-z_][A-Za-z0-9_]*\}")


class Missing(ValueError):
    """An environment variable that is named is not set, or what it makes is no URL; the text has no value in it."""


@dataclass(frozen=True, slots=True)
class Notify:
    """One entry. Either a webhook, whose URL and headers may hold `${VARIABLE}`s, or the words of a command."""

    name: str
    webhook: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()

    @property
    def tool(self) -> str:
        """What its operations are called in the ledger."""
        return f"{PREFIX}{self.name}"

    def filled(self, environment: Mapping[str, str]) -> tuple[str, list[tuple[str, str]]]:
        """URL and headers as they are sent. Raises Missing."""
        url = _filled(self.webhook, environment)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Missing(f"notify '{self.name}': its webhook is not an http(s) URL")
        headers = [(name, _filled(value, environment)) for name, value in self.headers]
        if any(not text.isprintable() for text in (url, *(value for _, value in headers))):
            raise Missing(f"notify '{self.name}': its webhook or a header holds a line break or control character")
        return url, headers


PREFIX = "notify/"
"""Of the tools of all notifications; nobody is told of these."""


def webhook(value: str) -> str:
    """Check the text of a webhook. Raises ValueError."""
    if not _URL.fullmatch(value):
        raise ValueError("expected an http(s) URL, or ${VARIABLE} where a secret one is in the environment")
    return value


def _filled(text: str, environment: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in environment:
            raise Missing(f"the environment variable {found[1]}, which notify: needs, is not set")
        return environment[found[1]]

    return _VARIABLE.sub(value, text)
