"""Each recipe's configuration loads, and its commands print what it shows."""

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest

from docs.links import ROOT
from tests.doubles.telegram_api.server import TOKEN, TelegramServer
from tests.flow.nanobot_process import Nanobot
from tests.flow.papers.console import blocks, run, shown_in

RECIPES = sorted((ROOT / "docs" / "recipes").glob("*.md"))
SECRETS = {
    "TELEGRAM_TOKEN": TOKEN,
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "CI_SECRET": "s" * 32,
    "NANOBOT_KEY": "k" * 32,
}
OFFLINE = {"NANOBOT_AGENTS__DEFAULTS__PROVIDER": "offline", "NANOBOT_AGENTS__DEFAULTS__FALLBACK_MODELS": "[]"}
CODE = "7KQ2M9XF"
"""The code of the pages; a stranger gets another one."""


def nanobot_of(recipe: Path, folder: Path, **env: str) -> Nanobot:
    """Where its configuration is the recipe's: the page's first block of JSON."""
    (folder / "config.json").write_text(blocks(recipe, "json")[0], encoding="utf-8")
    return Nanobot(folder=folder, env={**SECRETS, **OFFLINE, **env})


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_the_configuration_of_a_recipe_is_whole_and_right(recipe: Path, tmp_path: Path) -> None:
    for block in blocks(recipe, "json"):
        json.loads(block)
    nanobot = nanobot_of(recipe, tmp_path)
    done = nanobot("config", "check")
    assert (done.returncode, done.stdout.splitlines()) == (0, [f"{tmp_path}/config.json: right"]), done.stderr


async def test_the_family_recipe_prints_what_it_shows(tmp_path: Path) -> None:
    async with TelegramServer() as telegram:
        nanobot = nanobot_of(recipe("family"), tmp_path, NANOBOT_CHANNELS__TELEGRAM__API_BASE=telegram.url)
        with nanobot.serving() as server:
            telegram.say(42, "hello")
            await telegram.until(lambda: bool(telegram.ledger), within=30)
            code = re.findall(r"\b[A-Z0-9]{8}\b", telegram.ledger[-1].text)[0]
            await follow("family", nanobot, server.url, {CODE: code})
            telegram.say(42, "add milk to shared/list.md")
            await telegram.until(lambda: any(each.text.startswith("Written") for each in telegram.ledger), within=30)
            telegram.say(123456789, "show me shared/list.md")
            await telegram.until(lambda: any("milk" in each.text for each in telegram.ledger if each.chat_id == 123456789), within=30)
    assert "Dinner is ready." in [each.text for each in telegram.ledger if each.chat_id == 42]


async def test_the_recipe_of_a_folder_prints_what_it_shows(tmp_path: Path) -> None:
    nanobot = nanobot_of(recipe("folder"), tmp_path)
    library = nanobot.home / "workspace" / "shared" / "library"
    library.mkdir(parents=True)
    shutil.copyfile(ROOT / "examples" / "files" / "report.docx", library / "report.docx")
    with nanobot.serving() as server:
        await follow("folder", nanobot, server.url)


async def test_the_nightly_report_is_made_and_delivered(tmp_path: Path) -> None:
    async with TelegramServer() as telegram:
        nanobot = nanobot_of(recipe("nightly-report"), tmp_path, NANOBOT_CHANNELS__TELEGRAM__API_BASE=telegram.url)
        with nanobot.serving() as server:
            workspace = nanobot.home / "workspace"
            (workspace / "workflows" / "nightly.yaml").write_text(blocks(recipe("nightly-report"), "yaml")[0], encoding="utf-8")
            (workspace / "shared").mkdir()
            (workspace / "shared" / "backup.log").write_text("3 files failed\n", encoding="utf-8")
            await follow("nightly-report", nanobot, server.url)
            await telegram.until(lambda: any(each.text.startswith("Last night") for each in telegram.ledger), within=30)


@pytest.mark.parametrize("name", ["home-server", "team"])
async def test_a_recipe_without_a_server_prints_what_it_shows(name: str, tmp_path: Path) -> None:
    await follow(name, nanobot_of(recipe(name), tmp_path), "")


def recipe(name: str) -> Path:
    return ROOT / "docs" / "recipes" / f"{name}.md"


async def follow(name: str, nanobot: Nanobot, url: str, instead: dict[str, str] | None = None) -> None:
    """Run the page's commands one after the other. `instead`: words in place of the page's."""
    steps = shown_in(recipe(name))
    assert steps
    for step in steps:
        printed = await asyncio.to_thread(run, step, nanobot, {"http://127.0.0.1:8900": url, **(instead or {})})
        assert step.fits(printed), f"{step.command}\nprinted:\n{printed}\nthe page shows:\n{step.output}"
