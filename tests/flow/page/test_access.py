"""For everyone: axe finds nothing serious in any view, light and dark, wide and narrow."""

from pathlib import Path

import pytest

from tests.flow.nanobot_process import ROOT
from tests.flow.page.rig import NARROW, WIDE, PageHouse, Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")

AXE = ROOT / "tests" / "flow" / "compatibility" / "node" / "node_modules" / "axe-core" / "axe.min.js"
VIEWS = ["chat", "chat/seen", "deliveries", "schedule", "memory", "approvals", "tasks", "files", "people", "usage", "audit", "settings"]


async def filled(house: PageHouse) -> None:
    """Something in each view."""
    client = house.client
    body = {"session_id": "seen", "messages": [{"role": "user", "content": 'CALLTOOL list_files {"path": "."}'}]}
    (await client.post("/v1/chat/completions", json=body)).raise_for_status()
    (await client.post("/v1/memories", json={"text": "I like tea"})).raise_for_status()
    (await client.post("/v1/schedules", json={"kind": "ask", "when": "tomorrow 9:00", "text": "the weather"})).raise_for_status()


async def found(visit: Visit) -> list[str]:
    """Violations that axe calls serious or critical."""
    results = await visit.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [each for each in results["violations"] if each["impact"] in ("serious", "critical")]
    return [f"{each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}" for each in serious]


@pytest.mark.parametrize(("look", "size"), [("light", WIDE), ("dark", WIDE), ("light", NARROW)], ids=["light", "dark", "narrow"])
async def test_axe_finds_nothing_serious(house: PageHouse, look: str, size: dict[str, int]) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in tests/flow/compatibility/node")
    await filled(house)
    async with house.visit(color_scheme=look, viewport=size, bypass_csp=True, reduced_motion="reduce") as visit:
        await visit.context.add_init_script(path=Path(AXE))
        problems: dict[str, list[str]] = {}
        for view in VIEWS:
            await visit.open(f"#/{view}")
            await visit.page.locator("#main").wait_for()
            await visit.page.wait_for_function("!document.querySelector('.waiting')")
            problems |= {view: told} if (told := await found(visit)) else {}
        assert problems == {}
