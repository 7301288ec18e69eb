"""The `channels` section: a model a channel, each declared beside its adapter; those of installed packages are joined when they are named."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from pydantic import Field, create_model

from assistant.config.errors import ConfigError, Problem
from assistant.config.keys import camel, keys_of
from assistant.config.nanobot_keys import SECTION_KEYS, says_nothing
from assistant.contracts.channels import ChannelSettings
from assistant.contracts.messages import Json
from assistant.contracts.settings import Settings
from channels.apprise.settings import AppriseSettings
from channels.catalog import channel_kind, installed_names
from channels.discord.settings import DiscordSettings
from channels.telegram.settings import TelegramSettings
from channels.webhook.settings import WebhookSettings


class ChannelsSettings(Settings):
    """The channels of this house. `channels_with` adds those of other packages."""

    telegram: TelegramSettings = TelegramSettings()
    discord: DiscordSettings = DiscordSettings()
    webhook: WebhookSettings = WebhookSettings()
    apprise: AppriseSettings = AppriseSettings()

    def by_name(self) -> Mapping[str, ChannelSettings]:
        """The settings of every channel that is known here, by the channel's name."""
        return {field.title or attribute: getattr(self, attribute) for attribute, field in type(self).model_fields.items()}


def channels_with(sources: Iterable[Mapping[str, Json]]) -> type[ChannelsSettings]:
    """The section's model with the channels of installed packages that these sources name and say something of.

    Packages are looked for only where a name is not one of ours: it takes milliseconds. Raises ConfigError where one can't be imported.
    """
    wanted = {camel(name.replace("-", "_")) for name in _foreign_names(sources)}
    if not wanted:
        return ChannelsSettings
    fields: dict[str, Any] = {}
    for name in installed_names():
        if camel(name.replace("-", "_")) in wanted:
            model = _settings_of(name)
            fields[name.replace("-", "_")] = (model, Field(default=model(), title=name))
    return create_model("ChannelsSettings", __base__=ChannelsSettings, **fields) if fields else ChannelsSettings


def _foreign_names(sources: Iterable[Mapping[str, Json]]) -> Iterator[str]:
    own = {*keys_of(ChannelsSettings), *SECTION_KEYS["channels"]}
    for source in sources:
        section = source.get("channels")
        if isinstance(section, Mapping):
            given = cast("Mapping[str, Json]", section)
            yield from (name for name, value in given.items() if camel(name) not in own and not says_nothing(value))


def _settings_of(name: str) -> type[ChannelSettings]:
    try:
        kind = channel_kind(name)
    except Exception as error:  # another package's code, whatever it raises: the person is told which one it was
        text = f"the package that gives this channel can't be used: importing it raised {type(error).__name__}"
        raise ConfigError(Problem(path=("channels", name), text=text, origin="")) from error
    if kind is None:
        raise ConfigError(Problem(path=("channels", name), text="the package that gave this channel is gone", origin=""))
    return kind.settings
