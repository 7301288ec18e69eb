"""`nanobot doctor` asks what hears and what speaks, and says how to fix what is wrong."""

import asyncio
import json
from pathlib import Path

from tests.doubles.speech_server import SpeechServer
from tests.flow.nanobot_process import Nanobot

KEY = "sk-secret-key-of-mine"


async def found(folder: Path, **config: object) -> tuple[dict[str, str], str]:
    """(The findings about voice by name, all of it)."""
    (folder / "config.json").write_text(json.dumps({"agents": {"defaults": {"provider": "offline"}}, **config}))
    done = await asyncio.to_thread(Nanobot(folder=folder), "doctor")
    assert KEY not in done.stdout + done.stderr
    about = [line for line in done.stdout.splitlines() if line[7:].split()[:1] in (["transcriber"], ["speaker"], ["ffmpeg"])]
    return {line[7:].split()[0]: line for line in about}, done.stdout


async def test_what_hears_and_speaks_is_tried(tmp_path: Path) -> None:
    async with SpeechServer(key=KEY) as speech:
        server = {"apiBase": speech.url, "apiKey": KEY}
        well, _ = await found(tmp_path, voice={"transcriber": server, "speaker": {**server, "format": "wav"}})
        assert well["transcriber"] == "ok     transcriber    transcriber, whisper-1; a second of silence was transcribed"
        assert well["speaker"] == "ok     speaker        speaker, gpt-4o-mini-tts, alloy; a word was spoken"
        wrong = {"transcriber": {"apiBase": speech.url}, "speaker": {"apiBase": speech.url, "apiKey": "sk-another", "format": "wav"}}
        lines, said = await found(tmp_path, voice=wrong, sandbox={"rung": "none"})
        assert "WRONG  transcriber    transcriber refused the key" in lines["transcriber"]
        assert "Check voice.transcriber.apiKey." in lines["transcriber"]
        assert "WRONG  speaker" in lines["speaker"]
        assert "answers by voice are files, and no voice messages" in lines["ffmpeg"]
        assert "to fix it: correct voice.transcriber (docs/voice.md)" in said
    gone, _ = await found(tmp_path, voice={"transcriber": server})
    assert "can't be reached at" in gone["transcriber"]


async def test_what_is_missing_here_is_said_with_its_command(tmp_path: Path) -> None:
    lines, said = await found(tmp_path, voice={"transcriber": "local"})
    assert lines["transcriber"].endswith("faster-whisper is not installed: pip install 'nanobot[voice]'")
    folder = tmp_path / "home" / "whisper"
    assert "to fix it: pip install 'nanobot[voice]' && pip install huggingface_hub && hf download Systran/faster-whisper-small" in said
    assert f" --local-dir {folder}\n" in said


async def test_a_provider_that_is_none_is_named(tmp_path: Path) -> None:
    lines, _ = await found(tmp_path, voice={"transcriber": "opnai", "speaker": "anthropic"})
    assert "'opnai' is not a known provider" in lines["transcriber"]
    assert "anthropic has no /audio of OpenAI's API" in lines["speaker"]
