"""Runs a chat's turn: takes what waits in the session, resumes after a crash, puts the answer into the outbox."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Final

from assistant.contracts.channels import Conversation
from assistant.contracts.errors import SessionBusy, ShuttingDown, StoreUnavailable
from assistant.contracts.inbox import Taken
from assistant.contracts.turns import TurnRequest
from assistant.contracts.util import backoff
from assistant.inbound.files import Fetcher
from assistant.inbound.preview import TypingAndPreview
from assistant.inbound.replies import ChatReply, Writer, content_of, identity_of
from assistant.store.inbox import InboxStore
from assistant.turns.handle import RunningTurn, remove_uploads
from assistant.turns.service import Turns

log = logging.getLogger(__name__)

SessionKey = tuple[str, str]
"""(owner, session)"""
_LONGEST_WAIT: Final = 120.0


class TurnRunner:
    """Runs the turns of the inbox, from taking messages to an end that is stored."""

    def __init__(
        self,
        *,
        turns: Turns,
        inbox: InboxStore,
        fetcher: Fetcher,
        writer: Writer,
        conversations: Mapping[str, Conversation | None],
        person_of: Callable[[str, str], Awaitable[str]],
    ) -> None:
        """`person_of`: (identity, name) → the person's id."""
        self._turns = turns
        self._person_of = person_of
        self._inbox = inbox
        self._fetcher = fetcher
        self._writer = writer
        self._conversations = conversations
        self._held: dict[str, Taken] = {}
        self._busy: set[SessionKey] = set()
        self._running: dict[SessionKey, RunningTurn] = {}
        self._stopped: set[SessionKey] = set()

    def works_on(self, key: SessionKey) -> bool:
        """Whether a turn of this session is under way."""
        return key in self._busy

    def hold(self, taken: Taken) -> None:
        """Keep it until its end is stored, or it is handed back."""
        self._held[taken.turn_id] = taken

    def idle(self) -> Sequence[Taken]:
        """What is held and not running."""
        return [taken for taken in self._held.values() if (taken.place.owner, taken.place.session) not in self._busy]

    def stop(self, key: SessionKey) -> None:
        """Stop the turn under way in this session, if there is one, and its next tries."""
        if key in self._busy:
            self._stopped.add(key)
        if turn := self._running.get(key):
            turn.cancel()

    async def run(self, taken: Taken) -> None:
        """Run a held turn until its end is stored; tried again while the store or the session's lane refuses it."""
        key = (taken.place.owner, taken.place.session)
        self._busy.add(key)
        try:
            for tries in count(1):
                await self._try(key, taken)
                if taken.turn_id not in self._held:
                    return
                taken = self._held[taken.turn_id]
                await asyncio.sleep(backoff(tries, longest=_LONGEST_WAIT))
        finally:
            self._busy.remove(key)
            self._stopped.discard(key)

    async def hand_back(self) -> None:
        """Leave unfinished turns to the next start. Call it after the workers and the turns have ended."""
        held, self._held = self._held, {}
        for taken in held.values():
            try:
                await self._inbox.hand_back(taken.turn_id)
                log.info("inbound.handed_back turn=%s", taken.turn_id)
            except StoreUnavailable:  # the next start takes it over, as one whose process died
                log.warning("inbound.not_handed_back turn=%s", taken.turn_id)

    async def _try(self, key: SessionKey, taken: Taken) -> None:
        """Run it once. Afterwards it is held only if its end is not stored."""
        message = taken.messages[-1]
        conversation = self._conversations.get(message.address.channel)
        shown = TypingAndPreview(
            conversation,
            message,
            reply_to=self._writer.reply_to(message),
            posted=taken.preview,
            note=partial(self._inbox.note_preview, taken.turn_id),
        )
        async with shown:
            await shown.begin()
            try:
                asker = "" if message.private else await self._person_of(identity_of(message), message.sender.name)
            except StoreUnavailable:
                return
            content = await content_of(taken.messages, self._fetcher, conversation)
            request = TurnRequest(
                id=taken.turn_id,
                owner=taken.place.owner,
                caller=identity_of(message) if message.private else "",
                session=taken.place.session,
                content=content,
                stream=shown.listens,
                address=message.address,
                asker=asker,
                reply=ChatReply(taken, self._writer, shown),
            )
            try:
                turn = self._turns.start(request)
            except (SessionBusy, ShuttingDown) as error:
                log.info("inbound.not_started turn=%s code=%s", request.id, error.code)
                await asyncio.to_thread(remove_uploads, request.uploads)
                return
            if turn.task is None:
                return
            self._running[key] = turn
            if key in self._stopped:
                turn.cancel()
            shown.follow(turn)
            try:
                await asyncio.wait([turn.task])
            finally:
                del self._running[key]
                if turn.task.done() and not turn.unsettled:
                    self._held.pop(taken.turn_id, None)
        if turn.unsettled and taken.turn_id in self._held:
            self._held[taken.turn_id] = replace(taken, preview=shown.posted)
