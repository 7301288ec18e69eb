"""Which files are sounds, how long they are, what of a text is said, and what ffmpeg does with all of it in the sandbox."""

import shutil
import subprocess
from pathlib import Path

import pytest

from assistant.voice.saying import spoken
from assistant.voice.sounds import kind_of, seconds_of
from tests.doubles.model_server import ModelServer
from tests.doubles.sounds import opus, wav
from tests.doubles.speech_server import SpeechServer

from .house import ANNA, voice_house

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (opus(1), "ogg"),
        (wav(1), "wav"),
        (b"ID3\x03\0", "mp3"),
        (b"\xff\xfb\x90\x00", "mp3"),
        (b"fLaC\0\0\0\x22", "flac"),
        (b"\0\0\0\x1cftypM4A \0", "m4a"),
        (b"\0\0\0\x18ftypmp42\0", "mp4"),
        (b"\x1aE\xdf\xa3\x01", "webm"),
        (b"#!AMR\n", "amr"),
        (b"\0\0\0\x18ftypheic", ""),
        (b"RIFF\0\0\0\0WEBP", ""),
        (b"#EXTM3U\nhttp://127.0.0.1/x.ogg", ""),
        (b"ffconcat version 1.0\nfile /etc/passwd", ""),
        (b"\xff\xfeh\0i\0", ""),
        (b"", ""),
    ],
)
def test_a_sound_is_known_by_its_bytes(head: bytes, kind: str) -> None:
    assert kind_of(head[:64]) == kind


@pytest.mark.parametrize(
    ("data", "kind", "seconds"),
    [
        (opus(0), "ogg", 0.0),
        (opus(3_600), "ogg", 3_600.0),
        (opus(2) + bytes(300_000), "ogg", None),
        (opus(2)[:20], "ogg", None),
        (b"OggS\0" + bytes(9), "ogg", None),
        (wav(1.5), "wav", 1.5),
        (wav(1.5)[:30], "wav", None),
        (b"RIFF\0\0\0\0WAVEfmt " + bytes(16) + b"data\0\0\0\0" + bytes(99), "wav", None),
        (b"ID3\x03\0", "mp3", None),
    ],
)
def test_its_length_is_what_it_says_itself(tmp_path: Path, data: bytes, kind: str, seconds: float | None) -> None:
    file = tmp_path / "sound"
    file.write_bytes(data)
    assert seconds_of(file, kind) == seconds


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Good *morning*, **Anna**.", "Good morning, Anna."),
        ("# Today\n\n- milk\n- `bread`\n\n1. first", "Today\nmilk\nbread\nfirst"),
        ("See [the page](https://example.org/a?b=c) ![a cat](x.png).", "See the page ."),
        ("a\n\n```python\nprint(1)\n```\n\nb", "a\nb"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a\nb\n1\n2"),
        ("> he said\n> so", "he said so"),
        ("1 < 2 & <b>3</b>", "1 < 2 & <b>3</b>"),
        ("```\nonly code\n```", ""),
    ],
)
def test_a_text_is_said_without_its_marks(written: str, said: str) -> None:
    assert spoken(written) == said


def made(folder: Path, name: str, *options: str) -> bytes:
    """A file of two seconds by ffmpeg."""
    file = folder / name
    command = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "sine=duration=2", *options, str(file)]
    subprocess.run(command, check=True, timeout=30)
    return file.read_bytes()


@needs_ffmpeg
async def test_what_the_transcriber_does_not_take_or_has_no_length_is_made_ogg(
    tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    film = made(tmp_path, "note.mp4", "-f", "lavfi", "-i", "color=size=64x64:duration=2", "-shortest")
    song = made(tmp_path, "song.mp3")
    silent = made(tmp_path, "silent.mp4", "-f", "lavfi", "-i", "color=size=64x64:duration=2", "-map", "1:v")
    limits = {"apiBase": speech.url, "maxSeconds": 3}
    async with voice_house(tmp_path, upstream, sqlite, speech=speech, transcriber=limits) as house:
        for number, (data, kind) in enumerate([(film, "video_note"), (song, "audio")]):
            house.voice(data, chat=ANNA + number, kind=kind)
            await house.answered(chat=ANNA + number)
            sent = speech.heard[number]
            assert (sent.name, sent.data[:4], b"OpusHead" in sent.data[:64]) == ("recording.ogg", b"OggS", True)
        for number, (data, reason) in enumerate(
            [(silent, "it holds no sound that can be read."), (b"#EXTM3U\n/etc/passwd", "it is no sound in a form that is known here.")], 2
        ):
            house.voice(data, chat=ANNA + number, kind="video_note")
            assert reason in (await house.answered(chat=ANNA + number))[0].text
        assert len(speech.heard) == 2
        assert [path.name for path in (tmp_path / "spool").iterdir()] == []
        assert list((tmp_path / "sandbox").glob("voice-*")) == []
