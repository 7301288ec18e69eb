"""A server that is killed has no recording transcribed twice, and answers what it had taken in."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from threading import Event

from assistant.store.store import open_engine
from tests.doubles.live_server import live_server, with_model
from tests.doubles.model_server import ModelServer
from tests.doubles.sounds import opus
from tests.doubles.speech_server import SpeechServer
from tests.doubles.telegram_api.server import TelegramServer

from .house import ANNA, say_by_voice, settings

QUOTED, OWN = opus(1, salt=b"quoted"), opus(2, salt=b"own")


async def killed_when(home: Path, config: dict[str, object], holds: Callable[[], bool]) -> None:
    """Start a server and kill it, by -9, as soon as `holds`."""
    reached = Event()

    def run() -> None:
        with live_server(home, config=config) as server:
            assert reached.wait(60)
            server.process.kill()
            server.process.wait()

    running = asyncio.create_task(asyncio.to_thread(run))
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - what another process did
            await asyncio.sleep(0.01)
    reached.set()
    await running


def kept(url: str) -> int:
    """How many recordings the store has with what was heard: the row comes behind the file."""
    link = open_engine(url).connect(writes=False)
    try:
        return link.execute("SELECT COUNT(*) FROM attachments")[0][0]
    finally:
        link.close()


async def test_between_transcription_and_turn(tmp_path: Path, url: str, upstream: ModelServer, speech: SpeechServer) -> None:
    upstream.configure(text="Noted.", chunks=1)
    async with TelegramServer() as telegram:
        config = {**with_model(upstream.url), **settings(telegram, speech), "store": {"url": url}}
        file_id = telegram.file(QUOTED, "voice/quoted.oga")
        quoted = telegram.message(ANNA, voice={"file_id": file_id, "file_unique_id": "q", "duration": 1, "file_size": len(QUOTED)})
        say_by_voice(telegram, OWN, reply_to_message=quoted)
        speech.held = b"own"
        speech.gate.clear()  # one recording is transcribed, the message's other one keeps its turn from beginning
        await killed_when(tmp_path / "home", config, lambda: speech.waiting.is_set() and kept(url) == 1)
        assert [each.data for each in speech.heard] == [QUOTED]
        assert upstream.stats.requests == 0
        speech.gate.set()
        with_answer = asyncio.create_task(telegram.until(lambda: bool(telegram.sent_to(ANNA)), within=60))
        await killed_when(tmp_path / "home", config, with_answer.done)
        assert [each.data for each in speech.heard if each.data == QUOTED] == [QUOTED], "it was kept before the rest of the turn"
        assert telegram.texts(ANNA) == ["Noted."]


async def test_between_turn_and_answer(tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer) -> None:
    upstream.configure(mode="hang")
    async with TelegramServer() as telegram:
        config = {**with_model(upstream.url), **settings(telegram, speech, quote="on"), "store": {"url": sqlite}}
        say_by_voice(telegram, OWN)
        await killed_when(tmp_path / "home", config, lambda: upstream.stats.inflight == 1)
        upstream.configure(mode="ok", text="Noted.", chunks=1)
        with_answer = asyncio.create_task(telegram.until(lambda: bool(telegram.sent_to(ANNA)), within=60))
        await killed_when(tmp_path / "home", config, with_answer.done)
        assert telegram.texts(ANNA) == ["I heard: remind me of the milk\n\nNoted."]
        assert len(speech.heard) == 1
