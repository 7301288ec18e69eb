import json
import sys
import textwrap
from pathlib import Path

import pytest

from assistant.config import ConfigError, Loaded, load_config
from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed
from assistant.contracts.errors import InvalidAddress
from assistant.contracts.messages import Json
from assistant.testing.platform import FolderFiles
from channels.catalog import channel_kind
from channels.mqtt.settings import MqttSettings


def load(folder: Path, content: Json, env: dict[str, str] | None = None) -> Loaded:
    (folder / "config.json").write_text(json.dumps(content))
    return load_config(None, {"NANOBOT_HOME": str(folder / "home"), **(env or {})}, directory=folder)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that give the channels pigeon-post (sound) and wecom (which can't be imported)."""
    site = tmp_path / "site"
    (site / "pigeons-1.0.dist-info").mkdir(parents=True)
    (site / "pigeons-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1.0\n")
    points = "[nanobot.channels]\npigeon-post = pigeons_of_a_test:KIND\nwecom = broken_of_a_test:KIND\n"
    (site / "pigeons-1.0.dist-info" / "entry_points.txt").write_text(points)
    (site / "pigeons_of_a_test.py").write_text(
        textwrap.dedent("""
            from assistant.contracts.channels import ChannelKind, ChannelSettings
            class Settings(ChannelSettings):
                lofts: int = 1
            KIND = ChannelKind(name="pigeon-post", settings=Settings, check_address=None, named=None, open=None)
        """)
    )
    (site / "broken_of_a_test.py").write_text("raise RuntimeError('no')\n")
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])


def test_no_channel_is_enabled_by_default(tmp_path: Path):
    config = load(tmp_path, {}).config
    assert config.enabled_channels == {}
    assert list(config.channels.by_name()) == ["telegram", "discord", "webhook", "apprise"]


def test_ids_of_senders_may_be_written_as_numbers(tmp_path: Path):
    content: Json = {"channels": {"telegram": {"enabled": True, "token": "1:x", "allowFrom": [42, "43"]}}}
    telegram = load(tmp_path, content).config.channels.by_name()["telegram"]
    assert telegram.allow_from == ("42", "43")


def test_the_environment_reaches_a_channel(tmp_path: Path):
    loaded = load(tmp_path, {}, {"NANOBOT_CHANNELS__TELEGRAM__ENABLED": "true", "NANOBOT_CHANNELS__TELEGRAM__TOKEN": "1:x"})
    assert list(loaded.config.enabled_channels) == ["telegram"]


@pytest.mark.usefixtures("installed")
def test_a_channel_of_an_installed_package_is_configured_under_its_name(tmp_path: Path):
    config = load(tmp_path, {"channels": {"pigeonPost": {"enabled": True, "lofts": 3}}}).config
    assert list(config.enabled_channels) == ["pigeon-post"]
    assert config.enabled_channels["pigeon-post"].model_dump()["lofts"] == 3


@pytest.mark.usefixtures("installed")
def test_an_unknown_key_of_such_a_channel_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r'channels\.pigeonPost\.loft: there is no such key; did you mean "channels\.pigeonPost\.lofts"'):
        load(tmp_path, {"channels": {"pigeonPost": {"loft": 3}}})


@pytest.mark.usefixtures("installed")
def test_a_package_that_cannot_be_imported_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"channels\.wecom: the package that gives this channel can't be used: .* RuntimeError"):
        load(tmp_path, {"channels": {"wecom": {"enabled": True}}})


@pytest.mark.usefixtures("installed")
def test_a_channel_that_is_not_wanted_is_not_imported(tmp_path: Path):
    assert load(tmp_path, {"channels": {"wecom": {"enabled": False}}}).notices == ()


@pytest.mark.parametrize("section", [{}, {"enabled": False}, {"enabled": False, "anything": 1}])
def test_a_channel_of_ours_that_is_switched_off_is_not_imported(tmp_path: Path, section: Json):
    loaded = load(tmp_path, {"channels": {"ntfy": section}})
    assert (loaded.notices, "ntfy" in loaded.config.channels.by_name()) == ((), False)


def test_a_channel_of_ours_that_the_environment_switches_on_is_there(tmp_path: Path):
    loaded = load(tmp_path, {"channels": {"ntfy": {"enabled": False}}}, {"NANOBOT_CHANNELS__NTFY__ENABLED": "true"})
    assert list(loaded.config.enabled_channels) == ["ntfy"]


def test_a_channel_that_nobody_gives_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r'channels\.telegramm: there is no such key; did you mean "channels\.telegram"'):
        load(tmp_path, {"channels": {"telegramm": {"enabled": True}}})


def test_who_may_be_written_to_is_a_word_or_a_list_of_addresses(tmp_path: Path):
    assert load(tmp_path, {}).config.agent.may_message == "known"
    given: Json = {"agents": {"defaults": {"mayMessage": ["Telegram:42", "discord:1187654321098765432"]}}}
    assert load(tmp_path, given).config.agent.may_message == ("telegram:42", "discord:1187654321098765432")
    with pytest.raises(ConfigError, match=r"agents\.defaults\.mayMessage"):
        load(tmp_path, {"agents": {"defaults": {"mayMessage": ["everybody"]}}})


def test_who_may_be_written_to_can_be_said_in_the_environment(tmp_path: Path):
    name = "NANOBOT_AGENTS__DEFAULTS__MAY_MESSAGE"
    assert load(tmp_path, {}, {name: "any"}).config.agent.may_message == "any"
    assert load(tmp_path, {}, {name: '["telegram:42"]'}).config.agent.may_message == ("telegram:42",)
    with pytest.raises(ConfigError, match=r"NANOBOT_AGENTS__DEFAULTS__MAY_MESSAGE: agents\.defaults\.mayMessage"):
        load(tmp_path, {}, {name: "everybody"})


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("sms", {}, "channels.sms.accountSid, channels.sms.authToken, channels.sms.number are not set."),
        ("whatsapp", {"phoneNumberId": "1", "accessToken": "t", "appSecret": "s"}, "channels.whatsapp.verifyToken is not set."),
        ("signal", {"account": ""}, "channels.signal.account is not set."),
    ],
    ids=["sms", "whatsapp", "signal"],
)
def test_a_channel_names_the_settings_that_it_lacks(name: str, given: dict[str, object], words: str, tmp_path: Path) -> None:
    kind = channel_kind(name)
    assert kind is not None
    with pytest.raises(ChannelFailed) as failed:
        kind.open(kind.settings.model_validate(given), ChannelContext(files=FolderFiles(tmp_path), version="1"))
    assert (str(failed.value), failed.value.fatal) == (words, True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_password_needs_no_tls_on_this_machine(host: str) -> None:
    assert MqttSettings.model_validate({"host": host, "password": "p"}).host == host


@pytest.mark.parametrize("name", ["ntfy", "mqtt", "sms", "whatsapp", "signal", "apprise"])
def test_a_platform_without_threads_takes_no_thread(name: str) -> None:
    kind = channel_kind(name)
    assert kind is not None
    with pytest.raises(InvalidAddress, match="has no threads"):
        kind.check_address(kind.settings(), Address(channel=name, chat_id="x", thread_id="1"))
