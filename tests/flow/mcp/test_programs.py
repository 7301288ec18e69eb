"""Servers that are programs: what they offer, and what becomes of those that misbehave."""

import asyncio
import sys

import pytest

from assistant.contracts.errors import ToolFailed
from assistant.contracts.gate import NamesSubject, actions_of, brought_by
from tests.doubles.mcp_program import tool

from .conftest import Rig, call, context, count, names, the_tool


async def test_tools_are_offered_under_safe_names_and_called(rig: Rig) -> None:
    folder = rig.program()
    servers = rig.open(one=rig.settings())
    assert await names(servers) == ["mcp_read", "mcp_one_look_up", "mcp_one_note"]
    result = await call(servers, "mcp_one_look_up", {"what": "tea"})
    assert (result.text, result.effects) == ('look_up {"what": "tea"}', ())
    written = await call(servers, "mcp_one_note", {"text": "x"})
    assert [(effect.kind, effect.ref) for effect in written.effects] == [("called", "one/note")]
    assert (count(folder, "starts"), count(folder, "calls")) == (1, 2)


async def test_what_leaves_this_machine_to_be_read_is_told_as_done(rig: Rig) -> None:
    rig.program()
    servers = rig.open(one=rig.settings(), two=rig.settings(hosts=["example.org"]))
    for name, arguments, told in (
        ("mcp_one_look_up", {"what": "tea"}, []),
        ("mcp_two_look_up", {"what": "tea"}, [("called", "two/look_up called", "two/look_up")]),
        ("mcp_read", {"server": "two", "uri": "note://one"}, [("fetched", "fetched two/note://one", "two/note://one")]),
        ("mcp_read", {"server": "two"}, [("fetched", "fetched two", "two")]),
    ):
        done = await call(servers, name, arguments)
        assert [(effect.kind, effect.text, effect.ref) for effect in done.effects] == told


async def test_a_tool_says_what_it_does_and_on_what(rig: Rig) -> None:
    rig.program()
    servers = rig.open(one=rig.settings(), two=rig.settings(hosts=["example.org"]))
    assert actions_of(await the_tool(servers, "mcp_one_look_up")) == {"reads"}
    assert actions_of(await the_tool(servers, "mcp_two_look_up")) == {"network"}
    note = await the_tool(servers, "mcp_one_note")
    assert (actions_of(note), brought_by(note), note.reads_only) == ({"network", "sends"}, "mcp", False)
    assert isinstance(note, NamesSubject)
    assert note.subject(note.params.model_validate({}), context()) == "one/note"


async def test_pictures_files_structures_and_failures_become_results(rig: Rig) -> None:
    rig.program(tools=[tool(name) for name in ("picture", "structured", "fails", "file")])
    servers = rig.open(one=rig.settings())
    picture = await call(servers, "mcp_one_picture", {})
    assert [(image.width, image.media_type) for image in picture.images] == [(16, "image/png")]
    assert await rig.store.attachments.images(picture.images)
    assert '"answer": 42' in (await call(servers, "mcp_one_structured", {})).text
    assert "a,b" in (await call(servers, "mcp_one_file", {})).text.replace(" ", "").replace("|", ",")
    with pytest.raises(ToolFailed, match="the disk is full"):
        await call(servers, "mcp_one_fails", {})


async def test_resources_and_prompts_are_listed_and_read(rig: Rig) -> None:
    rig.program()
    servers = rig.open(one=rig.settings())
    listed = (await call(servers, "mcp_read", {"server": "one"})).text
    assert "resource note://one: one. A note" in listed
    assert "prompt greet(who)" in listed
    assert "what the note says" in (await call(servers, "mcp_read", {"server": "one", "uri": "note://one"})).text
    assert "Greet Anna." in (await call(servers, "mcp_read", {"server": "one", "prompt": "greet", "arguments": {"who": "Anna"}})).text
    with pytest.raises(ToolFailed, match="no such server"):
        await call(servers, "mcp_read", {"server": "two"})


async def test_a_known_server_is_not_started_before_its_first_call(rig: Rig) -> None:
    folder = rig.program()
    await names(rig.open(one=rig.settings()))
    servers = rig.open(one=rig.settings())
    assert "mcp_one_note" in await names(servers)
    assert count(folder, "starts") == 1
    await call(servers, "mcp_one_note", {})
    assert count(folder, "starts") == 2


async def test_why_a_program_did_not_start_is_told(rig: Rig) -> None:
    servers = rig.open(one=rig.settings(args=["-c", "import sys; sys.exit('there is no index.js')"]))
    assert await names(servers) == []
    with pytest.raises(ToolFailed, match="program ended, and said: there is no index"):
        await servers.servers["one"].link.connected()


