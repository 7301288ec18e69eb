"""`run` through the front doors, and as the toolbox calls it: output, files, pictures, what the gate is told."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from assistant.agent.toolbox import Toolbox
from assistant.app.agent import open_http, without_sandbox
from assistant.contracts.gate import PlannedCall, Ruling
from assistant.contracts.messages import ToolCall, ToolMessage
from assistant.contracts.sandbox import NoSandbox, Sandbox
from assistant.contracts.tools import ToolContext, ToolServices
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from assistant.sandbox.policy import Guarded
from assistant.sandbox.service import MachineSandbox
from assistant.sandbox.settings import SandboxSettings
from tests.commands_beside import commands_beside as commands_beside
from tests.doubles.live_server import live_server, offline, with_model
from tests.doubles.model_server import ModelServer
from tests.doubles.telegram_api.server import TelegramServer
from tests.doubles.tools_by_call import NoteTool
from tests.flow.outgoing import Outbox, open_outbox
from tools.catalog import own_kinds
from tools.run import RunTool

CONTEXT = ToolContext(owner="local", session="api:s", turn_id="turn_1", call_id="call_1", call_place="0.0", pictures=4)
PLOT = """
import struct,zlib
def chunk(kind, data): return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
rows = b''.join(b'\\0' + b'\\xff\\0\\0' * 8 for _ in range(8))
open('plot.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 8, 8, 8, 2, 0, 0, 0))
                             + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))
open('fake.png', 'w').write('no picture')
"""


class Watching:
    """A gate that allows everything and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[PlannedCall] = []

    async def rule(self, call: PlannedCall, ctx: ToolContext) -> Ruling:
        self.asked.append(call)
        return Ruling(verdict="allow") if "network" not in call.actions else Ruling(verdict="refuse", why="not that host")


class Bench:
    """`run` on this machine's sandbox."""

    def __init__(self, outbox: Outbox, workspace: Path, sandbox: Sandbox, reader: ChildReader) -> None:
        self.workspace, self.gate = workspace, Watching()
        services = ToolServices(
            agent="main",
            workspace=workspace,
            attachments=outbox.store.attachments,
            deliveries=outbox.service,
            channels=outbox.channels,
            recipients=NO,
            schedules=outbox.later.book,
            times=outbox.later.words,
            media=outbox.store.media,
            describe=NO,
            expire_after=NO,
            receipt_wait=1,
            http=open_http,
            reader=reader,
            sandbox=sandbox,
        )
        self.toolbox = Toolbox([RunTool(services)], outbox.store.attachments, gate=self.gate)

    async def run(self, command: str | list[str], **more: object) -> ToolMessage:
        call = ToolCall(id="call_1", name="run", arguments=json.dumps({"command": command, **more}))
        (message,) = await self.toolbox.run([call], CONTEXT, lambda _: None)
        return message


NO: Any = None
"""What `run` has no use for."""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    (workspace := tmp_path / "workspace").mkdir()
    sandbox = MachineSandbox(SandboxSettings(), Guarded(private=(workspace / "people",), public=(workspace,)), tmp_path / "probe")
    if await sandbox.rung() == "none":
        pytest.skip(f"this machine has no sandbox: {await sandbox.why_not()}")
    reader = ChildReader(DocumentSettings())
    async with open_outbox(tmp_path, "telegram") as outbox:
        yield Bench(outbox, workspace, sandbox, reader)
    await reader.close()


async def test_a_line_and_a_list_run_and_say_what_came_of_it(bench: Bench) -> None:
    line = await bench.run("echo one; echo two >&2; echo three > made.txt; exit 4")
    assert line.text == "[exit code 4]\n[output]\none\n[errors]\ntwo\n[files written: made.txt (6 bytes)]"
    assert [(effect.kind, effect.text) for effect in line.effects] == [
        ("ran", "echo one; echo two >&2; echo three > made.txt; exit 4 · exit code 4")
    ]
    argv = await bench.run(["printf", "%s", "a b;c"])
    assert argv.text == "[exit code 0]\n[output]\na b;c"
    assert (await bench.run(":")).text == "[exit code 0]\n[no output]"
    assert (bench.workspace / "people" / "owner" / "made.txt").read_text() == "three\n"
    assert (argv.provenance, argv.ok) == ("tool", True)


async def test_the_gate_is_told_the_whole_line_and_the_hosts(bench: Bench) -> None:
    await bench.run(["ls", "-la", "a b"])
    refused = await bench.run("curl http://example.org", hosts=["example.org"])
    assert [(call.subject, set(call.actions)) for call in bench.gate.asked] == [
        ("ls -la 'a b'", {"writes workspace"}),
        ("curl http://example.org # example.org", {"writes workspace", "network"}),
    ]
    bench.gate.asked.clear()
    await bench.run(["ls", "-la", "a b"], background=True)
    (background,) = bench.gate.asked
    assert (background.subject, set(background.actions)) == ("ls -la 'a b'", {"writes workspace"})
    assert background.arguments["background"]
    assert not refused.ok
    assert refused.text == "Not run: not that host"


