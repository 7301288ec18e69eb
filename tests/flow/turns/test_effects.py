"""What a turn did travels beside its answer, also past a crash and a failure."""

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import orjson

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.messages import AssistantMessage, ToolMessage
from assistant.contracts.models import EmitText, ModelRequest
from assistant.contracts.turns import TurnFailed
from assistant.store.codec import decode_message, encode_message
from assistant.testing.scripted import ScriptedModel, calling
from tests.doubles.keeping import KeepTool, kept
from tests.doubles.live_server import live_server, with_model
from tests.doubles.model_server import ModelServer
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.turns.house import House, ask

KEEP = calling(("keep", "{}"))


class Halting(ScriptedModel):
    """Stands still at its second call."""

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        if self.requests:
            self.gate.clear()
        return await super().complete(request, emit)


async def test_a_turn_ends_with_what_its_tools_did_and_the_session_keeps_it(house: House) -> None:
    model = ScriptedModel(
        calling(("keep", "{}"), ("list_attachments", "{}")), calling(("keep", '{"things": ["tea", "milk"]}')), "Hm.", "Hm."
    )
    turns = house.turns(model, tools=[KeepTool()])
    finished = await turns.start(ask("I like tea with milk.")).result()
    assert finished.effects == (kept("tea"), kept("milk"))
    results = [message.effects for message in await house.kept() if isinstance(message, ToolMessage)]
    assert results == [(kept("tea"),), (), (kept("tea"), kept("milk"))]
    assert (await turns.start(ask("And?")).result()).effects == ()


async def test_a_resumed_turn_still_knows_what_it_did_before(house: House) -> None:
    first, request = Halting(KEEP, "never said"), replace(ask("I like tea."), resumable=True)
    turns = house.turns(first, tools=[KeepTool()])
    turn = turns.start(request)
    await first.asked_times(2)
    await turns.close(0)
    assert turn.unsettled
    finished = await house.turns(ScriptedModel("Hm."), tools=[KeepTool()]).start(request).result()
    assert (finished.text, finished.effects) == ("Hm.", (kept("tea"),))


async def test_a_turn_that_fails_tells_what_it_did_before(house: House) -> None:
    turn = house.turns(ScriptedModel(KEEP, ProviderFailed("no")), tools=[KeepTool()]).start(ask("I like tea."))
    ends = [event async for batch in turn.events() for event in batch if isinstance(event, TurnFailed)]
    assert [end.effects for end in ends] == [(kept("tea"),)]


def test_results_that_earlier_versions_stored_have_none() -> None:
    message = ToolMessage(id="msg_1", call_id="c", name="keep", text="Kept.", effects=(kept("tea"),))
    assert decode_message(encode_message(message)) == message
    stored = orjson.loads(encode_message(message))
    del stored["effects"]
    assert decode_message(orjson.dumps(stored).decode()) == replace(message, effects=())


async def test_the_api_returns_what_was_done_and_nothing_where_nothing_was(tmp_path: Path) -> None:
    async with ModelServer() as model, TelegramServer() as telegram, AsyncExitStack() as stack:
        channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "owners": ["123456789"]}
        config = {**with_model(model.url), "channels": {"telegram": channel}}
        arguments = {"content": "Done.", "channel": "telegram", "chat_id": "123456789"}
        send: Any = [{"role": "user", "content": f"CALLTOOL message {orjson.dumps(arguments).decode()}"}]
        plain: Any = [{"role": "user", "content": "hello"}]
        with live_server(tmp_path, config=config) as server:
            client = await stack.enter_async_context(openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none"))
            whole = await client.chat.completions.create(model="agent:main", messages=send)
            streamed = [chunk async for chunk in await client.chat.completions.create(model="agent:main", messages=send, stream=True)]
            usage: Any = {"include_usage": True}
            counted = await client.chat.completions.create(model="agent:main", messages=send, stream=True, stream_options=usage)
            last = [chunk async for chunk in counted][-1]
            response = await client.responses.create(model="agent:main", input=send[0]["content"])
            events: Any = await client.responses.create(model="agent:main", input=send[0]["content"], stream=True)
            finished = [event async for event in events][-1].response
            nothing = await client.chat.completions.create(model="agent:main", messages=plain)
            silent = await client.responses.create(model="agent:main", input="hello")
    answers: list[Any] = [whole, streamed[-1], last, response, finished]
    for answer in answers:
        (effect,) = answer.nanobot["effects"]
        assert (effect["kind"], effect["text"], effect["ref"][:4]) == ("sent", "sent to telegram:123456789", "evt_")
    assert [chunk for chunk in streamed[:-1] if "nanobot" in chunk.model_dump()] == []
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == whole.choices[0].message.content == "done"
    assert last.usage is not None
    assert "nanobot" not in nothing.model_dump()
    assert "nanobot" not in silent.model_dump()
    assert [body for body in model.bodies if b'"effects"' in body] == []
