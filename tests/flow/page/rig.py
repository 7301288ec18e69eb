"""A real Chromium in front of a real server: what the journeys share."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest

from tests.doubles.live_server import LiveServer, live_server, with_model
from tests.doubles.model_server import ModelServer

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Download, Page

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_QUIET: Final = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
]
"""As root, and without traffic of its own."""
WIDE: Final = {"width": 1440, "height": 900}
NARROW: Final = {"width": 360, "height": 740}
WITHIN: Final = 20_000
"""Milliseconds in which what a journey waits for must be seen."""


@asynccontextmanager
async def chromium() -> "AsyncGenerator[Browser]":
    """Skips where there is none."""
    playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt install chromium")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        try:
            yield browser
        finally:
            await browser.close()


async def saved_text(download: "Download") -> str:
    return await asyncio.to_thread(Path(await download.path()).read_text, encoding="utf-8")


@dataclass(slots=True)
class Visit:
    """A browser of its own: nothing is kept from another, and what goes wrong in it is noted."""

    context: "BrowserContext"
    page: "Page"
    url: str
    wrong: list[str] = field(default_factory=list[str])
    """Errors of scripts, violations of the policy, failed loads."""

    expected: set[str] = field(default_factory=set[str])

    def heard(self, message: "ConsoleMessage") -> None:
        if message.type == "error" and not self._is_expected(message.text):
            self.wrong.append(message.text)

    def expect(self, status: int) -> None:
        """The browser tells of each answer with this status, before this call and behind it: that is nothing wrong."""
        self.expected.add(f" status of {status} ")
        self.wrong[:] = [each for each in self.wrong if not self._is_expected(each)]

    def _is_expected(self, told: str) -> bool:
        return any(each in told for each in self.expected)

    async def open(self, place: str = "#/chat") -> "Page":
        await self.page.goto(f"{self.url}/{place}")
        return self.page

    async def say(self, text: str) -> None:
        """Write a message and send it, once nothing is at work."""
        await self.page.locator("article.live").wait_for(state="detached")
        await self.page.get_by_role("textbox", name="Message", exact=True).fill(text)
        await self.page.keyboard.press("Enter")

    async def answered(self, text: str) -> None:
        """Wait until an answer with these words is stored, and nothing is at work."""
        await self.page.locator("article.answered:not(.live)", has_text=text).last.wait_for(timeout=WITHIN)
        await self.page.locator("article.live").wait_for(state="detached", timeout=WITHIN)


@dataclass(slots=True)
class PageHouse:
    """A server, its model, and a Chromium, for a module's journeys."""

    server: LiveServer
    model: ModelServer
    browser: "Browser"
    client: httpx2.AsyncClient
    home: Path

    @asynccontextmanager
    async def visit(self, **options: Any) -> AsyncGenerator[Visit]:
        """A new browser context; in the end nothing may have gone wrong in it, but for what `wrong` was emptied of."""
        async with open_visit(self.browser, self.server.url, **options) as visit:
            yield visit


@asynccontextmanager
async def open_visit(browser: "Browser", url: str, **options: Any) -> AsyncGenerator[Visit]:
    options = {"viewport": WIDE, "locale": "en-GB", "timezone_id": "Europe/Berlin", "service_workers": "block", **options}
    context = await browser.new_context(**options)
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(WITHIN)
    try:
        page = await context.new_page()
        visit = Visit(context, page, url)
        page.on("console", lambda message: visit.heard(message))
        page.on("pageerror", lambda error: visit.wrong.append(str(error)))
        yield visit
    finally:
        await context.close()
    assert not visit.wrong, visit.wrong


@asynccontextmanager
async def page_house(folder: Path, *, program: str = "assistant.cli", **config: object) -> AsyncGenerator[PageHouse]:
    """`program`: the module that serves. `config`: more of its configuration."""
    async with AsyncExitStack() as stack:
        browser = await stack.enter_async_context(chromium())
        model = await stack.enter_async_context(ModelServer())
        server = stack.enter_context(live_server(folder / "home", config={**with_model(model.url), **config}, program=program))
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=server.url, timeout=30))
        yield PageHouse(server, model, browser, client, folder / "home")
