"""Short forms for what comes in."""

from datetime import UTC, datetime
from itertools import count

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundMessage, Role, Sender, SessionRef, Taken
from assistant.contracts.outbox import OutboundEvent

from .sent import event

_numbers = count(1)
_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def message(text: str = "hello", *, external_id: str | None = None, chat: str = "42", channel: str = "telegram") -> InboundMessage:
    return InboundMessage(
        external_id=external_id or f"ext_{next(_numbers)}",
        address=Address(channel=channel, chat_id=chat),
        sender=Sender(id="7", name="Anna"),
        private=True,
        text=text,
        at=_AT,
    )


def place(session: str = "telegram:42", *, owner: str = "telegram:7", role: Role = "user") -> SessionRef:
    return SessionRef(owner=owner, session=session, role=role)


def notice(taken: Taken) -> OutboundEvent:
    return event(f"set aside: {' '.join(texts(taken))}", event_id=f"evt_aside_{taken.turn_id}", chat=taken.messages[0].address.chat_id)


def texts(taken: Taken) -> list[str]:
    return [message.text for message in taken.messages]
