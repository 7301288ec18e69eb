"""Recordings over the API: what is said in an `input_audio` part is the user's words, an uploaded recording is a file."""

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from assistant.contracts.messages import Document, UserMessage
from assistant.contracts.own_words import own_words, sources
from tests.doubles.model_server import ModelServer
from tests.doubles.sounds import opus, wav
from tests.doubles.speech_server import Refusing, SpeechServer
from tests.flow.ledger.house import LedgerHouse, ledger_house


@asynccontextmanager
async def house_of(folder: Path, model: ModelServer, store: str, **voice: object) -> AsyncGenerator[tuple[LedgerHouse, openai.AsyncOpenAI]]:
    async with (
        ledger_house(folder, model, store, voice=voice) as house,
        openai.AsyncOpenAI(base_url=f"{house.client.base_url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield house, client


def said(data: bytes, words: str = "", form: str = "wav") -> list[Any]:
    audio = {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": form}}
    return [{"role": "user", "content": [*([{"type": "text", "text": words}] if words else []), audio]}]


async def last_message(house: LedgerHouse, session: str) -> UserMessage:
    kept = [stored.message for stored in await house.runtime.services.store.sessions.messages("local", f"api:{session}")]
    return [message for message in kept if isinstance(message, UserMessage)][-1]


async def test_what_is_said_is_the_users_words(tmp_path: Path, url: str, upstream: ModelServer, speech: SpeechServer) -> None:
    speech.words = "ECHO what I said"
    async with house_of(tmp_path, upstream, url, transcriber={"apiBase": speech.url, "language": "en"}) as (house, client):
        answer = await client.chat.completions.create(model="agent:main", messages=said(wav(1)), extra_body={"session_id": "s"})
        assert answer.choices[0].message.content == "what I said"
        message = await last_message(house, "s")
        assert (own_words(message), sources([message])) == ("ECHO what I said", {})
        (heard,) = speech.heard
        assert (heard.name, heard.data, heard.fields["language"]) == ("recording.wav", wav(1), "en")
        stream = await client.chat.completions.create(
            model="agent:main", messages=said(wav(1), "and this:"), stream=True, extra_body={"session_id": "s"}
        )
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]) == "what I said"
        assert own_words(await last_message(house, "s")) == "and this:\nECHO what I said"
        assert len(speech.heard) == 1, "the same recording costs nothing again"


async def test_an_uploaded_recording_is_a_file(tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer) -> None:
    async with house_of(tmp_path, upstream, sqlite, transcriber={"apiBase": speech.url}) as (house, _):
        form = {"message": "what is said there?", "session_id": "s"}
        answer = await house.client.post("/v1/chat/completions", data=form, files={"files": ("talk.ogg", opus(3), "audio/ogg")})
        assert answer.status_code == 200
        message = await last_message(house, "s")
        assert (own_words(message), set(sources([message]))) == ("what is said there?", {"file"})
        (file,) = [part for part in message.parts if isinstance(part, Document)]
        assert (file.name, file.text, file.facts) == ("talk.ogg", "remind me of the milk", ("what is said in it", "3 seconds"))


async def test_a_recording_that_is_not_heard_refuses_the_request(
    tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    limits = {"apiBase": speech.url, "maxSeconds": 5, "maxMib": 0.1, "apiKey": "sk-secret-key"}
    busy = Refusing(status=503, headers={"Retry-After": "0"})
    refused: list[tuple[bytes, list[Refusing], int, str, str]] = [
        (wav(6), [], 400, "unreadable_file", "audio-1.wav is longer than 0:05 minutes."),
        (bytes(200_000), [], 413, "file_too_large", "audio-1.wav is larger than 0.1 MiB."),
        (b"not a sound", [], 400, "unreadable_file", "audio-1.wav is no sound in a form that is known here."),
        (b"", [], 400, "unreadable_file", "audio-1.wav is empty."),
        (wav(1), [busy, busy], 503, "provider_overloaded", "transcriber has no capacity now"),
        (wav(2), [Refusing(status=401, message="Incorrect API key provided: sk-secret-key")], 502, "provider_error", "refused the key"),
    ]
    async with house_of(tmp_path, upstream, sqlite, transcriber=limits) as (house, client):
        for data, refuses, status, code, words in refused:
            speech.refuses.extend(refuses)
            with pytest.raises(openai.APIStatusError) as error:
                await client.chat.completions.create(model="agent:main", messages=said(data), extra_body={"session_id": "s"})
            assert (error.value.status_code, error.value.code) == (status, code)
            assert words in error.value.message
            assert "sk-secret-key" not in error.value.message
        assert await house.runtime.services.store.sessions.get("local", "api:s") is None, "nothing of it is stored"
        assert upstream.stats.requests == 0


async def test_without_a_transcriber_it_is_refused_as_before(tmp_path: Path, sqlite: str, upstream: ModelServer) -> None:
    async with house_of(tmp_path, upstream, sqlite) as (house, client):
        with pytest.raises(openai.BadRequestError) as error:
            await client.chat.completions.create(model="agent:main", messages=said(wav(1)))
        assert (error.value.code, error.value.param) == ("unsupported_content", "messages.0.content.0.type")
        upload = await house.client.post("/v1/chat/completions", data={"message": "?"}, files={"files": ("a.wav", wav(1))})
        assert upload.status_code == 415


async def test_a_registered_model_gets_the_recording_itself(
    tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    async with house_of(tmp_path, upstream, sqlite, transcriber={"apiBase": speech.url}) as (_, client):
        await client.chat.completions.create(model="plain", messages=said(wav(1)))
        assert b'"input_audio":{"data":"UklGR' in upstream.bodies[-1]
        assert speech.asked == 0
