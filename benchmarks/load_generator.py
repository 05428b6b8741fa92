"""A bare load generator for chat servers: posts prepared bodies and throws the replies away."""

from __future__ import annotations

import asyncio


def post_all(url: str, bodies: list[bytes], at_once: int) -> None:
    """Post every body to the server at ``url``, ``at_once`` at a time."""
    import aiohttp

    async def run() -> None:
        places = asyncio.Semaphore(at_once)
        headers = {"Content-Type": "application/json"}
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as http:

            async def post(body: bytes) -> None:
                async with places, http.post(f"{url}/chat/completions", data=body) as reply:
                    await reply.read()
                    assert reply.status == 200

            await asyncio.gather(*map(post, bodies))

    asyncio.run(run())