async def test_a_program_that_dies_is_started_again_and_only_reading_is_repeated(rig: Rig) -> None:
    folder = rig.program(tools=[tool("die_reading"), tool("die_writing", reads=False), tool("fine")])
    servers = rig.open(one=rig.settings())
    with pytest.raises(ToolFailed, match=r"ended.* It is not known whether the call ran"):
        await call(servers, "mcp_one_die_writing", {})
    assert count(folder, "calls") == 1
    with pytest.raises(ToolFailed, match="ended"):
        await call(servers, "mcp_one_die_reading", {})
    assert count(folder, "calls") == 3
    assert (await call(servers, "mcp_one_fine", {})).text == "fine {}"


@pytest.mark.parametrize("name", ["flood", "drip"])
async def test_a_flood_ends_the_call_and_the_program(rig: Rig, name: str) -> None:
    rig.program(tools=[tool(name, reads=False), tool("fine")])
    servers = rig.open(one=rig.settings())
    with pytest.raises(ToolFailed, match="more than 16 MB"):
        await call(servers, f"mcp_one_{name}", {})
    assert (await call(servers, "mcp_one_fine", {})).text == "fine {}"


async def test_a_call_that_hangs_ends_with_its_time_and_the_next_one_works(rig: Rig) -> None:
    folder = rig.program(tools=[tool("hang"), tool("fine")])
    servers = rig.open(one=rig.settings())
    assert await names(servers)
    for number in (1, 2):
        hanging = asyncio.create_task(call(servers, "mcp_one_hang", {}))
        while count(folder, "calls") < number:  # noqa: ASYNC110 - another process counts
            await asyncio.sleep(0.01)
        hanging.cancel()  # as the end of its time does
        with pytest.raises(asyncio.CancelledError):
            await hanging
    assert (await call(servers, "mcp_one_fine", {})).text == "fine {}"
    assert count(folder, "starts") == 2  # after two calls without an answer


async def test_one_that_never_answers_delays_one_turn_a_little_and_no_other_server(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.mcp.service.FIRST_WAIT", 0.2)
    (rig.program("mute") / "mute").touch()
    rig.program()
    servers = rig.open(mute=rig.settings("mute"), one=rig.settings())
    async with asyncio.timeout(60):
        while "mcp_one_note" not in await names(servers):  # noqa: ASYNC110 - a person would ask again, too
            await asyncio.sleep(0.01)
    assert (await call(servers, "mcp_one_note", {})).text == "note {}"
    assert servers.servers["mute"].waited_for


async def test_one_that_can_not_be_started_rests_between_tries(rig: Rig) -> None:
    servers = rig.open(one=rig.settings().model_copy(update={"command": "/nowhere/at/all"}))
    assert await names(servers) == []
    link = servers.servers["one"].link
    assert link.resting
    with pytest.raises(ToolFailed, match=r"one can't be used: No such file.*tried again in"):
        await link.connected()


async def test_without_a_sandbox_no_program_runs(rig: Rig) -> None:
    servers = rig.open(one=rig.settings())
    servers.sandbox = None
    assert await names(servers) == []
    assert "no sandbox" in servers.servers["one"].link.fault


async def test_an_idle_program_is_ended_and_started_by_the_next_call(rig: Rig) -> None:
    folder = rig.program()
    servers = rig.open(idle=0.05, one=rig.settings())
    await call(servers, "mcp_one_note", {})
    async with asyncio.timeout(20):
        await rig.sandbox.processes[0].wait()
    await call(servers, "mcp_one_note", {})
    assert count(folder, "starts") >= 2


async def test_a_program_gets_what_its_section_names_and_no_more(rig: Rig) -> None:
    folder = rig.program()
    servers = rig.open(one=rig.settings(env={"KEY": "k"}, hosts=["example.org"], readable=["/opt/lib"]))
    assert await names(servers)
    [command] = rig.sandbox.started
    assert command.folder == rig.folder / "workspace" / "mcp" / "one"
    assert (command.environment, command.hosts, command.seconds) == ({"KEY": "k"}, ("example.org",), None)
    assert {str(path) for path in command.readable} == {sys.executable, str(folder), "/opt/lib"}


async def test_who_may_use_a_server_is_configured(rig: Rig) -> None:
    rig.program()
    servers = rig.open(one=rig.settings(people=["owner", "per_anna"]), two=rig.settings(people=["all"]), three=rig.settings())
    assert [name for name in await names(servers) if "note" in name] == ["mcp_one_note", "mcp_two_note", "mcp_three_note"]
    assert "mcp_one_note" in await names(servers, "per_anna")
    assert await names(servers, "per_bert") == await names(servers, "telegram:-100") == ["mcp_read", "mcp_two_look_up", "mcp_two_note"]
    note = await the_tool(servers, "mcp_one_note")
    with pytest.raises(ToolFailed, match="not for the person"):
        await note.run(note.params.model_validate({}), context("per_bert"))
