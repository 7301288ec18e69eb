"""docs/begin.md, done as it says: its commands as processes, against a real server, and Telegram's stand-in."""

import asyncio
import shutil
from pathlib import Path

import pytest

from docs.links import ROOT
from tests.doubles.telegram_api.server import TOKEN, TelegramServer
from tests.flow.nanobot_process import Nanobot
from tests.flow.papers.console import Shown, run, shown_in

STEPS = shown_in(ROOT / "docs" / "begin.md")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_every_step_prints_what_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    async with TelegramServer() as telegram:
        nanobot = Nanobot(folder=tmp_path, env={"NANOBOT_CHANNELS__TELEGRAM__API_BASE": telegram.url})
        with nanobot.serving() as server:
            for step in STEPS:
                printed = await asyncio.to_thread(run, step, nanobot, {"http://127.0.0.1:8900": server.url, "$TOKEN": TOKEN})
                assert step.fits(printed), f"{step.command}\nprinted:\n{printed}\nthe page shows:\n{step.output}"
                if step.command == "nanobot channels status":  # "Now write to the bot: it answers."
                    telegram.say(42, "what do you know about me?")
                    await telegram.until(lambda: any("my locker code is 77" in each.text for each in telegram.ledger), within=30)
            assert telegram.ledger[-1].text == "The backup is done."


@pytest.mark.parametrize(
    ("output", "printed", "fits"),
    [
        ("", "anything", True),
        ("sent (message …)\n", "sent (message 4)\n", True),
        ("a…z", "a\nb\nz", True),
        ("sent (message …)\n", "failed: sent (message 4)", False),
        ("a.c", "abc", False),
    ],
)
def test_what_is_printed_is_compared_with_the_page(output: str, printed: str, fits: bool) -> None:
    assert Shown("x", output).fits(printed) is fits


def test_the_page_shows_steps() -> None:
    assert len(STEPS) >= 10
