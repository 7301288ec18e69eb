"""A process that is killed at a boundary of a cut leaves the session as before, or with the cut whole: the next one sees no third state."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.store.database import StoreSettings
from assistant.store.store import open_store
from tests.doubles.forked import forked_script
from tests.doubles.small_context import SmallContext
from tests.flow.turns.house import House, ask, texts
from tests.flow.turns.test_compaction import summary_in, until_cut
from tests.flow.turns.test_turns_of_the_inbox import Told


async def told_of_cuts(house: House) -> int:
    rows = await house.store.database.read(lambda connection: connection.execute("SELECT payload FROM outbox"))
    return sum("cut at" in payload for (payload,) in rows)


@pytest.mark.parametrize("boundary", ["asked", "written", "stored"])
async def test_a_kill_leaves_the_session_as_before_or_cut(url: str, tmp_path: Path, boundary: str) -> None:
    script = Path(__file__).with_name("cut_process.py")
    async with forked_script(script, boundary, url, str(tmp_path)) as process, asyncio.timeout(60):
        assert await process.wait() == -9
    store = await open_store(StoreSettings(url=url), tmp_path / "state")
    house, model = House(store, tmp_path), SmallContext(6_000)
    turns = house.turns(model)
    try:
        whole = boundary == "stored"
        assert (len(await store.summaries.list("local", "api:s")), await told_of_cuts(house)) == (int(whole), int(whole))
        request = ask("and now?")
        async with asyncio.timeout(30):
            await turns.start(replace(request, reply=Told(request.id))).result()
            kept = await house.kept()
            await until_cut(house)
            await turns.start(ask("and then?")).result()
        assert bool(summary_in(model.prompts[0])) == whole
        assert whole or model.prompts[0] == tuple(kept[:-1])
        assert summary_in(model.prompts[1])
        assert texts(model.prompts[1])[-3] == "and now?"
        assert (len(await store.summaries.list("local", "api:s")), await told_of_cuts(house)) == (1, 1)
        assert (await house.kept())[:-2] == kept, "all stay stored"
    finally:
        await turns.close(1)
        await store.close()
