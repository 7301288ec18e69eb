"""`search_history` behind the real server: what was said in other sessions comes back, with an embedding model as well."""

import pytest

from tests.flow.live.conftest import Start

from .test_prompts import will_call, will_say

VECTORS = {"models": {"vectors": {"type": "embedding", "provider": "offline"}}, "memory": {"embeddings": "vectors"}}


@pytest.mark.parametrize("config", [{}, VECTORS], ids=["words", "vectors"])
async def test_the_model_finds_what_was_said_in_another_session(start: Start, config: dict[str, object]) -> None:
    live = await start(**config)
    will_say(live.model, "A fine colour!")
    await live.ask("In Hamburg I bought a red bicycle from Almut", session="spring")
    will_say(live.model, "Sleep well.")
    await live.ask("Good night", session="evening")
    will_call(live.model, "search_history", query="Where did I get the bicycle?", after="2020-01-01")
    will_say(live.model, "In Hamburg.")
    await live.ask("Where did I get the bicycle?", session="now")
    (said,) = [message for message in live.asked()["messages"] if message["role"] == "tool"]
    first, *_ = said["content"].split("\n\n")
    assert "'api:spring'" in first.splitlines()[0]
    assert first.splitlines()[1:] == ["> the user: In Hamburg I bought a red bicycle from Almut", "  you: A fine colour!"]
    assert "Where did I get the bicycle?" not in said["content"]


async def test_a_restart_indexes_what_was_left(start: Start) -> None:
    live = await start()
    will_say(live.model, "Noted.")
    await live.ask("The spare key hangs in the greenhouse", session="keys")
    live = await start()
    will_call(live.model, "search_history", query="spare keys", session="api:keys")
    will_call(live.model, "search_history", query="spare keys", before="2020-01-01")
    will_say(live.model, "In the greenhouse.")
    await live.ask("Where is the spare key?", session="now")
    found, nothing = [message["content"] for message in live.asked()["messages"] if message["role"] == "tool"]
    assert "> the user: The spare key hangs in the greenhouse" in found
    assert nothing.startswith("Nothing like that was said.")
