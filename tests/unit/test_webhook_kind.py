"""Webhooks by their settings alone."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from assistant.contracts.addresses import address_of
from assistant.contracts.channels import ChannelContext, ChannelFailed
from assistant.contracts.errors import InvalidAddress
from channels.webhook.kind import KIND
from channels.webhook.settings import WebhookSettings


def settings(**hooks: object) -> WebhookSettings:
    return WebhookSettings.model_validate({"enabled": True, "hooks": hooks})


def test_an_address_is_the_name_of_a_hook_that_there_is() -> None:
    there = settings(build={"secret": "s" * 16})
    assert KIND.check_address(there, address_of("webhook", "build")).chat_id == "build"
    assert KIND.named(there) == ["build"]
    with pytest.raises(InvalidAddress, match="There are: build"):
        KIND.check_address(there, address_of("webhook", "other"))


def test_where_none_is_configured_any_name_that_can_be_one_is_taken() -> None:
    assert KIND.check_address(WebhookSettings(), address_of("webhook", "other"))
    with pytest.raises(InvalidAddress):
        KIND.check_address(WebhookSettings(), address_of("webhook", "../x"))


@pytest.mark.parametrize(
    "hook", [{"secret": "short"}, {"bearer": "short"}, {"url": "ftp://x"}, {"url": "/x"}, {"url": "javascript:x"}, {"sekret": "x"}]
)
def test_settings_that_can_not_be_meant_are_refused(hook: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings(build=hook)


def test_secrets_and_urls_are_not_shown() -> None:
    shown = repr(settings(build={"secret": "hush" * 8, "bearer": "hush" * 8, "url": "https://example.org/hush", "outSecret": "hush" * 8}))
    assert "hush" not in shown


def test_no_hook_at_all_can_not_be_opened(tmp_path: Path) -> None:
    class Nothing: ...

    with pytest.raises(ChannelFailed) as caught:
        KIND.open(settings(), ChannelContext(files=Nothing(), version="1"))  # pyright: ignore[reportArgumentType] - never reached
    assert caught.value.fatal


@pytest.mark.parametrize("name", ["webhook", "apprise"])
def test_a_kind_is_known_without_its_libraries(name: str) -> None:
    code = f"import sys, channels.{name}.kind; print([m for m in ('aiohttp', 'apprise', 'markdown_it', 'requests') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
