import asyncio
import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.doubles.model_server import ModelServer

from .nanobot_process import Nanobot
from .terminal import Terminal


@pytest.fixture
async def server() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        yield server


def chatting(folder: Path, server: ModelServer) -> Nanobot:
    env = {"NANOBOT_PROVIDERS__CUSTOM__API_BASE": server.url, "NANOBOT_PROVIDERS__CUSTOM__API_KEY": "sk-mine-1234567890"}
    return Nanobot(folder=folder, env={**env, "NANOBOT_AGENTS__DEFAULTS__MODEL": "custom/stand-in"})


async def said(nanobot: Nanobot, session: str) -> list[tuple[str, str]]:
    """Who said what in a session."""
    done = await asyncio.to_thread(nanobot, "sessions", "export", session)
    messages = [stored["message"] for stored in json.loads(done.stdout)["messages"]]
    texts = [message.get("text") or "".join(part.get("text", "") for part in message.get("parts", [])) for message in messages]
    return [(message["role"], text) for message, text in zip(messages, texts, strict=True)]


async def test_one_question_prints_the_answer_and_nothing_else(tmp_path: Path, server: ModelServer):
    done = await asyncio.to_thread(chatting(tmp_path, server), "chat", "Please ECHO **four** is 2+2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "**four** is 2+2\n", "")


async def test_a_session_goes_on_and_is_the_api_s_own(tmp_path: Path, server: ModelServer):
    nanobot = chatting(tmp_path, server)
    await asyncio.to_thread(nanobot, "chat", "ECHO one", "--session", "work")
    await asyncio.to_thread(nanobot, "chat", "ECHO two", "--session", "work")
    assert await said(nanobot, "api:work") == [("user", "ECHO one"), ("assistant", "one"), ("user", "ECHO two"), ("assistant", "two")]
    sent = json.loads(server.bodies[-1])["messages"]
    assert [message["content"] for message in sent if message["role"] == "assistant"] == ["one"]


async def test_a_hyphen_reads_standard_input(tmp_path: Path, server: ModelServer):
    nanobot = chatting(tmp_path, server)
    done = await asyncio.to_thread(nanobot, "chat", "-", given=b"ECHO \xc3\xa9\xf0\x9f\x98\x80\nsecond line")
    assert done.stdout == "é😀\n"
    assert (await said(nanobot, "cli"))[0] == ("user", "ECHO é😀\nsecond line")


async def test_a_file_is_read_and_left_where_it_is(tmp_path: Path, server: ModelServer):
    (tmp_path / "notes.txt").write_text("The cat is called Ada.")
    done = await asyncio.to_thread(chatting(tmp_path, server), "chat", "Who?", "--file", "notes.txt")
    assert done.returncode == 0, done.stderr
    assert "The cat is called Ada." in server.bodies[-1].decode()
    assert (tmp_path / "notes.txt").read_text() == "The cat is called Ada."
    assert list((tmp_path / "home" / "spool").iterdir()) == []


async def test_a_file_whose_name_is_no_text_is_read(tmp_path: Path, server: ModelServer):
    name = os.fsdecode(b"caf\xe9.txt")
    (tmp_path / name).write_text("The cat is called Ada.")
    done = await asyncio.to_thread(chatting(tmp_path, server), "chat", "Who?", "--file", name)
    assert done.returncode == 0, done.stderr
    assert 'name=\\"caf.txt\\"' in server.bodies[-1].decode()


async def test_a_file_that_is_too_large_is_one_line_and_leaves_nothing(tmp_path: Path, server: ModelServer):
    (tmp_path / "big.txt").write_bytes(b"x" * 2001)
    nanobot = chatting(tmp_path, server)
    done = await asyncio.to_thread(
        Nanobot(folder=tmp_path, env={**nanobot.env, "NANOBOT_API__LIMITS__FILE_BYTES": "2000"}), "chat", "-f", "big.txt"
    )
    assert (done.returncode, done.stderr) == (1, "nanobot: 'big.txt' is larger than 2.0 kB.\n")
    assert list((tmp_path / "home" / "spool").iterdir()) == []


async def test_a_provider_that_fails_is_one_line_without_the_key(tmp_path: Path, server: ModelServer):
    server.configure(mode="401")
    done = await asyncio.to_thread(chatting(tmp_path, server), "chat", "hello")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("nanobot: ")
    assert done.stderr.count("\n") == 1
    assert "sk-" not in done.stderr


async def test_lines_are_messages_and_commands_are_only_whole_lines(tmp_path: Path, server: ModelServer):
    nanobot = chatting(tmp_path, server)
    lines = "/session\nECHO one\n/etc/hosts ECHO two\n/help me ECHO three\nfirst ECHO four\\\nsecond\n\n/new\nECHO five\n/exit\nECHO six\n"
    done = await asyncio.to_thread(nanobot, "chat", given=lines)
    out = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert out[:5] == ["cli", "one", "two", "three", "four"]
    assert out[6:] == ["five"]
    assert [text for role, text in await said(nanobot, "cli") if role == "user"] == [
        *("ECHO one", "/etc/hosts ECHO two", "/help me ECHO three", "first ECHO four\nsecond"),
    ]


async def test_a_failure_does_not_end_the_conversation(tmp_path: Path, server: ModelServer):
    server.configure(mode="400", fail_first=1)
    done = await asyncio.to_thread(chatting(tmp_path, server), "chat", given="ECHO one\nECHO two\n")
    assert (done.returncode, done.stdout) == (0, "two\n")
    assert done.stderr.startswith("nanobot: ")


async def test_nothing_to_ask_is_one_line(tmp_path: Path, server: ModelServer):
    done = await asyncio.to_thread(chatting(tmp_path, server), "chat", "  ")
    assert (done.returncode, done.stderr) == (1, "nanobot: There is nothing to ask: the message is empty.\n")


async def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path, server: ModelServer):
    done = await asyncio.to_thread(chatting(tmp_path, server), "chat", "hi", "--file", "nope.pdf")
    assert done.returncode == 2
    assert "nope.pdf" in done.stderr


