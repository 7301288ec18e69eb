"""Builds approvals: the desk at which tools ask, and the book in which people answer."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from assistant.app.schedules import Later
from assistant.approvals.book import ApprovalBook
from assistant.approvals.commands import ApprovalCommands
from assistant.approvals.desk import Folder, StoredDesk
from assistant.config import Loaded
from assistant.contracts.approvals import Approval
from assistant.contracts.errors import NanobotError
from assistant.contracts.messages import Json, ToolCall
from assistant.contracts.records import record
from assistant.store.store import Store
from assistant.turns.service import Turns

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 10.0
"""Between looks for questions whose time is over."""


@record
class Approvals:
    """Approvals, as people see them."""

    book: ApprovalBook
    commands: ApprovalCommands

    async def expire_in_time(self) -> None:
        """End questions when their time is over, until cancelled."""
        while True:
            try:
                await self.book.expire()
            except NanobotError as error:
                log.warning("approvals.not_expired code=%s", error.code)
            await asyncio.sleep(_LOOK_SECONDS)


def open_desk(loaded: Loaded, store: Store, later: Later) -> StoredDesk:
    expire_after = timedelta(seconds=loaded.config.approvals.expire_after)
    return StoredDesk(store.approvals, store.people, folder=_folder(loaded), chat=later.words.chat, expire_after=expire_after)


def open_book(loaded: Loaded, store: Store, turns: Turns | None = None) -> ApprovalBook:
    """`turns`: whose agents' tools must still take a call; None: the process that runs it looks then."""

    async def reads(approval: Approval, call: ToolCall) -> Mapping[str, Json] | None:
        known = turns.agents.get(approval.agent) if turns else None
        return (await known.toolbox.in_session(approval.owner, approval.session)).read(call) if known else None

    return ApprovalBook(store.approvals, folder=_folder(loaded), reads=reads if turns else None)


def open_approvals(loaded: Loaded, store: Store, turns: Turns) -> Approvals:
    book = open_book(loaded, store, turns)
    return Approvals(book=book, commands=ApprovalCommands(book, store.people.of))


def _folder(loaded: Loaded) -> Folder:
    """Where calls work: another folder is another call."""
    folder = str(loaded.workspace)
    return lambda owner: folder
