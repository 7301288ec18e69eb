"""What a real server has sent, asked for at its API."""

import asyncio
from typing import Any

import httpx2


async def first_sent(client: httpx2.AsyncClient, within: float = 20) -> dict[str, Any]:
    """The latest of its owner's deliveries, once it is sent. Raises TimeoutError."""
    async with asyncio.timeout(within):
        while True:
            found: list[dict[str, Any]] = (await client.get("/v1/deliveries")).json()["data"]
            if found and found[0]["state"] == "sent":
                return found[0]
