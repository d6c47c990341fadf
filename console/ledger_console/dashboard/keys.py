"""The names under which the application keeps its parts. Nothing else."""

from __future__ import annotations

from aiohttp import web

from ledger_console.dashboard.following import Recent, Streams
from ledger_console.dashboard.rendering import Pages
from ledger_console.dashboard.security import Gate
from ledger_console.dashboard.source import Source

GATE = web.AppKey("gate", Gate)
PAGES = web.AppKey("pages", Pages)
RECENT = web.AppKey("recent", Recent)
SOURCE = web.AppKey("source", Source)
STREAMS = web.AppKey("streams", Streams)
