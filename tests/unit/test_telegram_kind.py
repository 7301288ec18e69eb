"""What is known of Telegram without its SDK: settings and addresses."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from assistant.config import load_config
from assistant.contracts.addresses import address_of
from assistant.contracts.channels import ChannelContext, ChannelFailed, MediaFiles
from assistant.contracts.errors import InvalidAddress
from channels.telegram.kind import KIND, check_address
from channels.telegram.settings import TelegramSettings


def test_the_kind_costs_no_sdk():
    code = "import sys, channels.telegram.kind; print([name for name in ('telegram', 'httpx', 'aiohttp') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("chat_id", "thread_id", "spelling"),
    [
        ("42", None, "telegram:42"),
        ("-1001234567890", "7", "telegram:-1001234567890:7"),
        ("@The_News", None, "telegram:@the_news"),
        ("-5", "1", "telegram:-5"),
    ],
)
def test_an_address_has_one_spelling(chat_id: str, thread_id: str | None, spelling: str):
    assert str(check_address(TelegramSettings(), address_of("telegram", chat_id, thread_id))) == spelling


@pytest.mark.parametrize(
    ("chat_id", "thread_id"),
    [("Ada", None), ("0", None), ("042", None), ("4 2", None), ("٤٢", None), ("9" * 19, None), ("@a", None), ("42", "x"), ("42", "-1")],
)
def test_what_cannot_be_an_address_is_refused(chat_id: str, thread_id: str | None):
    with pytest.raises(InvalidAddress):
        check_address(TelegramSettings(), address_of("telegram", chat_id, thread_id))


def test_the_chats_that_the_configuration_names_are_those_of_people():
    settings = TelegramSettings.model_validate({"allowFrom": ["42|ada", "bob", "*"], "owners": [43]})
    assert list(KIND.named(settings)) == ["42", "43"]


def test_a_name_in_the_list_of_ids_matches_nobody_and_is_said(files: MediaFiles, caplog: pytest.LogCaptureFixture):
    settings = TelegramSettings.model_validate({"token": "1:x", "allowFrom": ["42|ada", "bob"]})
    assert settings.allow_from == ("42", "bob")
    KIND.open(settings, ChannelContext(files=files, version="1"))
    assert "telegram.sender_is_no_id entry=bob" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


def test_without_a_token_it_cannot_be_opened(files: MediaFiles):
    for settings in (TelegramSettings(enabled=True), TelegramSettings.model_validate({"token": " "})):
        with pytest.raises(ChannelFailed, match=r"channels\.telegram\.token"):
            KIND.open(settings, ChannelContext(files=files, version="1"))


@pytest.mark.parametrize(
    "given",
    [{"token": "no token"}, {"token": "1:x\n2"}, {"token": "1:x", "proxy": "ftp://127.0.0.1:1"}, {"token": "1:x", "proxy": "no"}],
)
def test_what_cannot_be_connected_with_is_said_when_it_is_opened(files: MediaFiles, given: dict[str, str]):
    with pytest.raises(ChannelFailed) as failed:
        KIND.open(TelegramSettings.model_validate(given), ChannelContext(files=files, version="1"))
    assert failed.value.fatal
    assert given["token"] not in str(failed.value)


def test_the_section_of_nanobot_is_obeyed(tmp_path: Path):
    section: dict[str, Any] = {
        "enabled": True,
        "token": "1:x",
        "mode": "polling",
        "allowFrom": ["42|ada", 43],
        "proxy": None,
        "apiBase": "https://api.telegram.org",
        "extraHeaders": {},
        "replyToMessage": True,
        "reactEmoji": "👀",
        "groupPolicy": "open",
        "connectionPoolSize": 32,
        "poolTimeout": 5.0,
        "streaming": True,
        "inlineKeyboards": False,
        "richMessages": False,
        "streamEditInterval": 0.6,
        "webhookUrl": "",
        "webhookListenHost": "127.0.0.1",
        "webhookListenPort": 8081,
        "webhookPath": "/telegram",
        "webhookSecretToken": "",
        "webhookMaxConnections": 4,
    }
    (tmp_path / "config.json").write_text(json.dumps({"channels": {"telegram": section}}))
    loaded = load_config(None, {"NANOBOT_HOME": str(tmp_path / "home")}, directory=tmp_path)
    settings = loaded.config.channels.by_name()["telegram"]
    assert isinstance(settings, TelegramSettings)
    assert (settings.groups, settings.preview, settings.reply_to_message, settings.allow_from) == ("all", "edit", True, ("42", "43"))
    assert settings.quotes_in_private
    assert settings.webhook_secret_token is None


@pytest.mark.parametrize(
    "section",
    [
        {"enabled": True, "mode": "webhook"},
        {"enabled": True, "mode": "webhook", "webhookUrl": "http://example.com"},
        {"webhookPath": "telegram"},
        {"webhookSecretToken": "no spaces"},
        {"groups": "some"},
        {"preview": "maybe"},
    ],
)
def test_settings_that_cannot_work_are_refused(section: dict[str, Any]):
    with pytest.raises(ValidationError):
        TelegramSettings.model_validate(section)


class _NoFiles:
    async def keep(self, path: Path, name: str) -> Any:
        raise NotImplementedError

    def path(self, media: object) -> Path:
        raise NotImplementedError


@pytest.fixture
def files() -> MediaFiles:
    return _NoFiles()
