"""The ports to voice: recordings that become words, and words that become a voice message."""

from dataclasses import field
from pathlib import Path
from typing import Final, Protocol

from assistant.contracts.causes import Payer
from assistant.contracts.errors import UnsupportedContent
from assistant.contracts.messages import Usage
from assistant.contracts.outbox import Media
from assistant.contracts.records import record

VOICE_FILE: Final = "voice"
"""What the file of a voice message is called, before its suffix."""
VOICE_TYPE: Final = "audio/ogg"
"""What chats show as a voice message, not as a file."""


@record
class Sound:
    """A sound on the disk."""

    path: Path
    size: int
    kind: str = ""
    """What the bytes are: "ogg", "mp3", "wav", "flac", "m4a", "mp4", "webm" …; empty: not looked at yet."""
    seconds: float | None = None
    """None: not known."""


@record
class Heard:
    """The words of a recording, in its own language; a Transcriber may hear none."""

    text: str
    seconds: float | None = None
    """How long it is; None: not known."""
    usage: Usage = field(default_factory=Usage)
    """Tokens, where its server counts some."""


class Transcriber(Protocol):
    """A model that hears.

    Raises UnreadableFile (it is no sound that the model takes, or holds no words), and what a ModelProvider raises. No error text holds a key.
    Cancelling a call ends its work.
    """

    @property
    def names(self) -> tuple[str, str]:
        """(Its provider, its model), as the ledger has them."""
        ...

    async def transcribe(self, recording: Sound, payer: Payer) -> Heard:
        """`recording`: with its kind."""
        ...

    async def close(self) -> None:
        """Safe to call twice."""
        ...


class VoiceHearing(Protocol):
    """Hears recordings, within the limits of the configuration."""

    def takes(self, head: bytes) -> bool:
        """Whether a file that begins with these 64 bytes is a recording, by its content."""
        ...

    async def hear(self, recording: Sound, payer: Payer) -> Heard:
        """Raises FileTooLarge or UnreadableFile (over a limit), and what a Transcriber raises. Messages begin with a verb: "is longer than …"."""
        ...


class NoHearing:
    """Where no transcriber is configured."""

    def takes(self, head: bytes) -> bool:
        return False

    async def hear(self, recording: Sound, payer: Payer) -> Heard:
        raise UnsupportedContent("Nothing here hears: voice.transcriber is not configured.")


class Speaker(Protocol):
    """A model that speaks. Raises what a ModelProvider raises."""

    @property
    def names(self) -> tuple[str, str]:
        """As of a Transcriber."""
        ...

    async def speak(self, text: str, payer: Payer) -> bytes:
        """The sound. `text`: without Markdown, not empty."""
        ...

    async def close(self) -> None: ...


class NotSpoken(Exception):
    """There is no voice message; `str(error)` says why, in a clause: "the text is longer than …". The words can still be sent."""


class VoiceMessages(Protocol):
    """Makes voice messages."""

    @property
    def ready(self) -> bool:
        """Whether a speaker is configured."""
        ...

    async def say(self, text: str, payer: Payer) -> Media:
        """A text in Markdown as a file to be sent: OGG/Opus, which chats show as a voice message; what its server gives where that can't be
        converted. Bounded in time. Raises NotSpoken."""
        ...


class NoVoice:
    """Where no speaker is configured."""

    ready = False

    async def say(self, text: str, payer: Payer) -> Media:
        raise NotSpoken("no speaker is configured (voice.speaker)")
