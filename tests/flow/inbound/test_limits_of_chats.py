"""People in chats have the default limits: over them they are told when to write again, and their words are kept."""

from datetime import timedelta

from assistant.contracts.access import Limits
from assistant.contracts.messages import AssistantMessage, Usage
from assistant.testing.scripted import ScriptedModel
from tests.flow.inbound.chat import BOB, said
from tests.flow.inbound.rig import Rig, words


async def test_over_the_limit_a_sender_is_told_when_to_write_again_and_the_message_is_kept(rig: Rig) -> None:
    model = ScriptedModel("one", "three", "hello Bob")
    async with rig.server(model, budget=Limits.of(requests_per_minute=1)) as server:
        await server.hear(said("first"))
        await server.told(1)
        rig.clock.turn(timedelta(seconds=20))
        await server.hear(said("second"))
        _, refusal = await server.texts(2)
        assert refusal == "You have reached your limit: I kept your message, and can answer it when you write to me again in 40 s."
        assert len(model.requests) == 1
        await server.hear(said("third"))
        assert (await server.texts(3))[-1] == refusal  # a refused message does not count
        rig.clock.turn(timedelta(seconds=40))
        await server.hear(said("go on"))
        assert (await server.texts(4))[-1] == "three"
        assert words(model.requests[-1].messages)[0::2] == ["first", "second", "third", "go on"]
        await server.hear(said("hi", BOB))  # limits are per person
        assert (await server.texts(5))[-1] == "hello Bob"


async def test_tokens_of_chats_are_reserved_and_settled_by_the_usage(rig: Rig) -> None:
    limits = Limits.of(tokens_per_minute=1_000)
    reply = AssistantMessage(id="msg_1", text="one", usage=Usage(prompt_tokens=700, completion_tokens=100), model="scripted")
    async with rig.server(ScriptedModel(reply), budget=limits) as server:
        await server.hear(said("first"))
        await server.told(1)
        await server.turns.close(5)
    standing = (await rig.store.limits.admit("chat:1", limits)).standing.tokens
    assert standing is not None
    assert standing.remaining == 200
