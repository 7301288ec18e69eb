"""Logging in to a server that wants OAuth: discovery, registration and PKCE by the SDK, the browser's way back by a listener on loopback."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from assistant.contracts.errors import NanobotError, ToolFailed
from assistant.mcp import wire
from assistant.mcp.grants import with_tokens
from assistant.mcp.settings import McpServer
from assistant.store.mcp import Grant

WITHIN: Final = 300.0
"""Seconds that a person has in the browser."""
_PAGE: Final = "<!doctype html><meta charset=utf-8><title>nanobot</title><p>{}</p>"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class _Kept:
    """Implements the SDK's TokenStorage, for the time of a login."""

    def __init__(self, client: OAuthClientInformationFull | None) -> None:
        self.client = client
        self.tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def log_in(server: McpServer, headers: Mapping[str, str], show: Callable[[str], None]) -> Grant | None:
    """What the server's authorization server grants. `show`: is told the address that a person opens. None: the server wants no login. Raises
    ToolFailed with the reason."""
    assert server.url
    back = _WayBack()
    listener = await asyncio.start_server(back.answer, "127.0.0.1", server.callback_port)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        asks = OAuthClientMetadata.model_validate(
            {
                "client_name": "nanobot",
                "redirect_uris": [f"http://127.0.0.1:{port}/callback"],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "client_secret_basic" if server.client_secret else "none",
                "scope": server.scope,
            }
        )
        kept = _Kept(_registered(server, asks))

        async def open_it(url: str) -> None:
            show(url)

        provider = OAuthClientProvider(server.url, asks, kept, redirect_handler=open_it, callback_handler=back.came)
        try:
            async with (
                asyncio.timeout(WITHIN),
                httpx2.AsyncClient(auth=provider, headers=dict(headers), timeout=WITHIN) as client,
                streamable_http_client(server.url, http_client=client) as (read, write),
                ClientSession(read, write) as session,
            ):
                greeted = await session.initialize()
                if greeted.capabilities.tools:  # some servers let anyone greet them
                    await session.list_tools()
        except TimeoutError:
            raise ToolFailed(f"There was no login within {WITHIN:g} s.") from None
        except Exception as error:  # noqa: BLE001 - the login may have come through; if not, its reason is told
            if kept.tokens is None:
                raise ToolFailed(f"The login failed: {_why(error)}.") from None
    return _grant(provider, kept)


def _registered(server: McpServer, asks: OAuthClientMetadata) -> OAuthClientInformationFull | None:
    """The client of the configuration; None: the authorization server registers one."""
    if server.client_id is None:
        return None
    secret = server.client_secret.get_secret_value() if server.client_secret else None
    return OAuthClientInformationFull.model_validate({**asks.model_dump(), "client_id": server.client_id, "client_secret": secret})


def _grant(provider: OAuthClientProvider, kept: _Kept) -> Grant | None:
    if kept.tokens is None or kept.client is None:
        return None
    context = provider.context
    metadata = context.oauth_metadata
    endpoint = str(metadata.token_endpoint) if metadata else f"{context.get_authorization_base_url(context.server_url)}/token"
    where = urlsplit(endpoint)
    if where.scheme != "https" and where.hostname not in _LOOPBACK:
        raise ToolFailed(f"The authorization server's address {endpoint} is not https: tokens would be read on the way.")
    granted = Grant(
        token_endpoint=endpoint,
        client_id=kept.client.client_id or "",
        client_secret=kept.client.client_secret,
        auth_method=kept.client.token_endpoint_auth_method or "none",
        access_token="",
        refresh_token=None,
        expires_at=None,
        scope=None,
        resource=context.get_resource_url() if context.should_include_resource_param(context.protocol_version) else "",
    )
    return with_tokens(granted, kept.tokens.model_dump(exclude_none=True))


class _WayBack:
    """Takes the browser's request that ends a login."""

    def __init__(self) -> None:
        self._code: asyncio.Future[AuthorizationCodeResult] = asyncio.get_running_loop().create_future()

    async def came(self) -> AuthorizationCodeResult:
        return await self._code

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(10):
                line = (await reader.readline()).decode("latin-1")
                while (await reader.readline()).strip():
                    pass
                status, words = self._took(line.split(" ")[1] if line.count(" ") >= 2 else "/")
                page = _PAGE.format(words).encode()
                head = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(page)}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode() + page)
                await writer.drain()
        except (TimeoutError, OSError, ValueError):  # another program, which speaks no HTTP
            pass
        finally:
            writer.close()

    def _took(self, target: str) -> tuple[str, str]:
        address = urlsplit(target)
        query: dict[str, Any] = dict(parse_qsl(address.query))
        if address.path != "/callback" or not ({"code", "error"} & query.keys()) or self._code.done():
            return "404 Not Found", "There is nothing here."
        if "error" in query:
            self._code.set_exception(ToolFailed(f"the authorization server says {str(query['error'])[:100]}"))
            return "200 OK", "The login was refused. You can close this page."
        self._code.set_result(AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss")))
        return "200 OK", "You are logged in. You can close this page."


def _why(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return _why(cast("BaseException", error.exceptions[0]))  # pyright: ignore[reportUnknownMemberType]
    if isinstance(error, ToolFailed | NanobotError):
        return str(error).rstrip(".")
    return wire.words(error) or (str(error)[:300] if type(error).__module__.startswith("mcp.") else type(error).__name__)
