"""Keys that stop holding while something is open: a stream, a socket. (GHSA-xmxx-7p24-h892: a rotated token went on working on open sockets.)"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from assistant.contracts.access import KeyStore
from assistant.contracts.errors import StoreUnavailable

log = logging.getLogger(__name__)

_EVERY: Final = 0.5
"""Seconds between two looks, while anything is open: what is open is told within a second."""


class KeyWatch:
    """Asks the store, while anything is open, which of the secrets that opened it still hold: one question for all of them."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._open: dict[str, set[Callable[[], None]]] = {}
        self._task: asyncio.Task[None] | None = None

    def watch(self, credential: str, ended: Callable[[], None]) -> Callable[[], None]:
        """`ended` is called, once, within a second after the secret stopped holding: revoked, expired or rotated out.

        Returns what ends the watching. `credential`: `Principal.credential`. While the store can't be read, nobody is told anything.
        """
        self._open.setdefault(credential, set()).add(ended)
        if self._task is None:
            self._task = asyncio.create_task(self._look())

        def forget() -> None:
            waiting = self._open.get(credential)
            if waiting is not None:
                waiting.discard(ended)
                if not waiting:
                    del self._open[credential]

        return forget

    async def _look(self) -> None:
        try:
            while True:
                await asyncio.sleep(_EVERY)
                if not self._open:
                    return
                asked = list(self._open)
                try:
                    holding = await self._store.holding(asked)
                except StoreUnavailable as error:
                    log.warning("keys.not_watched code=%s", error.code)
                    continue
                for credential in set(asked) - holding:
                    for ended in self._open.pop(credential, ()):
                        ended()
        finally:
            self._task = None
