"""What a usage costs: cached tokens, tiers and the order in which prices are looked for."""

import pytest

from assistant.contracts.ledger import NANO
from assistant.contracts.messages import BilledUsage, Usage
from assistant.contracts.models import ModelInfo, Price
from assistant.ledger.budgets import money
from assistant.ledger.prices import Prices, listed
from assistant.providers.settings import PriceSettings, RegisteredModel


def usage(prompt: int, completion: int, cached: int = 0) -> Usage:
    return Usage(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached)


def dollars(amount: float) -> int:
    return round(amount * NANO)


@pytest.mark.parametrize(
    ("provider", "model", "used", "cost"),
    [
        ("openai", "gpt-5-mini", usage(1_000_000, 0), dollars(0.25)),
        ("openai", "gpt-5-mini", usage(0, 1_000_000), dollars(2)),
        ("openai", "gpt-5-mini-2025-08-07", usage(1_000_000, 0, 1_000_000), dollars(0.025)),
        ("google", "gemini-2.5-pro", usage(100_000, 0), dollars(0.125)),
        ("google", "gemini-2.5-pro", usage(400_000, 0), dollars(1)),
    ],
)
def test_the_list_knows_cached_tokens_and_prices_by_length(provider: str, model: str, used: Usage, cost: int) -> None:
    assert listed(provider, model).cost(used) == (cost, "price list")


async def test_the_configuration_comes_first_and_an_unknown_price_is_unknown() -> None:
    prices = Prices({"mine": RegisteredModel(provider="openai", model="gpt-5-mini", price=PriceSettings(prompt=1, completion=2))})
    million = BilledUsage(prompt_tokens=1_000_000, completion_tokens=1_000_000, billed=5)

    async def cost(provider: str, model: str, price: Price | None = None) -> tuple[int | None, str]:
        return (await prices.tariff(ModelInfo(id=model, provider=provider, context_tokens=1_000), price)).cost(million)

    assert await cost("openai", "gpt-5-mini") == (dollars(3), "configuration")
    assert await cost("custom", "gpt-5-mini", Price(prompt=1)) == (dollars(1), "configuration")
    assert await cost("openrouter", "openai/gpt-5-mini") == (5, "provider")
    assert await cost("custom", "gpt-5-mini") == (5, "provider")
    million = usage(1_000_000, 0)
    assert await cost("openrouter", "openai/gpt-5-mini") == (dollars(0.25), "price list")
    assert await cost("openai", "no-such-model") == (None, "unknown")
    assert await cost("custom", "gpt-5-mini") == (None, "unknown")
    for provider in ("offline", "local", "ollama"):
        assert await cost(provider, "anything") == (0, "local")


@pytest.mark.parametrize(
    ("nanos", "shown"),
    [(0, "$0.00"), (1_234_500_000_000, "$1,234.50"), (12_300_000, "$0.0123"), (100_000, "$0.0001"), (1_500, "$0.0000015")],
)
def test_small_sums_keep_their_digits(nanos: int, shown: str) -> None:
    assert money(nanos) == shown
