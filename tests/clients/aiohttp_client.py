"""One POST with aiohttp, which goes by no proxy variable unless told to."""

import asyncio
import json
import sys

import aiohttp


async def main(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, json={"amount": 4900}) as answer:
        answer.raise_for_status()
        print(json.dumps(await answer.json()))


asyncio.run(main(sys.argv[1]))