async def test_a_model_that_cannot_be_had_is_one_line(tmp_path: Path):
    done = await asyncio.to_thread(Nanobot(folder=tmp_path, env={"NANOBOT_AGENTS__DEFAULTS__PROVIDER": "opnai"}), "chat", "hi")
    assert done.returncode == 1
    assert "'opnai' is not a known provider." in done.stderr
    assert done.stderr.count("\n") == 1


async def test_a_terminal_shows_markdown_and_obeys_nothing_in_it(tmp_path: Path, server: ModelServer):
    def talk() -> str:
        with Terminal(chatting(tmp_path, server), "chat") as terminal:
            terminal.read_until("› ")
            terminal.type("Go\n")
            shown = terminal.read_until("the end") + terminal.read_until("› ")
            terminal.type("/exit\n")
            assert terminal.read_to_the_end() == 0
            return shown

    server.configure(text="A **bold** \x1b]0;hostile\x07 word.\n\nThis is the end", chunks=7)
    shown = await asyncio.to_thread(talk)
    assert "\x1b[1mbold\x1b[0m" in shown
    assert "**bold**" not in shown
    assert "\ufffd]0;hostile\ufffd" in shown
    assert "\x1b]0;hostile" not in shown


async def test_ctrl_c_stops_an_answer_and_the_session_says_so(tmp_path: Path, server: ModelServer):
    def talk() -> None:
        with Terminal(chatting(tmp_path, server), "chat") as terminal:
            terminal.read_until("› ")
            terminal.type("count\n")
            terminal.read_until("tok2")
            terminal.interrupt()
            terminal.read_until("(stopped)")
            terminal.read_until("› ")
            terminal.type("/exit\n")
            assert terminal.read_to_the_end() == 0

    server.configure(chunks=1000, chunk_delay_ms=50)
    await asyncio.to_thread(talk)
    exported = await asyncio.to_thread(chatting(tmp_path, server), "sessions", "export", "cli")
    last = json.loads(exported.stdout)["messages"][-1]["message"]
    assert last["cut_off"] == "cancelled"
    assert last["text"].startswith("tok0 tok1 tok2")


