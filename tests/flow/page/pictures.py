"""The pictures of docs/page/, made anew by `python -m tests.flow.page.pictures`: each view, light and dark, wide and narrow."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.flow.nanobot_process import ROOT
from tests.flow.page.rig import PageHouse, Visit, page_house

FOLDER: Final = ROOT / "docs" / "page"
VIEWS: Final = [
    "chat",
    "deliveries",
    "schedule",
    "calendar",
    "memory",
    "approvals",
    "tasks",
    "files",
    "people",
    "usage",
    "audit",
    "settings",
]
WIDE: Final = {"width": 1200, "height": 760}
NARROW: Final = {"width": 360, "height": 740}
CONTRACT: Final = """It is a **rental contract** of two years, from 1 April 2025.

| item | a month |
|---|---:|
| rent | 1,240 € |
| heating and water | 210 € |
| deposit, once | 3,720 € |

- It ends on *31 March 2027* unless one of you writes before.
- Notice is three months, in writing (`§ 573c BGB`).

I will remind you on 24 March at 9:00."""
SAID: Final = [
    ("Plan the trip to Lisbon in May", "Three days are enough for the old town, Belém and a day in Sintra."),
    ("Compare the two heating offers", "The second is cheaper over ten years, by about 1,900 €."),
    ("What is in this contract, and remind me a week before it ends?", CONTRACT),
]


async def furnish(house: PageHouse) -> None:
    """What a household has after a few days."""
    client = house.client
    for number, (asked, answer) in enumerate(SAID):
        house.model.configure(text=answer)
        content: list[dict[str, object]] = [{"type": "text", "text": asked}]
        body = {"session_id": f"s{number}", "messages": [{"role": "user", "content": content}]}
        (await client.post("/v1/chat/completions", json=body)).raise_for_status()
    written = '["write_file", {"path": "notes/lisbon.md", "content": "# Lisbon"}]'
    steps = f'CALLTOOLS [["list_files", {{"path": "."}}], {written}, ["run", {{"command": "date"}}]]'
    body = {"session_id": "s3", "messages": [{"role": "user", "content": steps}]}
    (await client.post("/v1/chat/completions", json=body)).raise_for_status()
    for text in ("Anna is allergic to hazelnuts", "I drink my tea without milk", "The bicycle is in the cellar, the key hangs by the door"):
        (await client.post("/v1/memories", json={"text": text})).raise_for_status()
    for kind, when, text in (
        ("ask", "every weekday at 7:30", "What is in my calendar today, and will it rain?"),
        ("ask", "2027-03-24 09:00", "The rental contract ends in a week"),
        ("ask", "every sunday at 18:00", "Sum up the week, and what is left to do"),
    ):
        (await client.post("/v1/schedules", json={"kind": kind, "when": when, "text": text})).raise_for_status()
    for to, text in (("telegram:42", "I am late, start without me"), ("telegram:42", "The plumber comes at ten")):
        (await client.post("/v1/deliveries", json={"to": to, "text": text})).raise_for_status()
    (
        await client.post("/v1/files", data={"purpose": "user_data"}, files={"file": ("ideas.md", b"- Lisbon\n" * 900, "text/markdown")})
    ).raise_for_status()
    (await client.post("/v1/people/me", json={"name": "Anna", "zone": "Europe/Berlin", "quiet": "22:00-07:00"})).raise_for_status()
    (await client.post("/v1/keys", json={"name": "home-assistant", "scopes": ["chat", "models"]})).raise_for_status()


async def take(visit: Visit, view: str, name: str) -> None:
    page = visit.page
    await visit.open({"chat": "#/chat/s2", "calendar": "#/schedule"}.get(view, f"#/{view}"))
    await page.locator("#main").wait_for()
    await page.wait_for_function("!document.querySelector('.waiting')")
    if view == "calendar":
        await page.get_by_role("button", name="Calendar").click()
    await page.wait_for_timeout(250)
    await page.screenshot(path=FOLDER / f"{name}.jpg", type="jpeg", quality=72)


async def main(views: Sequence[str] = VIEWS) -> None:
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        async with page_house(Path(folder)) as house:
            await furnish(house)
            for look in ("light", "dark"):
                for size, shape in ((WIDE, "wide"), (NARROW, "narrow")):
                    async with house.visit(color_scheme=look, viewport=size, bypass_csp=True) as visit:
                        for view in views:
                            await take(visit, view, f"{view}-{look}-{shape}")


if __name__ == "__main__":
    asyncio.run(main())
