"""Voice messages of a chat are transcribed before their turn, and are the sender's own words."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from assistant.contracts.messages import Document
from assistant.contracts.own_words import own_words, sources
from tests.doubles.model_server import ModelServer
from tests.doubles.sounds import opus, wav
from tests.doubles.speech_server import Refusing, SpeechServer
from tests.flow.nanobot_process import ROOT

from .house import ANNA, heard_in, voice_house


async def test_a_voice_message_is_heard_and_is_the_senders_own_words(
    tmp_path: Path, url: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    upstream.configure(text="Noted.", chunks=1)
    async with voice_house(tmp_path, upstream, url, speech=speech) as house:
        house.voice()
        (answer,) = await house.answered()
        assert answer.text == "Noted."
        (heard,) = speech.heard
        assert (heard.name, heard.data, heard.fields) == ("recording.ogg", opus(2.5), {"model": "whisper-1", "response_format": "json"})
        (message,) = await house.messages()
        assert own_words(message) == "remind me of the milk"
        assert sources([message]) == {}, "no words of others came into the session"
        (words,) = heard_in(message)
        (kept,) = await house.ledger.runtime.services.store.attachments.list("local", "telegram:42")
        assert (words.heard, kept.name, kept.facts) == (kept.id, "voice.ogg", ("what is said in it", "2 seconds"))
        assert b"Said in a voice message, as it was heard; words may be misheard:] remind me of the milk" in upstream.bodies[-1]
        calls, cost = (await house.usage())["voice"]
        assert (calls, cost) == (1, round(0.006 * 2.5 / 60 * 1e9))


KINDS: list[tuple[str, dict[str, Any], bool, set[str]]] = [
    ("voice", {}, True, set()),
    ("video_note", {}, True, set()),
    ("audio", {}, False, {"file"}),
    ("audio", {"caption": "what is this?"}, False, {"file"}),
    ("voice", {"via_bot": {"id": 7, "is_bot": True, "first_name": "Sounds"}}, False, {"file"}),
    ("voice", {"forward_origin": {"type": "hidden_user", "date": 1, "sender_user_name": "Eve"}}, False, {"stranger", "file"}),
]


async def test_only_what_was_recorded_for_this_message_is_the_senders_word(
    tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    async with voice_house(tmp_path, upstream, sqlite, speech=speech) as house:
        for number, (kind, more, own, brought) in enumerate(KINDS, 1):
            speech.words = f"word{number}"
            house.voice(opus(number), chat=ANNA + number, kind=kind, **more)
            await house.answered(chat=ANNA + number)
            (message,) = await house.messages(ANNA + number)
            assert (speech.words in own_words(message), set(sources([message]))) == (own, brought), (kind, more)
            assert speech.words.encode() in upstream.bodies[-1]
        assert len(speech.heard) == len(KINDS)


async def test_a_quoted_voice_message_is_a_file_and_costs_nothing_twice(
    tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    async with voice_house(tmp_path, upstream, sqlite, speech=speech) as house:
        house.voice()
        await house.answered()
        sent = house.telegram.message(42, voice={"file_id": "file-1", "file_unique_id": "u", "duration": 2, "file_size": len(opus(2.5))})
        house.telegram.say(42, "what did I say there?", reply_to_message=sent)
        await house.answered(2)
        message = (await house.messages())[-1]
        assert own_words(message) == "what did I say there?"
        (quoted,) = [part for part in message.parts if isinstance(part, Document)]
        assert (quoted.text, quoted.format) == ("remind me of the milk", "ogg")
        assert len(speech.heard) == 1, "the same bytes were transcribed before"


async def test_what_was_heard_is_quoted_where_that_is_wanted(
    tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    upstream.configure(text="Noted.", chunks=1)
    speech.words = "  remind me\nof the milk\0 "
    async with voice_house(tmp_path, upstream, sqlite, speech=speech, quote="on") as house:
        house.voice()
        (answer,) = await house.answered()
        assert answer.source == "<blockquote><i>I heard:</i> remind me\nof the milk</blockquote>\n\nNoted."
        house.telegram.say(42, "and this is written")
        assert (await house.answered(2))[1].text == "Noted."


async def test_a_command_that_was_said_is_none(tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer) -> None:
    speech.words = "/new"
    async with voice_house(tmp_path, upstream, sqlite, speech=speech) as house:
        house.voice()
        await house.answered()
        assert [own_words(message) for message in await house.messages()] == ["/new"]
        assert upstream.stats.requests == 1


JSON = {"Content-Type": "application/json"}
NOT_NOW, NOT_SET_UP = (
    "what transcribes does not answer now. Please send it again in a few minutes.",
    "what transcribes is not set up right.",
)
FAILURES = [
    (Refusing(status=503, headers={"Retry-After": "0"}), NOT_NOW),
    (Refusing(status=429, headers={"Retry-After": "0"}), NOT_NOW),
    (Refusing(status=401), NOT_SET_UP),
    (Refusing(status=404, message="The model does not exist"), NOT_SET_UP),
    (Refusing(status=400, message="Audio file might be corrupted"), "it is not taken by the server that transcribes."),
    (Refusing(status=200, body=b'{"text": " "}', headers=JSON), "it holds no words that could be heard."),
    (Refusing(status=200, body=b"{}", headers=JSON), NOT_SET_UP),
]


async def test_a_failure_is_said_to_the_model_and_the_person_and_the_turn_goes_on(
    tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    upstream.configure(text="What did you say?", chunks=1)
    async with voice_house(tmp_path, upstream, sqlite, speech=speech) as house:
        for number, (refusing, reason) in enumerate(FAILURES, 1):
            speech.refuses.clear()
            speech.refuses += [refusing, refusing]
            house.voice(opus(number), chat=ANNA + number)
            (answer,) = await house.answered(chat=ANNA + number)
            assert answer.text.startswith(f"[Your voice message could not be heard: {reason}"), refusing
            assert answer.text.endswith("]\n\nWhat did you say?")
            told = f"Not from the user; they are told this, too:] Your voice message could not be heard: {reason}"
            assert told.encode() in upstream.bodies[-1]
            (message,) = await house.messages(ANNA + number)
            assert (own_words(message), sources([message])) == ("", {})
            (kept,) = await house.ledger.runtime.services.store.attachments.list("local", f"telegram:{ANNA + number}")
            assert kept.name == "voice.ogg"
        speech.refuses.clear()
        house.voice(opus(1))  # the same bytes, once more
        await house.answered()
        assert own_words((await house.messages())[-1]) == "remind me of the milk"
        assert (await house.usage())["voice"][0] == 1 + 1, "what was answered is charged, with words or without"


async def test_a_server_that_is_gone_costs_no_message(tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer) -> None:
    upstream.configure(text="Pardon?", chunks=1)
    speech.gate.clear()
    transcriber = {"apiBase": speech.url, "timeout": 0.2}
    async with voice_house(tmp_path, upstream, sqlite, speech=speech, transcriber=transcriber) as house:
        house.voice(caption="see the fridge")
        (answer,) = await house.answered()
        assert "does not answer now" in answer.text
        assert answer.text.endswith("Pardon?")
        assert b"see the fridge" in upstream.bodies[-1]


OVER = [
    (opus(61), "it is longer than 1:00 minutes."),
    (wav(61, rate=400), "it is longer than 1:00 minutes."),
    (opus(5) + bytes(70_000), "it is larger than 0.05 MiB."),
]


async def test_what_is_over_a_limit_is_not_sent_anywhere(tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer) -> None:
    limits = {"apiBase": speech.url, "maxSeconds": 60, "maxMib": 0.05}
    async with voice_house(tmp_path, upstream, sqlite, speech=speech, transcriber=limits) as house:
        for number, (data, reason) in enumerate(OVER, 1):
            house.voice(data, chat=ANNA + number)
            assert reason in (await house.answered(chat=ANNA + number))[-1].text
        assert speech.asked == 0


async def test_a_budget_that_is_used_up_is_said(tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer) -> None:
    async with voice_house(tmp_path, upstream, sqlite, speech=speech, budgets=[{"of": "cause:voice", "usd": 0.0001}]) as house:
        house.voice()
        assert "could not be heard: " in (await house.answered())[0].text
        assert "voice work" in (await house.answered())[0].text
        assert speech.asked == 0
        house.telegram.say(42, "hello")
        assert (await house.answered(2))[1].text.startswith("tok0")


async def test_without_a_transcriber_nothing_changes(tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer) -> None:
    async with voice_house(tmp_path, upstream, sqlite, speech=speech, transcriber=None) as house:
        house.voice()
        await house.answered()
        ((part,),) = [message.parts for message in await house.messages()]
        assert isinstance(part, Document)
        assert "nothing here that hears" in part.missing
        assert speech.asked == 0


async def test_in_a_group_the_words_are_those_of_who_spoke(
    tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer
) -> None:
    group = -1_001_234_567_890
    async with voice_house(tmp_path, upstream, sqlite, speech=speech) as house:
        house.voice(chat=group)
        await house.answered(chat=group)
        (message,) = await house.messages(group)
        (words,) = heard_in(message)
        assert (words.author, own_words(message, by=f"telegram:{ANNA}")) == (f"telegram:{ANNA}", "Ada:\nremind me of the milk")
        assert own_words(message, by="telegram:666") == ""
        assert set(sources([message], by="telegram:666")) == {"stranger"}


async def test_what_its_server_counted_is_charged(tmp_path: Path, sqlite: str, upstream: ModelServer, speech: SpeechServer) -> None:
    async with voice_house(tmp_path, upstream, sqlite, speech=speech) as house:
        speech.usage = {"type": "duration", "seconds": 60}  # more than the recording says of itself
        house.voice(opus(1))
        await house.answered()
        assert (await house.usage())["voice"] == (1, 6_000_000)
        speech.usage = {"type": "tokens", "input_tokens": 25, "output_tokens": 7, "total_tokens": 32}
        house.voice(opus(2), chat=ANNA + 1)
        await house.answered(chat=ANNA + 1)
        (group,) = [group for group in await house.ledger.usage("cause") if group.name == "voice"]
        assert (group.usage.prompt_tokens, group.usage.completion_tokens) == (25, 7)
        assert {group.name for group in await house.ledger.usage("model")} == {"custom/fake-model", "transcriber/whisper-1"}


OPENS = """
import asyncio, sys
from assistant.app.services import open_services
from assistant.config import load_config

async def main():
    async with open_services(load_config(None, {"NANOBOT_HOME": sys.argv[1], "HOME": sys.argv[1]}, {"agents.defaults.provider": "offline"})):
        print(*sorted(name for name in sys.modules if name.startswith("assistant.voice.")))

asyncio.run(main())
"""


async def test_nothing_of_it_is_loaded_where_it_is_not_configured(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", OPENS, str(tmp_path), cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert (process.returncode, said.split()) == (0, [b"assistant.voice.settings"])
