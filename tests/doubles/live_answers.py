"""What a real server has sent, asked for at its API."""

import asyncio
from typing import Any

import httpx2

from assistant.contracts.channels import PlatformCall


async def first_sent(client: httpx2.AsyncClient, within: float = 60) -> dict[str, Any]:
    """The latest of its owner's deliveries, once it is sent. Raises TimeoutError."""
    async with asyncio.timeout(within):
        while True:
            found: list[dict[str, Any]] = (await client.get("/v1/deliveries")).json()["data"]
            if found and found[0]["state"] == "sent":
                return found[0]


async def called(client: httpx2.AsyncClient, channel: str, call: PlatformCall, within: float = 60) -> httpx2.Response:
    """The answer to a platform's call, made again as platforms do while the channel has not connected. Raises TimeoutError."""
    async with asyncio.timeout(within):
        while True:
            answer = await client.post(f"/channels/{channel}", content=call.body, headers=dict(call.headers))
            if answer.status_code != 503:
                return answer
