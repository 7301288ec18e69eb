"""Messages to people by name: who is meant, in which chat they are reached, and what their sender may know of it."""

from dataclasses import dataclass
from typing import Final

from assistant.contracts.channels import ChannelDirectory
from assistant.contracts.errors import InvalidAddress
from assistant.contracts.outbox import ToPerson
from assistant.contracts.people import ME, Addressee, PeopleDirectory, Person, PersonConflict, PersonNotFound, shown_person

_MOST_NAMES: Final = 20
_CHAT: Final = " A chat is written channel:chat_id."
_NO_OWN_CHAT: Final = (
    "There is no chat in which you can be reached: write to the assistant from Telegram, Discord or another channel that is enabled once "
    "(/link makes that chat the same person's)."
)


@dataclass(frozen=True, slots=True)
class Addressees:
    """Finds people for those who write to them. Names and chats of others are told to the owner alone."""

    people: PeopleDirectory
    channels: ChannelDirectory

    async def find(self, wanted: str, asker: str, *, in_group: bool = False) -> Addressee:
        """`wanted`: "me", or a person's name, id or identity. `asker`: the id of the sender. `in_group`: others read the answer. Raises
        InvalidAddress: there is no such person, or no chat; StoreUnavailable."""
        own, who = await self.people.person(asker), wanted.strip()
        if who.casefold() == ME:
            return await self._reached(own, who, own=True, told=True, in_group=in_group)
        if in_group:
            raise InvalidAddress('In a group only "me" is written to by name: that is your own private chat.', param="to")
        told = own is not None and own.role == "owner"
        try:
            found = await self.people.find(who)
        except PersonNotFound:
            raise await self._unknown(who, told=told) from None
        except PersonConflict:
            raise await self._ambiguous(who, told=told) from None
        return await self._reached(found, who, own=own is not None and found.id == own.id, told=told, in_group=False)

    async def _reached(self, person: Person | None, who: str, *, own: bool, told: bool, in_group: bool) -> Addressee:
        chats = await self.people.chats(person.id) if person is not None else ()
        if person is None or not chats:
            if own:
                raise InvalidAddress(_NO_OWN_CHAT, param="to")
            if not told:
                raise await self._unknown(who, told=False)
            name = person.name or shown_person(person.id) if person is not None else who
            words = f"{name} has no chat on an enabled channel: nanobot people prefer {name} CHANNEL:CHAT_ID names one."
            raise InvalidAddress(words, param="to")
        hidden = in_group or not (own or told)
        to = ToPerson(id=person.id, name="you" if own else person.name or who, hidden=hidden)
        return Addressee(person=to, address=chats[0], own=own, preferred=chats[0] in person.prefers)

    async def _unknown(self, who: str, *, told: bool) -> InvalidAddress:
        if not told:
            return InvalidAddress(f'There is no person "{who[:64]}" that you can write to. "me" is yourself.{_CHAT}', param="to")
        names = [person.name or shown_person(person.id) for person in await self.people.list()]
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        return InvalidAddress(f'There is no person "{who[:64]}". There are: {", ".join(names[:_MOST_NAMES])}{more}.{_CHAT}', param="to")

    async def _ambiguous(self, who: str, *, told: bool) -> InvalidAddress:
        if not told:
            words = f'Several people are called "{who[:64]}". The one who runs the assistant can tell them apart (nanobot people name).'
            return InvalidAddress(words, param="to")
        ids = [shown_person(person.id) for person in await self.people.list() if person.name.casefold() == who.casefold()]
        return InvalidAddress(f'Several people are called "{who[:64]}": give the id of the one you mean ({", ".join(ids)}).', param="to")
