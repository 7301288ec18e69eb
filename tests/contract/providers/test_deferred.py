"""A provider is opened without its wire, whose import is left to the first call: the start of the server has no time for it."""

import asyncio
import subprocess
import sys

from assistant.providers.choice import choose
from assistant.providers.registry import open_provider, preload
from assistant.providers.settings import ProviderSettings
from tests.doubles.model_server import ModelServer

from .samples import request, unheard

_OPEN = """
import asyncio, sys
from assistant.providers.choice import choose
from assistant.providers.registry import open_provider, preload
choice = asyncio.run(choose(environment={"ANTHROPIC_API_KEY": "sk-1", "X": "y"}))
provider = open_provider(choice)
assert provider.info.id.startswith("claude-")
assert "aiohttp" not in sys.modules
preload(choice)
assert "aiohttp" in sys.modules
"""


def test_opening_imports_no_http_client_and_preloading_does() -> None:
    subprocess.run([sys.executable, "-c", _OPEN], check=True, timeout=60)


async def test_the_first_calls_at_once_share_one_connection_pool() -> None:
    async with ModelServer() as server:
        settings = {"custom": ProviderSettings(api_base=server.url)}
        choice = await choose(model="m", providers=settings, environment={})
        preload(choice)
        provider = open_provider(choice)
        answers = await asyncio.gather(*[provider.complete(request(f"ECHO {n}"), unheard) for n in range(5)])
        assert [answer.text for answer in answers] == list("01234")
        await provider.close()
        async with asyncio.timeout(30):
            await server.until(lambda stats: not stats.connections)
