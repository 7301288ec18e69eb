"""The `voice` section."""

from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from assistant.contracts.util import Settings

LOCAL: Final = "local"


def _named(value: object) -> object:
    """ "openai" is short for {"provider": "openai"}."""
    return {"provider": value} if isinstance(value, str) else value


class VoiceServer(Settings):
    """Where a model that hears or speaks is."""

    provider: str | None = None
    """One of `providers`, or one that is known by name and has its key in the environment: `"openai"`, `"groq"`. null: `apiBase` says where."""
    api_base: Annotated[str | None, Field(pattern=r"^https?://.+$")] = None
    """In place of a provider: the URL before "/audio/…": `"http://127.0.0.1:8000/v1"`."""
    api_key: SecretStr | None = None
    """Beside `apiBase`, where that server wants a key."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if bool(self.provider) == bool(self.api_base):
            raise ValueError("needs a provider or an apiBase, and not both")
        if self.provider and self.api_key:
            raise ValueError(f"has an apiKey, which only goes with apiBase: set providers.{self.provider}.apiKey")
        return self


class TranscriberSettings(VoiceServer):
    """What hears: a server that speaks OpenAI's `/audio/transcriptions`; or `"local"`: faster-whisper on this machine, which needs the extra
    `voice`."""

    model: str | None = None
    """The model, as its server calls it. null: `"gpt-transcribe"` with OpenAI, else `"whisper-1"`. With `"local"`: the folder of its weights; null:
    `whisper` in the state's folder."""
    language: Annotated[str | None, Field(pattern=r"^[a-z]{2,3}$")] = None
    """What is spoken, in ISO 639-1: `"de"`. null: the model finds out."""
    max_seconds: Annotated[float, Field(gt=0, le=14_400)] = 600.0
    """A longer recording is not heard, and the sender is told so."""
    max_mib: Annotated[float, Field(gt=0, le=500)] = 20.0
    """Nor is a larger one."""
    timeout: Annotated[float, Field(gt=0, le=3_600)] = 60.0
    """Seconds until a recording is given up."""
    price: Annotated[float | None, Field(ge=0)] = None
    """What a minute costs, in US dollars. null: unknown; with `"local"`, nothing."""
    memory_mib: Annotated[int, Field(ge=256, le=65_536)] = 4_096
    """With `"local"`: memory of the process that hears."""
    threads: Annotated[int, Field(ge=1, le=256)] = 2
    """With `"local"`: of the processor."""

    @property
    def local(self) -> bool:
        return self.provider == LOCAL


class SpeakerSettings(VoiceServer):
    """What speaks: a server that speaks OpenAI's `/audio/speech`."""

    model: str = "gpt-4o-mini-tts"
    """The model, as its server calls it."""
    voice: str = "alloy"
    """One of its voices."""
    format: Literal["opus", "mp3", "wav", "flac", "aac"] = "opus"
    """What is asked of the server. Chats show OGG/Opus as a voice message: everything but `"opus"` is made that by ffmpeg."""
    max_chars: Annotated[int, Field(ge=1, le=100_000)] = 4_000
    """A longer text is sent in writing alone. OpenAI takes 4,096."""
    timeout: Annotated[float, Field(gt=0, le=300)] = 30.0
    """Seconds until the words are sent without a voice."""
    price: Annotated[float | None, Field(ge=0)] = None
    """What a million characters cost, in US dollars. null: unknown."""


class VoiceSettings(Settings):
    transcriber: Annotated[TranscriberSettings | None, BeforeValidator(_named, json_schema_input_type=TranscriberSettings | str | None)] = (
        None
    )
    """What hears voice messages. A name is short for a provider: `"openai"`, `"local"`. null: they are kept, and the model is told that nothing
    hears them."""
    speaker: Annotated[SpeakerSettings | None, BeforeValidator(_named, json_schema_input_type=SpeakerSettings | str | None)] = None
    """What speaks. A name is short for a provider. null: nothing."""
    reply: Literal["off", "same"] = "off"
    """`"same"`: what was asked by voice is answered by voice, too. `"off"`: only where someone asks for it."""
    quote: Literal["off", "on"] = "off"
    """`"on"`: what was heard is quoted in front of the answer."""

    @model_validator(mode="after")
    def _can_reply(self) -> Self:
        if self.reply == "same" and self.speaker is None:
            raise ValueError('voice.reply is "same", which needs voice.speaker')
        if self.speaker is not None and self.speaker.provider == LOCAL:
            raise ValueError("voice.speaker can't be \"local\": name a server by apiBase, such as Kokoro's or Piper's on this machine")
        return self
