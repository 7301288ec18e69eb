"""aiohttp's connections through a SOCKS proxy, by aiohttp-socks, with aiohttp's own errors."""

import asyncio
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp_socks import ProxyConnectionError, ProxyConnector, ProxyError, ProxyTimeoutError


class SocksConnector(ProxyConnector):
    """Raises aiohttp.ClientProxyConnectionError where the proxy can't be reached, refuses, or does not answer in time: nothing was sent then."""

    async def _wrap_create_connection(self, *args: Any, **kwargs: Any) -> tuple[asyncio.Transport, ResponseHandler]:
        try:
            return await super()._wrap_create_connection(*args, **kwargs)  # pyright: ignore[reportUnknownMemberType] - aiohttp's address tuples
        except (ProxyConnectionError, ProxyError, ProxyTimeoutError, OSError) as error:
            reason = "it did not answer in time" if isinstance(error, ProxyTimeoutError) else str(error)
            raise aiohttp.ClientProxyConnectionError(kwargs["req"].connection_key, OSError(0, f"by the SOCKS proxy: {reason}")) from error
