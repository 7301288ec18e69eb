"""What was asked by voice is answered by voice, where that is configured, and the words always go with it."""

import shutil
from pathlib import Path

import pytest

from tests.doubles.model_server import ModelServer
from tests.doubles.sounds import opus, wav
from tests.doubles.speech_server import Refusing, SpeechServer
from tests.doubles.telegram_api.posted import Posted

from .house import ANNA, VoiceHouse, voice_house

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def speaking(speech: SpeechServer, **more: object) -> dict[str, object]:
    return {"reply": "same", "speaker": {"apiBase": speech.url, "model": "tts-1", "price": 15, **more}}


async def spoken(house: VoiceHouse, chat: int = ANNA) -> tuple[list[str], list[Posted]]:
    """(The words that came back, the messages with a sound)."""
    await house.telegram.until(lambda: any(each.files for each in house.telegram.sent_to(chat)))
    sent = house.telegram.sent_to(chat)
    return [each.text for each in sent if each.text], [each for each in sent if each.files]


async def test_a_voice_message_is_answered_by_one_with_its_words(
    tmp_path: Path, url: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    upstream.configure(text="The **milk** is [here](https://example.org).\n\n```\ncode\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |", chunks=1)
    async with voice_house(tmp_path, upstream, url, speech=speech, **speaking(speech)) as house:
        house.voice()
        words, (note,) = await spoken(house)
        assert "The milk is here" in words[0]
        (file,) = note.files
        assert (note.method, file.name, file.media_type, file.data) == ("sendVoice", "voice.ogg", "audio/ogg", opus(1.0))
        said = "The milk is here.\na\nb\n1\n2"
        assert speech.said == [{"model": "tts-1", "voice": "alloy", "response_format": "opus", "input": said}]
        calls, cost = (await house.usage())["voice"]
        assert (calls, cost) == (2, round(0.006 * 2.5 / 60 * 1e9) + round(15 * len(said) / 1e6 * 1e9))
        house.telegram.say(ANNA + 1, "and this is written")
        await house.answered(chat=ANNA + 1)
        assert len(speech.said) == 1


async def test_a_failure_of_what_speaks_never_loses_the_words(
    tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    upstream.configure(text="The milk is here.", chunks=1)
    failures: list[tuple[Refusing | bytes, str]] = [
        (Refusing(status=503, headers={"Retry-After": "0"}), "what speaks failed"),
        (Refusing(status=401), "what speaks failed"),
        (Refusing(status=200, body=b"", headers={"Content-Type": "audio/ogg"}), "what speaks failed"),
        (Refusing(status=200, body=b'{"error": "no"}', headers={"Content-Type": "application/json"}), "what speaks failed"),
        (b"not a sound at all", "what speaks sent no sound"),
    ]
    async with voice_house(tmp_path, upstream, sqlite, speech=speech, **speaking(speech)) as house:
        for number, (failure, reason) in enumerate(failures):
            speech.mutes += [failure, failure] if isinstance(failure, Refusing) else ()
            speech.sound = failure if isinstance(failure, bytes) else None
            house.voice(opus(number + 1), chat=ANNA + number)
            (answer,) = await house.answered(chat=ANNA + number)
            await house.telegram.until(lambda answer=answer: "by voice" in answer.text)
            assert answer.text.startswith("The milk is here.\n\n[I could not say this by voice: " + reason), failure
            assert answer.files == ()
            speech.mutes.clear()


async def test_a_long_answer_is_written_alone(tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer) -> None:
    upstream.configure(text="The milk is here.", chunks=1)
    async with voice_house(tmp_path, upstream, sqlite, speech=speech, **speaking(speech, maxChars=5)) as house:
        house.voice()
        await house.telegram.until(lambda: any("by voice" in each.text for each in house.telegram.sent_to(ANNA)))
        assert "[I could not say this by voice: it is longer than 5 characters.]" in house.telegram.sent_to(ANNA)[0].text
        assert speech.said == []


async def test_another_sound_is_sent_as_it_is_where_nothing_can_convert_it(
    tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    speech.sound = wav(0.2)
    more = speaking(speech, format="wav")
    async with voice_house(tmp_path, upstream, sqlite, speech=speech, sandbox={"rung": "none"}, **more) as house:
        house.voice()
        words, (sound,) = await spoken(house)
        assert words[0].startswith("tok0")
        assert [(file.name, file.data) for file in sound.files] == [("voice.wav", wav(0.2))]


@needs_ffmpeg
async def test_another_sound_is_made_a_voice_message_by_ffmpeg(
    tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    speech.sound = wav(1)
    async with voice_house(tmp_path, upstream, sqlite, speech=speech, **speaking(speech, format="wav")) as house:
        house.voice()
        _, (note,) = await spoken(house)
        (file,) = note.files
        assert (note.method, file.name, file.data[:4], b"OpusHead" in file.data[:64]) == ("sendVoice", "voice.ogg", b"OggS", True)
        assert list((tmp_path / "sandbox").glob("voice-*")) == []


async def test_the_model_sends_a_voice_message_where_it_is_asked_for_one(
    tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    voice = {"speaker": {"apiBase": speech.url}}
    async with voice_house(tmp_path, upstream, sqlite, speech=speech, **voice) as house:
        house.telegram.say(ANNA, 'say it CALLTOOL message {"content": "*Good* morning", "voice": true}')
        words, (note,) = await spoken(house)
        assert (note.method, note.text) == ("sendVoice", "Good morning")
        assert [each["input"] for each in speech.said] == ["Good morning"]
        await house.answered(2)
        speech.mutes.append(Refusing(status=401))
        house.telegram.say(ANNA + 1, 'say it CALLTOOL message {"content": "Good evening", "voice": true}')
        await house.answered(2, chat=ANNA + 1)
        assert words
        assert house.telegram.sent_to(ANNA + 1)[0].text == "Good evening"
        assert b"It went out in writing alone: what speaks failed." in upstream.bodies[-1]


@pytest.mark.parametrize("speaks", [True, False], ids=["speaks", "can't speak"])
async def test_only_a_model_that_can_speak_is_told_of_voices(
    tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer, speaks: bool
) -> None:
    more = {"speaker": {"apiBase": speech.url}} if speaks else {}
    async with voice_house(tmp_path, upstream, sqlite, speech=speech, **more) as house:
        house.telegram.say(ANNA, "hello")
        await house.answered(1)
        assert (b"voice message" in upstream.bodies[-1]) is speaks
