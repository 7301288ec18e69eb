"""A server that is killed at each boundary of an approval: the call runs once, or is said not to be known to have run."""

import asyncio
import signal
from pathlib import Path

import pytest

from assistant.contracts.messages import ToolMessage
from assistant.contracts.outbox import OutboundEvent
from tests.doubles.forked import forked_script
from tests.flow.approvals.bells import AskingGate
from tests.flow.approvals.server_process import BOUNDARIES, DONE, TOOLS, WAITS, Ringer, says_yes
from tests.flow.approvals.test_presses import runs
from tests.flow.inbound.conftest import rig as rig
from tests.flow.inbound.rig import Rig

SCRIPT = Path(__file__).with_name("server_process.py")
ALL = [f"{name}.{side}" for name in BOUNDARIES for side in ("before", "after")]
UNKNOWN = {"start.after": 0, "run.before": 0, "run.after": 1, "step.before": 1}
"""Where it was started, and its result was not stored: how often it ran. One that may be repeated runs after all."""


async def killed(boundary: str, tool: str, folder: Path) -> None:
    async with forked_script(SCRIPT, boundary, tool, str(folder)) as script, asyncio.timeout(60):
        assert await script.wait() == -signal.SIGKILL


def is_end(event: OutboundEvent) -> bool:
    return event.text.startswith(DONE)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("boundary", ALL)
async def test_a_killed_servers_approval_is_kept_and_its_call_runs_once_or_not(rig: Rig, boundary: str, tool: str) -> None:
    await killed(boundary, tool, rig.folder)
    before = len(runs(rig.folder))
    async with rig.server(Ringer(tool), tools=[TOOLS[tool](rig.folder / "log")], gate=AskingGate()) as server:
        await says_yes(server)  # the platform was not told, and delivers both again
        events = await server.until(lambda events: any(map(is_end, events)))
        (approval,) = await server.book.list(None)
        results = [message for message in await server.kept() if isinstance(message, ToolMessage)]
    assert sum(map(is_end, events)) == 1
    assert sum(event.text == WAITS for event in events) == 1
    assert sum(bool(event.buttons) for event in events) == 1
    assert approval.state == "done"
    unknown = boundary in UNKNOWN and tool == "press"
    assert len(runs(rig.folder)) == (UNKNOWN[boundary] if unknown else 1)
    assert before <= 1
    assert [("not known" in result.text) for result in results] == [False, unknown]
