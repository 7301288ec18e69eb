"""faster-whisper in a process of its own, by a stand-in for the package: what it hears, and what keeps it from harm."""

import sys
from pathlib import Path

import pytest

from assistant.contracts.causes import Payer
from assistant.contracts.errors import NanobotError
from assistant.contracts.sandbox import NoSandbox
from assistant.contracts.voice import Sound
from assistant.voice.converter import Converter
from assistant.voice.hearing import SoundHearing
from assistant.voice.settings import TranscriberSettings
from assistant.voice.whisper import LocalTranscriber
from tests.doubles.model_server import ModelServer
from tests.doubles.sounds import opus
from tests.doubles.speech_server import SpeechServer

from .house import heard_in, voice_house

STAND_IN = Path(__file__).parents[2] / "doubles" / "whisper"
ANNA = Payer(owner="local", caller="local")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with some, beside the stand-in for the package."""
    monkeypatch.setattr(sys, "path", [str(STAND_IN), *sys.path])
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"weights")
    return folder


def hearing(folder: Path, **more: object) -> SoundHearing:
    settings = TranscriberSettings.model_validate({"provider": "local", "model": str(folder), **more})
    return SoundHearing(LocalTranscriber(settings, folder), settings, Converter(NoSandbox(), folder), folder)


async def heard(ears: SoundHearing, folder: Path, data: bytes) -> str:
    """The words, or what is said in their place."""
    path = folder / "recording"
    path.write_bytes(data)
    try:
        return (await ears.hear(Sound(path=path, size=len(data)), ANNA)).text
    except NanobotError as error:
        return f"{error.code}: {error.message}"


async def test_each_recording_has_a_process_that_can_harm_nothing(weights: Path) -> None:
    ears = hearing(weights, timeout=20, memoryMib=512, language="de")
    said = [await heard(ears, weights, opus(1, salt=salt)) for salt in (b"", b"LOUD", b"BROKEN", b"NOTHING", b"HUGE")]
    assert said == [
        "heard by tiny in de",
        "heard by tiny in de",
        "unreadable_file: can't be decoded (ValueError).",
        "unreadable_file: holds no words that could be heard.",
        "provider_error: The transcriber needs more than 512 MiB of memory (voice.transcriber.memoryMib).",
    ]


async def test_one_that_does_not_end_is_killed(weights: Path) -> None:
    said = await heard(hearing(weights, timeout=1), weights, opus(1, salt=b"SLOW"))
    assert said == "provider_timeout: The transcriber took longer than 1 s (voice.transcriber.timeout)."


async def test_weights_that_are_not_there_are_said_with_the_way_to_get_them(weights: Path) -> None:
    (weights / "model.bin").write_bytes(b"UNLOADABLE")
    assert await heard(hearing(weights), weights, opus(1)) == f"provider_error: The weights in {weights} can't be loaded (RuntimeError)."
    (weights / "model.bin").unlink()
    said = await heard(hearing(weights), weights, opus(1))
    assert said.startswith(f"provider_error: {weights} holds no weights of faster-whisper (model.bin is missing): pip install")
    assert said.endswith(f"hf download Systran/faster-whisper-small --local-dir {weights}")


async def test_without_the_package_the_command_is_said(tmp_path: Path) -> None:
    assert (
        await heard(hearing(tmp_path), tmp_path, opus(1)) == "provider_error: faster-whisper is not installed: pip install 'nanobot[voice]'"
    )


async def test_a_voice_message_is_heard_on_this_machine_and_costs_nothing(
    tmp_path: Path, sqlite: str, weights: Path, upstream: ModelServer, speech: SpeechServer
) -> None:
    async with voice_house(tmp_path, upstream, sqlite, speech=speech, transcriber={"provider": "local", "model": "tiny"}) as house:
        house.voice()
        await house.answered()
        ((words,),) = [heard_in(message) for message in await house.messages()]
        assert words.text == "heard by tiny in None"
        assert (await house.usage())["voice"] == (1, 0)
        assert speech.asked == 0
