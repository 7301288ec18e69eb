"""`/link`: a code that joins another chat of the same person, and the entering of one. `/prefer`: which of them is written to first."""

from dataclasses import replace

from assistant.contracts.errors import NanobotError, RateLimited, StoreUnavailable
from assistant.contracts.inbox import CommandCall, InboundMessage, Pairing
from assistant.inbound import phrases as words
from assistant.inbound.replies import identity_of
from assistant.store.links import LinkStore
from assistant.store.people import PeopleStore


class ChatLinks:
    """Answers `/link`, `/link CODE`, `/prefer` and `/prefer off`, in private chats only."""

    def __init__(self, links: LinkStore, people: PeopleStore) -> None:
        self._links = links
        self._people = people

    async def answer(self, call: CommandCall) -> str:
        """For a sender who may write. Raises what `LinkStore.enter` raises."""
        if not call.message.private:
            return words.LINK_IN_PRIVATE
        if not call.arguments.strip():
            return words.link_code((await self._links.code(call.place.owner)).code)
        await self._links.enter(call.arguments, identity_of(call.message))
        return words.LINKED

    async def prefer(self, call: CommandCall) -> str:
        """For a sender who may write."""
        person = await self._people.person(call.place.owner)
        if not call.message.private or person is None:
            return words.PREFER_IN_PRIVATE
        here = replace(call.message.address, thread_id=None)
        others = [address for address in person.prefers if address != here]
        wanted = [] if call.arguments.strip().casefold() == "off" else [here, *others]
        await self._people.change(person.id, prefers=wanted)
        return words.PREFERRED if wanted else words.NOT_PREFERRED

    async def of_stranger(self, message: InboundMessage) -> str | None:
        """For a sender who may not write: with a right code, from then on they may. None: they entered none, or too many wrong ones. Raises
        StoreUnavailable."""
        command, sender = message.command, message.sender
        if command is None or command.name != "link" or not command.arguments.strip():
            return None
        if not (message.private and message.trusted and sender.id):
            return None
        channel, chat = message.address.channel, message.address.chat_id
        let_in = Pairing(channel=channel, sender=sender, chat_id=chat, code=None, created=message.at, expires_at=None)
        try:
            await self._links.enter(command.arguments, identity_of(message), stranger=let_in)
        except StoreUnavailable:
            raise  # the platform sends it again
        except RateLimited:
            return None  # told no more
        except NanobotError as error:
            return error.message
        return words.LINKED
