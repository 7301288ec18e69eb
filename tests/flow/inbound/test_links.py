"""/link: a code in one chat, entered in another, makes them the same person's."""

import re

import pytest

from assistant.contracts.inbox import InboundMessage
from assistant.testing.scripted import ScriptedModel
from tests.flow.inbound.chat import ALICE, BOB, EVE, said
from tests.flow.inbound.rig import Rig, Server, words


async def code_of(server: Server, count: int, sender: InboundMessage) -> str:
    await server.hear(sender)
    found = re.search(r"/link ([A-Z0-9]{8})", (await server.texts(count))[-1])
    assert found is not None
    return found[1]


async def test_a_code_joins_two_chats_and_the_conversations_go_on(rig: Rig) -> None:
    model = ScriptedModel("one", "two", "three")
    async with rig.server(model) as server:
        await server.hear(said("from Alice", ALICE))
        await server.told(1)
        await server.hear(said("from Bob", BOB))
        await server.told(2)
        code = await code_of(server, 3, said("/link", ALICE))
        await server.hear(said(f"/link {code.lower()}", BOB, id="once"))
        assert "joined" in (await server.texts(4))[-1]
        await server.hear(said(f"/link {code}", BOB, id="once"))  # the platform sends it again
        await server.hear(said("again from Bob", BOB))
        await server.told(5)
        assert [session.key for session in await rig.store.sessions.list("chat:2")] == []
        assert words(await server.kept("chat:2", "chat:1")) == ["from Bob", "two", "again from Bob", "three"]
        owners = {delivery.event.origin.owner for delivery in await rig.store.outbox.list("chat:1", limit=10)}
        assert len(owners) >= 1
        assert await rig.store.outbox.list("chat:2", limit=10) == []


@pytest.mark.parametrize("entered", ["/link WRONG234", "/link"])
async def test_a_stranger_is_told_nothing_by_a_wrong_code(rig: Rig, entered: str) -> None:
    async with rig.server(ScriptedModel()) as server:
        await server.hear(said(entered, EVE))
        text = (await server.texts(1))[0]
        assert ("pairing approve" in text) == (entered == "/link")
        assert await rig.store.inbox.last_seen("chat") == {}
        assert [person.id for person in await rig.store.people.list()] == ["local"]


async def test_a_stranger_with_a_code_is_let_in_as_that_person(rig: Rig) -> None:
    model = ScriptedModel("hello")
    async with rig.server(model) as server:
        code = await code_of(server, 1, said("/link", ALICE))
        await server.hear(said(f"/link {code}", EVE))
        assert "joined" in (await server.texts(2))[-1]
        await server.hear(said("hi", EVE))
        assert (await server.texts(3))[-1] == "hello"
        assert words(await server.kept(f"chat:{EVE.id}", "chat:1")) == ["hi", "hello"]


async def test_in_a_group_no_code_is_told_or_taken(rig: Rig) -> None:
    async with rig.server(ScriptedModel()) as server:
        code = await code_of(server, 1, said("/link", ALICE))
        await server.hear(said("/link", BOB, group="-5"), said(f"/link {code}", BOB, group="-5"))
        assert [text for text in (await server.texts(3))[1:] if "private chat" in text and code not in text] != []
        assert await rig.store.people.of("chat:2") == "chat:2"
        await server.hear(said(f"/link {code}", EVE, group="-5"))
        assert len(await rig.store.outbox.list(None, limit=10)) == 3


async def test_nothing_is_joined_while_an_answer_is_made(rig: Rig) -> None:
    model = ScriptedModel("slow", "after")
    async with rig.server(model) as server:
        code = await code_of(server, 1, said("/link", ALICE))
        model.gate.clear()
        await server.hear(said("think", BOB))
        await model.asked_times(1)
        await server.hear(said(f"/link {code}", BOB))
        assert "under way" in (await server.texts(2))[-1]
        model.gate.set()
        await server.told(3)
        await server.hear(said(f"/link {code}", BOB))
        assert "joined" in (await server.texts(4))[-1]


async def test_a_code_of_one_process_is_taken_by_another(rig: Rig) -> None:
    async with rig.server(ScriptedModel()) as one, rig.server(ScriptedModel("hello")) as two:
        code = await code_of(one, 1, said("/link", ALICE))
        await two.hear(said(f"/link {code}", BOB))
        assert "joined" in (await two.texts(2))[-1]


async def test_the_prompt_names_the_person_and_the_day_by_their_clock_and_a_groups_names_nobody(rig: Rig) -> None:
    model = ScriptedModel("one", "two")
    async with rig.server(model) as server:
        await rig.store.people.of("chat:1", "x")
        await rig.store.people.change("chat:1", name="Alice of the house", zone="Pacific/Kiritimati")
        await server.hear(said("hi", ALICE))
        await server.told(1)
        await server.hear(said("hi all", ALICE, group="-5"))
        await server.told(2)
    private, group = ("\n".join(request.instructions) for request in model.requests)
    assert "Alice of the house" in private
    assert "(Pacific/Kiritimati)" in private
    assert "Alice of the house" not in group
    assert "(UTC)" in group
    assert private.partition("\n\nThe person")[0] == group.partition("\n\nToday")[0]


async def test_the_file_about_the_owner_is_in_the_owners_prompts_alone(rig: Rig) -> None:
    for name, text in (("AGENTS.md", "Be brief."), ("USER.md", "The owner's secret.")):
        (rig.folder / name).write_text(text)
    model = ScriptedModel(*["ok"] * 3)
    async with rig.server(model) as server:
        await rig.store.links.follow(["chat:1"], ["chat"])
        for count, message in enumerate((said("hi", ALICE), said("hi", BOB), said("hi", ALICE, group="-5")), 1):
            await server.hear(message)
            await server.told(count)
    prompts = ["\n".join(request.instructions) for request in model.requests]
    assert ["The owner's secret." in prompt for prompt in prompts] == [True, False, False]
    assert all("Be brief." in prompt for prompt in prompts)
    assert {delivery.event.origin.owner for delivery in await rig.store.outbox.list(None, limit=10)} == {"local", "chat:2", "chat:-5"}


async def test_a_chat_is_preferred_by_its_own_word_and_only_a_private_one(rig: Rig) -> None:
    async with rig.server(ScriptedModel()) as server:
        await server.hear(said("/prefer", ALICE), said("/prefer", ALICE, group="-5"), said("/prefer", BOB))
        mine, groups, _ = await server.texts(3)
        assert ("this chat first" in mine, "private chat" in groups) == (True, True)
        for person, chat in (("chat:1", "chat:1"), ("chat:2", "chat:2")):
            found = await rig.store.people.person(person)
            assert found is not None
            assert [str(address) for address in found.prefers] == [chat]
        await server.hear(said("/prefer off", ALICE))
        assert "wrote to me last" in (await server.texts(4))[-1]
        found = await rig.store.people.person("chat:1")
        assert found is not None
        assert found.prefers == ()
