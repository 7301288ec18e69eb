"""The names of people on platforms that tell ids: each is asked for once, and no message waits long for one."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from assistant.contracts.util import no_address
from channels.kit.http import PlatformError
from channels.kit.values import Latest

_MOST_NAME: Final = 100
_MOST_ASKED: Final = 20
"""Of one message."""


class KnownNames:
    """Bounded. A name that the platform does not tell, or not soon, is not remembered."""

    def __init__(self, ask: Callable[[str], Awaitable[str]], *, seconds: float = 3.0) -> None:
        """`ask`: by the id; empty: there is none. May raise PlatformError. `seconds`: for all names of a message."""
        self._ask = ask
        self._seconds = seconds
        self._known = Latest[str]()

    async def of(self, id: str, *, otherwise: str | None = None) -> str:
        """The name; `otherwise` (None: the id) where it is not known now."""
        return (await self._told([id])).get(id) or (id if otherwise is None else otherwise)

    async def each(self, ids: Iterable[str]) -> Mapping[str, str]:
        """The names of the first twenty; their ids where they are not known now."""
        wanted = list(dict.fromkeys(ids))[:_MOST_ASKED]
        told = await self._told(wanted)
        return {id: told.get(id) or id for id in wanted}

    async def _told(self, ids: Iterable[str]) -> Mapping[str, str]:
        told: dict[str, str] = {}

        async def look(id: str) -> None:
            with contextlib.suppress(PlatformError):
                told[id] = await self._known.or_ask(id, self._name)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await asyncio.gather(*map(look, ids))
        return told

    async def _name(self, id: str) -> str:
        return no_address(await self._ask(id))[:_MOST_NAME]
