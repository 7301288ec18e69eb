"""Two servers on one store, one of them stopped (SIGSTOP) in the middle of a write: the other answers, if only that it can't store anything now."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.contract.store.processes import line, other_process, remaining_lines, stands_still

from .conftest import Start

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")


async def test_a_server_beside_one_that_stands_still_answers_in_time_and_recovers(start: Start, url: str, tmp_path: Path) -> None:
    live = await start(store={"url": url})
    assert (await live.ask("ECHO before")).status_code == 200
    async with other_process("stop", url, tmp_path) as process:
        assert await line(process) == "begun"
        await stands_still(process)
        async with asyncio.timeout(30):
            asked = await asyncio.gather(*(live.ask(f"ECHO {number}", session=f"s{number}") for number in range(8)))
            for response in (response for response in asked if response.status_code != 200):
                assert (response.status_code, response.json()["error"]["code"]) == (503, "store_unavailable")
                assert int(response.headers["retry-after"]) >= 1
            assert [message["content"] for message in await live.session()] == ["ECHO before", "before"]
            assert (await live.client.get("/v1/models")).status_code == 200
            assert (await live.client.get("/v1/deliveries")).status_code == 200
            ready = await live.client.get("/ready")
        if url.startswith("sqlite"):
            assert {response.status_code for response in asked} == {503}
            assert ready.status_code == 503
        else:
            assert (await live.ask("ECHO taken over", session="other")).status_code == 200
        process.process.send_signal(signal.SIGCONT)
        assert (await remaining_lines(process))[-1:] == ["goes on"]
    again = await live.ask("ECHO after")
    assert again.status_code == 200
    assert [message["content"] for message in await live.session()] == ["ECHO before", "before", "ECHO after", "after"]
