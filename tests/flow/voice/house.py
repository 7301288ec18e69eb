"""The whole server with a Telegram, a model, and something that hears and speaks, all of them stand-ins on loopback."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.contracts.messages import Text, UserMessage
from tests.doubles.model_server import ModelServer
from tests.doubles.sounds import opus
from tests.doubles.speech_server import SpeechServer
from tests.doubles.telegram_api.posted import Posted
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.ledger.house import LedgerHouse, ledger_house

ANNA = 42
"""She has some more chats behind this one: a platform takes one message a second in each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceHouse:
    ledger: LedgerHouse
    telegram: TelegramServer
    speech: SpeechServer

    def voice(self, data: bytes | None = None, *, chat: int = ANNA, kind: str = "voice", **more: Any) -> None:
        """Anna sends a voice message, or another `kind` of sound."""
        say_by_voice(self.telegram, data or opus(2.5), chat=chat, kind=kind, **more)

    async def answered(self, count: int = 1, *, chat: int = ANNA) -> list[Posted]:
        """What came back, once it is so much."""
        await self.telegram.until(lambda: len(self.telegram.sent_to(chat)) >= count)
        return self.telegram.sent_to(chat)

    async def messages(self, chat: int = ANNA) -> list[UserMessage]:
        """What people wrote there, the earliest first."""
        sessions = self.ledger.runtime.services.store.sessions
        owner = "local" if chat > 0 else f"telegram:{chat}"
        kept = [stored.message for stored in await sessions.messages(owner, f"telegram:{chat}")]
        return [message for message in kept if isinstance(message, UserMessage)]

    async def usage(self) -> dict[str, tuple[int, int]]:
        """By cause: (calls, cost)."""
        return {group.name: (group.calls, group.cost) for group in await self.ledger.usage("cause")}


def heard_in(message: UserMessage) -> list[Text]:
    """Its words that came by voice."""
    return [part for part in message.parts if isinstance(part, Text) and part.heard]


def say_by_voice(telegram: TelegramServer, data: bytes, *, chat: int = ANNA, kind: str = "voice", **more: Any) -> None:
    file_id = telegram.file(data, f"voice/file_{len(telegram.files)}.oga")
    body: dict[str, Any] = {"file_id": file_id, "file_unique_id": f"u{file_id}", "file_size": len(data), "duration": 2}
    body |= {"length": 240} if kind == "video_note" else {"mime_type": "audio/ogg"}
    telegram.deliver("message", telegram.message(chat, sender=ANNA if chat < 0 else None) | {kind: body, **more})


def settings(
    telegram: TelegramServer, speech: SpeechServer, budgets: object = (), sandbox: object = None, **voice: object
) -> dict[str, object]:
    """`voice`: over what hears at `speech`."""
    return {
        "budgets": budgets,
        **({"sandbox": sandbox} if sandbox else {}),
        "channels": {
            "telegram": {
                "enabled": True,
                "token": telegram.token,
                "apiBase": telegram.url,
                "owners": [str(ANNA + n) for n in range(10)],
                "groups": "all",
            }
        },
        "voice": {"transcriber": {"apiBase": speech.url, "price": 0.006}, **voice},
    }


@asynccontextmanager
async def voice_house(folder: Path, model: ModelServer, url: str, *, speech: SpeechServer, **voice: object) -> AsyncGenerator[VoiceHouse]:
    async with (
        TelegramServer() as telegram,
        ledger_house(folder, model, url, **settings(telegram, speech, **voice)) as ledger,
    ):
        yield VoiceHouse(ledger=ledger, telegram=telegram, speech=speech)
