"""Budgets in chats: a person is told once when most of theirs is used, and in words when all of it is; /usage shows how much."""

from pathlib import Path

from tests.doubles.model_server import ModelServer
from tests.doubles.telegram_api.server import TelegramServer

from .house import ledger_house


async def said(telegram: TelegramServer, words: str) -> str:
    """Say something as the owner; returns what came back, the notice of a budget aside."""
    before = len(answers(telegram))
    telegram.say(42, words)
    await telegram.until(lambda: len(answers(telegram)) > before)
    return answers(telegram)[before]


def answers(telegram: TelegramServer) -> list[str]:
    return [text for text in telegram.texts(42) if not text.startswith("Four fifths")]


async def test_a_person_is_told_once_at_four_fifths_and_in_words_at_the_end(tmp_path: Path, url: str, upstream: ModelServer) -> None:
    async with TelegramServer() as telegram:
        channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "owners": ["42"]}
        agents = {"defaults": {"provider": "custom", "model": "fake-model", "maxTokens": 500}}
        budgets = [{"of": "person", "per": "month", "tokens": 6_000}]
        async with ledger_house(tmp_path, upstream, url, channels={"telegram": channel}, agents=agents, budgets=budgets) as house:
            assert (await said(telegram, "hello")).startswith("tok0")
            assert "Today: " in await said(telegram, "/usage")
            assert f"{house.billed:,} of 6,000 tokens a month" in answers(telegram)[-1].replace("Budget", "")
            upstream.configure(text="x" * 900, chunks=900)
            last = ""
            for _ in range(12):
                last = last if "budget" in last else await said(telegram, "more")
            assert last.startswith(
                "I kept your message, and can't answer it now. Your budget has too little left for this call: 6,000 tokens a month."
            )
            assert "It is available again at " in last
            await telegram.until(lambda: any(text.startswith("Four fifths") for text in telegram.texts(42)))
            assert "Your budget" in await said(telegram, "and now?")
            told = [text for text in telegram.texts(42) if text.startswith("Four fifths")]
            assert len(told) == 1
            assert told[0].startswith("Four fifths of your budget are used: 6,000 tokens a month. When all of it is, I can't answer until ")


async def test_the_owner_is_told_of_a_budget_of_the_whole_server(tmp_path: Path, upstream: ModelServer) -> None:
    async with TelegramServer() as telegram:
        channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "owners": ["42"]}
        budgets = [{"of": "all", "per": "month", "tokens": 1_200}]
        url = f"sqlite:///{tmp_path / 'nanobot.db'}"
        async with ledger_house(tmp_path, upstream, url, channels={"telegram": channel}, budgets=budgets) as house:
            await said(telegram, "/id")
            for _ in range(3):
                await house.chat(model="plain", max_tokens=1_000)
            await telegram.until(lambda: any("the budget of this server are used" in text for text in telegram.texts(42)))
