"""The filters of the operations page, from the address and back into it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Self
from urllib.parse import urlencode

from ledger.ports import Query, Sort, place_of
from ledger.records import Status

TIMES = {
    "": "any time",
    "900": "last 15 minutes",
    "3600": "last hour",
    "86400": "last 24 hours",
    "604800": "last 7 days",
}
"""Seconds back from now, and what the page calls them."""
ORDERS = {
    "": "newest first",
    "oldest": "oldest first",
    Sort.TOUCHED.value: "last changed",
    Sort.ATTEMPTS.value: "most attempts",
    Sort.BLOCKED.value: "most prevented",
    Sort.STATUS.value: "unknown first",
}
"""Orders of the list, and what the page calls them."""
PAGE = 50
"""Records of one page."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What the page was asked for, as text. before: the cursor of the page."""

    q: str = ""
    status: str = ""
    tool: str = ""
    wf: str = ""
    caller: str = ""
    since: str = ""
    order: str = ""
    before: str = ""

    @classmethod
    def given_in(cls, query: Mapping[str, str]) -> Self:
        """From an address. Raises ValueError for what a form of ours would not send."""
        found = cls(**{field.name: query.get(field.name, "").strip() for field in fields(cls)})
        if found.status and found.status not in list(Status):
            raise ValueError(f"status is one of {', '.join(Status)}")
        if found.since not in TIMES:
            raise ValueError("since is a number of seconds that the page offers")
        if found.order not in ORDERS:
            raise ValueError(f"order is one of {', '.join(filter(None, ORDERS))}, or not given")
        if found.before:
            place_of(found.before, found.sort)
        return found

    @property
    def given(self) -> bool:
        """Whether anything but the page is chosen."""
        return any((self.q, self.status, self.tool, self.wf, self.caller, self.since))

    @property
    def narrowed(self) -> bool:
        """Whether anything but a text to search for is chosen."""
        return any((self.status, self.tool, self.wf, self.caller, self.since, self.order))

    @property
    def sort(self) -> Sort:
        """What the list goes by."""
        return Sort(self.order) if self.order in tuple(Sort) else Sort.CREATED

    def query(self, now: float, limit: int | None = None) -> Query:
        """As a store takes it."""
        return Query(
            wf=self.wf or None,
            tool=self.tool or None,
            status=Status(self.status) if self.status else None,
            caller=self.caller or None,
            since=now - float(self.since) if self.since else None,
            grep=self.q or None,
            before=self.before or None,
            limit=limit,
            sort=self.sort,
            oldest=self.order == "oldest",
        )

    def address(self, before: str = "") -> str:
        """The query string of the same filters on another page."""
        chosen = replace(self, before=before)
        return urlencode([(f.name, value) for f in fields(self) if (value := getattr(chosen, f.name))])

    def ordered(self) -> dict[str, str]:
        """The query string of the same filters, first page, by each order."""
        return {order: replace(self, order=order).address() for order in ORDERS}

    def words(self) -> str:
        """What is chosen, for a person."""
        said = [f"{name} {getattr(self, field)}" for field, name in _NAMES.items() if getattr(self, field)]
        return ", ".join([*said, *([f"asked in the {TIMES[self.since]}"] if self.since else [])])


_NAMES = {"q": "text", "status": "status", "tool": "tool", "wf": "workflow", "caller": "caller"}
