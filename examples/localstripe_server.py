"""localstripe (a stateful fake of Stripe) on loopback, in a process of its own, for as long as stdin stays open.

Only starts it: everything it answers is localstripe's. Its own command listens on every interface and pickles its
charges to one fixed file in /tmp, which two demos on one machine would share; here they stay in memory.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web
from localstripe import resources, server


async def main() -> None:
    """Serve until the parent closes our stdin or dies, so that no orphan is ever left."""
    resources.Store.dump_to_disk = lambda _self: None
    runner = web.AppRunner(server.app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"listening on 127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
