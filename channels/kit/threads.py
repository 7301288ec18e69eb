"""Which threads the assistant is in, on platforms whose threads hang on any message."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from assistant.contracts.records import record
from channels.kit.http import PlatformError
from channels.kit.values import Latest

_MOST: Final = 4096


@record
class KnownThread:
    mine: bool
    """The assistant was asked in it, or has written in it."""
    first: Any = None
    """The platform's first message of it, where the assistant comes into another's thread now; None else."""


class KnownThreads:
    """Bounded. A restart forgets; the platform is then asked once about a thread."""

    def __init__(self, look: Callable[[str, str], Awaitable[KnownThread]]) -> None:
        """`look`: (chat, thread) → what the platform tells. Raises PlatformError."""
        self._look = look
        self._known = Latest[bool](_MOST)

    async def about(self, chat_id: str, thread_id: str) -> KnownThread:
        """Where the platform does not tell: as a thread of others, which is asked about again."""
        known = self._known.get(f"{chat_id} {thread_id}")
        if known is not None:
            return KnownThread(mine=known)
        try:
            found = await self._look(chat_id, thread_id)
        except PlatformError:
            return KnownThread(mine=False)
        self._known.put(f"{chat_id} {thread_id}", found.mine)
        return KnownThread(mine=found.mine, first=None if found.mine else found.first)

    def asked(self, chat_id: str, thread_id: str) -> None:
        """The assistant is in this thread from now on."""
        self._known.put(f"{chat_id} {thread_id}", True)
