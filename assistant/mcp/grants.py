"""Access tokens of OAuth at work: sent with each request, and renewed by one process at a time, from the store."""

import asyncio
import base64
import logging
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

import httpx2
import orjson

from assistant.contracts.util import new_id
from assistant.store.mcp import Grant, McpStore

log = logging.getLogger(__name__)

EARLY: Final = 30.0
"""Seconds before its end at which a token is renewed."""
_WAIT: Final = 20.0
"""Seconds that another process is waited for."""
_FINAL: Final = frozenset({"invalid_grant", "invalid_client", "unauthorized_client"})
"""Errors after which only a login helps (RFC 6749, 5.2). Anything else, such as a timeout, leaves the grant as it is."""


class Grants:
    """The grants of this store."""

    def __init__(self, store: McpStore) -> None:
        self._store = store
        self._renewing: dict[str, asyncio.Task[Grant | None]] = {}

    async def current(self, name: str, url: str) -> Grant | None:
        """A grant that is good for some seconds; None: there is none. Raises StoreUnavailable."""
        grant = await self._store.grant(name, url)
        if grant is None or grant.refused:
            return None
        over = grant.expires_at is not None and time.time() > grant.expires_at - EARLY
        return await self.renewed(name, url, grant.access_token) if over and grant.refresh_token else grant

    async def renewed(self, name: str, url: str, stale: str) -> Grant | None:
        """A grant with another token than the stale one; None: it could not be renewed now. A call that is cancelled does not stop it: the
        authorization server may have replaced the refresh token already."""
        task = self._renewing.get(name)
        if task is None:
            task = self._renewing[name] = asyncio.create_task(self._renew(name, url, stale))
            task.add_done_callback(lambda _: self._renewing.pop(name, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what is being renewed."""
        if self._renewing:
            await asyncio.wait([*self._renewing.values()], timeout=15)

    async def _renew(self, name: str, url: str, stale: str) -> Grant | None:
        claim, until = new_id("claim"), time.monotonic() + _WAIT
        while True:
            known = await self._store.grant(name, url)
            if known is None or known.refused or not known.refresh_token:
                return None
            if known.access_token != stale:
                return known  # another process was first
            held = await self._store.claim_grant(name, url, claim)
            if held is not None:
                break
            if time.monotonic() > until:
                return None
            await asyncio.sleep(0.1)
        if held.access_token != stale:
            await self._store.let_go(name, claim)
            return held
        try:
            fresh = await _refreshed(held)
        except httpx2.HTTPError as error:
            log.warning("mcp.not_renewed server=%s error=%s", name, type(error).__name__)
            fresh = None
        if fresh is None:
            await self._store.let_go(name, claim)
            return None
        kept = await self._store.renewed(name, url, claim, fresh)
        if fresh.refused:
            log.warning("mcp.login_needed server=%s error=%s", name, fresh.refused)
        return fresh if kept and not fresh.refused else None


async def _refreshed(grant: Grant) -> Grant | None:
    """The grant with new tokens, or marked as refused; None: the authorization server can't say now. A refresh token that the answer does not
    replace stays (RFC 6749, 6). Raises httpx2.HTTPError."""
    form = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token or "", "client_id": grant.client_id}
    if grant.resource:
        form["resource"] = grant.resource
    headers = {"Accept": "application/json"}
    if grant.client_secret and grant.auth_method == "client_secret_basic":
        pair = f"{quote(grant.client_id, safe='')}:{quote(grant.client_secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    elif grant.client_secret:
        form["client_secret"] = grant.client_secret
    async with httpx2.AsyncClient(timeout=12) as client:
        response = await client.post(grant.token_endpoint, data=form, headers=headers)
    try:
        answer: Any = orjson.loads(response.content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return None
    if response.status_code != 200:
        error = str(answer.get("error", ""))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        return replace(grant, refused=error) if error in _FINAL else None
    return with_tokens(grant, answer)  # pyright: ignore[reportUnknownArgumentType]


def with_tokens(grant: Grant, answer: dict[str, Any]) -> Grant | None:
    """The grant with what a token endpoint answered; None: there is no token in it."""
    token, lasts = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(token, str) or not token:
        return None
    return replace(
        grant,
        access_token=token,
        refresh_token=answer.get("refresh_token") or grant.refresh_token,
        expires_at=time.time() + float(lasts) if isinstance(lasts, int | float | str) and str(lasts).replace(".", "").isdigit() else None,
        scope=answer.get("scope") or grant.scope,
    )


class GrantAuth(httpx2.Auth):
    """Adds a server's token to its requests; one that is refused is renewed, and the request repeated once."""

    def __init__(self, grants: Grants, name: str, url: str) -> None:
        self._grants = grants
        self._name = name
        self._url = url

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        grant = await self._grants.current(self._name, self._url)
        if grant is not None:
            request.headers["Authorization"] = f"Bearer {grant.access_token}"
        response = yield request
        if response.status_code == 401 and grant is not None:
            fresh = await self._grants.renewed(self._name, self._url, grant.access_token)
            if fresh is not None:
                request.headers["Authorization"] = f"Bearer {fresh.access_token}"
                yield request
