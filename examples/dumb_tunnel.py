"""A CONNECT proxy that knows nothing: every tunnel, whatever its target, ends at one address.

The demo uses it in place of DNS, so that an agent without Ledger finds the fake at api.stripe.com without root.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes one way until either side is done; then hang up the receiving side."""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Answer one CONNECT and join both sides."""
    try:
        request = await reader.readuntil(b"\r\n\r\n")
        if not request.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
    except (OSError, asyncio.IncompleteReadError):
        pass  # one side left: the other is hung up below
    finally:
        writer.close()


async def main(port: int) -> None:
    """Listen on a free loopback port until killed."""
    server = await asyncio.start_server(lambda reader, writer: tunnel(reader, writer, port), "127.0.0.1", 0)
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=int, required=True, metavar="PORT", help="loopback port every tunnel ends at")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args().to))
