"""For whom the messages of a schedule are, and in which chat they go out now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from assistant.contracts.addresses import Address
from assistant.contracts.outbox import ToPerson
from assistant.contracts.people import PeopleDirectory
from assistant.contracts.schedules import NewSchedule, Schedule

Offers = Callable[[Address], bool]


def receiver_of(new: NewSchedule) -> str:
    """The id of the person who gets the messages: the one that it names, else its owner."""
    return new.person.id if new.person else new.owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """The chat of a schedule, and the person in it, whose next channel follows where it can't be reached."""

    address: Address | None
    """None: it has none; or there is no chat in which the person is reached."""
    person: ToPerson | None

    def placed(self, schedule: Schedule) -> Schedule:
        return replace(schedule, new=replace(schedule.new, address=self.address))


def placed_at(new: NewSchedule, chats: Sequence[Address], address: Address | None = None) -> Receiver:
    """`chats`: of `receiver_of`. `address`: another than the schedule's own. A chat that the schedule names stays first; where it is a private one
    of its owner, their others follow."""
    if new.person is not None and address is None:
        return Receiver(address=chats[0] if chats else None, person=new.person if chats else None)
    where = address or new.address
    own = new.person is None and where is not None and any(where.lane == chat.lane for chat in chats)
    return Receiver(address=where, person=ToPerson(id=new.owner) if own else None)


async def chats_of(person: str, people: PeopleDirectory, offers: Offers) -> list[Address]:
    """Where a person is reached now."""
    return [address for address in await people.chats(person) if offers(address)]