async def test_a_call_is_ruled_by_what_it_does_itself(bench: Bench) -> None:
    note = NoteTool()
    toolbox = Toolbox([note], NO, gate=bench.gate)
    calls = [ToolCall(id=str(number), name="note", arguments=json.dumps({"text": text})) for number, text in enumerate(["", "sold", ""])]
    said = await toolbox.run(calls, CONTEXT, lambda _: None)
    assert [message.text for message in said] == ["nothing", "Not run: not that host", "nothing"]
    assert [set(call.actions) for call in bench.gate.asked] == [{"network"}]


async def test_a_plot_comes_back_as_a_picture(bench: Bench) -> None:
    made = await bench.run(["python3", "-c", PLOT])
    assert [(image.name, image.width, image.media_type) for image in made.images] == [("plot.png", 8, "image/png")], made.text
    assert "fake.png (10 bytes)" in made.text
    assert not (await bench.run("true")).images


async def test_long_output_is_kept_to_be_read_on(bench: Bench) -> None:
    said = await bench.run("seq 1 20000")
    assert len(said.text) < 21_000
    assert "read_attachment(id=" in said.text


@pytest.mark.parametrize("arguments", [{"command": ""}, {"command": []}, {"command": "a\0b"}, {"command": "true", "timeout": 0}, {}])
async def test_wrong_arguments_are_refused(arguments: dict[str, object], bench: Bench) -> None:
    refused = await bench.run(**{"command": None, **arguments})  # pyright: ignore[reportArgumentType]
    assert not refused.ok
    assert refused.text.startswith("Not run")


async def test_without_a_sandbox_it_is_not_offered() -> None:
    kinds = {kind.name: kind for kind in own_kinds()}
    assert "run" in kinds
    assert set(kinds) - set(await without_sandbox(kinds, NoSandbox())) == {"run"}


@pytest.mark.parametrize("rung", [None, "none"])
async def test_without_a_model_a_command_is_run_or_not_offered(rung: str | None, tmp_path: Path) -> None:
    with live_server(tmp_path, config={**offline(), "sandbox": {"rung": rung}}) as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
            said: list[str] = []
            for words in ("run `echo $((6*7)) > answer; cat answer`", "Bitte führe `ls` aus"):
                body = {"messages": [{"role": "user", "content": words}], "session_id": "s"}
                response = await client.post("/v1/chat/completions", json=body)
                said.append(response.json()["choices"][0]["message"]["content"])
    if rung is None:
        assert "[output]\n42" in said[0]
        assert "answer" in said[1]
    else:
        assert all(text.startswith("No model is configured") for text in said)


async def test_on_telegram_each_person_runs_commands_in_a_folder_of_their_own(bench: Bench, tmp_path: Path) -> None:
    async with ModelServer() as model, TelegramServer() as telegram:
        channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "allowFrom": ["42", "43"]}
        with live_server(tmp_path / "home", config={**with_model(model.url), "channels": {"telegram": channel}}):
            results: list[str] = []
            for chat, command in ((42, "echo $((6*7)) > answer; cat answer"), (43, "ls")):
                telegram.say(chat, f"CALLTOOL run {json.dumps({'command': command})}", sender=chat)
                await telegram.until(lambda chat=chat: len(telegram.texts(chat)) > 0, 20)
                assert f"{command} · exit code 0" in telegram.texts(chat)[-1]
                results += [each["content"] for each in json.loads(model.bodies[-1])["messages"] if each["role"] == "tool"]
    assert "[output]\n42" in results[0]
    assert results[1:] == ["[exit code 0]\n[output]\nshared"]


async def test_on_telegram_without_a_model_a_helper_and_the_background_are_asked_for_in_words(bench: Bench, tmp_path: Path) -> None:
    async with TelegramServer() as telegram:
        channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "allowFrom": ["42"]}
        with live_server(tmp_path / "home", config={**offline(), "channels": {"telegram": channel}}):
            for words, said in (
                ("run `echo $((6*7)) > answer` in the background", "has ended]"),
                ("Lass einen Helfer `cat answer` ausführen", "[output]\n42"),
                ("have a helper list my files in the background", "answer · 3 bytes"),
            ):
                telegram.say(42, words, sender=42)
                await telegram.until(lambda said=said: any(said in text for text in telegram.texts(42)), 20)
