"""Opens what hears and what speaks, where `voice` is configured; nothing of it is imported otherwise."""

import os
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from assistant.config import ConfigError, Loaded
from assistant.config.errors import ConfigProblem
from assistant.contracts.outbox import MediaFiles
from assistant.contracts.records import record
from assistant.contracts.sandbox import Sandbox
from assistant.contracts.voice import NoHearing, NoVoice, Speaker, Transcriber, VoiceHearing, VoiceMessages
from assistant.providers.choice import NoSuchProvider, reach
from assistant.providers.settings import ProviderSettings
from assistant.voice.settings import VoiceServer

if TYPE_CHECKING:
    from assistant.ledger.meter import Meter
    from assistant.providers.http import ProviderEndpoint
    from assistant.voice.converter import Converter

_SILENT: Final = NoVoice()


@record
class OpenVoice:
    """What turns hear with and answers are said with."""

    hearing: VoiceHearing
    messages: VoiceMessages


def build_voice(loaded: Loaded, meter: "Meter", sandbox: Sandbox, files: MediaFiles, opened: AsyncExitStack) -> OpenVoice:
    """`opened`: closes the connections. Raises ConfigError where a provider is not known."""
    settings, spool = loaded.config.voice, loaded.home / "spool"
    hearing: VoiceHearing = NoHearing()
    messages: VoiceMessages = _SILENT
    if (heard := open_transcriber(loaded)) and settings.transcriber:
        from assistant.ledger.voice import MeteredTranscriber, VoiceTariff  # noqa: PLC0415 - where it is configured
        from assistant.voice.hearing import SoundHearing  # noqa: PLC0415

        tariff = VoiceTariff(price=settings.transcriber.price, free=settings.transcriber.local)
        opened.push_async_callback(heard.close)
        metered = MeteredTranscriber(meter, heard, tariff)
        hearing = SoundHearing(metered, settings.transcriber, open_converter(loaded, sandbox), spool)
    if (speaker := open_speaker(loaded)) and settings.speaker:
        from assistant.ledger.voice import MeteredSpeaker, VoiceTariff  # noqa: PLC0415
        from assistant.voice.saying import SpokenMessages  # noqa: PLC0415

        opened.push_async_callback(speaker.close)
        metered_speaker = MeteredSpeaker(meter, speaker, VoiceTariff(price=settings.speaker.price))
        messages = SpokenMessages(metered_speaker, settings.speaker, open_converter(loaded, sandbox), files, spool)
    return OpenVoice(hearing=hearing, messages=messages)


def open_transcriber(loaded: Loaded) -> Transcriber | None:
    """Without a meter. None: none is configured. Raises ConfigError."""
    settings = loaded.config.voice.transcriber
    if settings is None:
        return None
    if settings.local:
        from assistant.voice.whisper import LocalTranscriber  # noqa: PLC0415

        return LocalTranscriber(settings, weights_folder(loaded))
    from assistant.voice.server import ServerTranscriber  # noqa: PLC0415

    return ServerTranscriber(_endpoint(loaded, "transcriber", settings, settings.model or _usual_model(settings)), settings)


def _usual_model(settings: VoiceServer) -> str:
    return "gpt-transcribe" if settings.provider == "openai" else "whisper-1"


def open_speaker(loaded: Loaded) -> Speaker | None:
    """As `open_transcriber`."""
    settings = loaded.config.voice.speaker
    if settings is None:
        return None
    from assistant.voice.server import ServerSpeaker  # noqa: PLC0415

    return ServerSpeaker(_endpoint(loaded, "speaker", settings, settings.model), settings)


def open_converter(loaded: Loaded, sandbox: Sandbox) -> "Converter":
    from assistant.voice.converter import Converter  # noqa: PLC0415

    return Converter(sandbox, loaded.home / "sandbox")


def weights_folder(loaded: Loaded) -> Path:
    """Of the transcriber that runs here; relative to the configuration's folder."""
    named = loaded.config.voice.transcriber and loaded.config.voice.transcriber.model
    return (loaded.folder / Path(named).expanduser()).resolve() if named else loaded.home / "whisper"


def _endpoint(loaded: Loaded, part: str, settings: VoiceServer, model: str) -> "ProviderEndpoint":
    from assistant.providers.http import ProviderEndpoint  # noqa: PLC0415

    if settings.api_base is not None:
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        endpoint = ProviderEndpoint(provider=part, model=model, settings=ProviderSettings(api_base=settings.api_base), key=key)
        endpoint.peer = replace(endpoint.peer, key_source=f"voice.{part}.apiKey")
        return endpoint
    named = settings.provider or ""
    try:
        reached = reach(named, providers=loaded.config.providers, environment=os.environ)
    except NoSuchProvider as error:
        raise ConfigError(ConfigProblem(path=("voice", part, "provider"), text=str(error))) from error
    endpoint = ProviderEndpoint(provider=reached.provider, model=model, settings=reached.settings, key=reached.key.get_secret_value())
    if endpoint.wire != "openai":
        words = f"{reached.provider} has no /audio of OpenAI's API: name another provider, or an apiBase"
        raise ConfigError(ConfigProblem(path=("voice", part, "provider"), text=words))
    return endpoint