async def test_what_was_typed_is_remembered_for_its_owner_only(tmp_path: Path, server: ModelServer):
    def talk(keys: str) -> str:
        with Terminal(chatting(tmp_path, server), "chat") as terminal:
            terminal.read_until("› ")
            terminal.type(keys)
            shown = terminal.read_until("remembered")
            terminal.type("\n")
            terminal.read_until("› ")
            terminal.type("/exit\n")
            terminal.read_to_the_end()
            return shown

    await asyncio.to_thread(talk, "ECHO remembered")
    assert (tmp_path / "home" / "chat_history").stat().st_mode & 0o777 == 0o600
    await asyncio.to_thread(talk, "\x1b[A\x1b[A")


async def test_ctrl_c_ends_a_single_question_with_code_130(tmp_path: Path, server: ModelServer):
    def talk() -> int:
        with Terminal(chatting(tmp_path, server), "chat", "count") as terminal:
            terminal.read_until("tok2")
            terminal.interrupt()
            return terminal.read_to_the_end()

    server.configure(chunks=1000, chunk_delay_ms=50)
    assert await asyncio.to_thread(talk) == 130


async def test_bytes_that_are_no_text_are_replaced(tmp_path: Path, server: ModelServer):
    done = await asyncio.to_thread(chatting(tmp_path, server), "chat", "-", given=b"ECHO caf\xe9!")
    assert (done.returncode, done.stdout) == (0, "caf\ufffd!\n")


async def test_a_reserved_session_is_refused_as_over_the_api(tmp_path: Path, server: ModelServer):
    done = await asyncio.to_thread(chatting(tmp_path, server), "chat", "hi", "--session", "telegram:42")
    assert (done.returncode, done.stderr) == (1, "nanobot: 'session_id' must not begin with 'telegram:', which is reserved.\n")


async def test_an_argument_that_is_no_utf_8_is_sent_with_its_bytes_replaced(tmp_path: Path, server: ModelServer):
    nanobot = chatting(tmp_path, server)
    done = await asyncio.to_thread(nanobot, "chat", os.fsdecode(b"caf\xe9"))
    assert done.returncode == 0, done.stderr
    assert (await said(nanobot, "cli"))[0] == ("user", "caf\ufffd")


async def test_files_without_a_question_go_with_the_first_message(tmp_path: Path, server: ModelServer):
    (tmp_path / "notes.txt").write_text("The cat is called Ada.")
    nanobot = chatting(tmp_path, server)
    done = await asyncio.to_thread(nanobot, "chat", "--file", "notes.txt", given="/session\nECHO one\nECHO two\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "cli\none\ntwo\n", "")
    exported = json.loads((await asyncio.to_thread(nanobot, "sessions", "export", "cli")).stdout)
    parts = [[part["kind"] for part in stored["message"]["parts"]] for stored in exported["messages"] if "parts" in stored["message"]]
    assert parts == [["text", "document"], ["text"]]


async def test_repeats_on_the_way_to_an_answer_are_not_shown(tmp_path: Path, server: ModelServer):
    server.configure(mode="500", fail_first=1)
    done = await asyncio.to_thread(chatting(tmp_path, server), "chat", "ECHO one")
    assert (done.returncode, done.stdout, done.stderr) == (0, "one\n", "")


async def test_a_model_without_its_key_is_named_in_the_answer(tmp_path: Path):
    done = await asyncio.to_thread(Nanobot(folder=tmp_path), "chat", "hi", "--model", "anthropic/claude-sonnet-5")
    assert "the model anthropic/claude-sonnet-5 needs ANTHROPIC_API_KEY, which is not set" in done.stdout
    assert "No model is configured" not in done.stdout
