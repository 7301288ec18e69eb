"""The `channels` and `tools` sections: a field for each kind in the catalogs, and for each of an installed package that is configured.

`ConfiguredChannels` looks channels up in them.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import AliasChoices, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from assistant.config.aliases import KeyPath, camel, installed_candidates, plain
from assistant.config.errors import ConfigError, ConfigProblem
from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelKind, ChannelSettings
from assistant.contracts.errors import InvalidAddress, traceback_location
from assistant.contracts.messages import Json
from assistant.contracts.tools import NoSettings
from assistant.contracts.util import Settings
from channels import catalog as channel_catalog
from tools import catalog as tool_catalog

log = logging.getLogger(__name__)

S = TypeVar("S", bound=Settings)


class ChannelsSettings(Settings):
    """The chat channels."""

    def by_name(self) -> Mapping[str, ChannelSettings]:
        return _by_name(self)


class ToolsSettings(Settings):
    """The tools that have settings. Which tools an agent may use: `agents.defaults.tools`."""

    def by_name(self) -> Mapping[str, Settings]:
        return _by_name(self)


def with_installed(sources: Sequence[Mapping[str, Json]]) -> tuple[type[ChannelsSettings], type[ToolsSettings]]:
    """The models of both sections with the channels and tools of installed packages that these sources configure.

    Raises ConfigError where a package fails to import.
    """
    channels = _configured(sources, "channels", ChannelsSettings, lambda: (*channel_catalog.OTHERS, *channel_catalog.installed_names()))
    tools = _configured(sources, "tools", ToolsSettings, tool_catalog.installed_names)
    return (
        _extended(ChannelsSettings, "channels", channels, _channel_settings),
        _extended(ToolsSettings, "tools", tools, lambda name: tool_catalog.installed_kind(name).settings),
    )


def all_sections() -> tuple[type[ChannelsSettings], type[ToolsSettings]]:
    """The models of both sections with every channel of this package, for the reference."""
    return _extended(ChannelsSettings, "channels", channel_catalog.OTHERS, _channel_settings), ToolsSettings


def installed_sections(channels: type[ChannelsSettings], tools: type[ToolsSettings]) -> frozenset[KeyPath]:
    """The paths of the sections of installed packages in these models: ("channels", "pigeonPost")."""
    added = [("channels", name) for name in channels.model_fields.keys() - ChannelsSettings.model_fields.keys()]
    added += [("tools", name) for name in tools.model_fields.keys() - ToolsSettings.model_fields.keys()]
    return frozenset((section, camel(name)) for section, name in added)


def old_names(section: str, model: type[Settings]) -> dict[KeyPath, str]:
    """(section, kind, an old name of a key), all plain → the key's name, for the fields of the kinds' settings that declare `AliasChoices`."""
    found: dict[KeyPath, str] = {}
    for attribute, kind in model.model_fields.items():
        for name, field in fields_of(kind.annotation).items():
            key, *old = names_of(field, name)
            found |= {(section, plain(attribute), plain(other)): key for other in old}
    return found


def _configured(
    sources: Sequence[Mapping[str, Json]], section: str, own: type[Settings], installed: Callable[[], Sequence[str]]
) -> Sequence[str]:
    """The installed names that the sources configure. Searches the packages, which takes milliseconds, only for names that are not ours."""
    wanted = {plain(name) for source in sources for name in installed_candidates(section, source)}
    wanted -= {plain(name) for name in own.model_fields}
    return [name for name in installed() if plain(name) in wanted] if wanted else []


def _channel_settings(name: str) -> type[Settings]:
    kind = channel_catalog.channel_kind(name)
    if kind is None:
        raise LookupError(name)
    return kind.settings


def _extended(base: type[S], section: str, names: Iterable[str], settings: Callable[[str], type[Settings]]) -> type[S]:
    """`base` with a field for each name. Raises ConfigError."""
    fields: dict[str, Any] = {}
    for name in names:
        try:
            model = settings(name)
        except Exception as error:
            what = section.removesuffix("s")
            text = f"the package that gives this {what} can't be used: importing it raised {type(error).__name__}"
            raise ConfigError(ConfigProblem(path=(section, name), text=text)) from error
        attribute = name.replace("-", "_")
        alias = AliasChoices(camel(attribute), attribute, name) if attribute != name else None
        try:
            fields[attribute] = model, Field(default=model(), title=name, validation_alias=alias)
        except ValidationError:  # it has required keys: without its section there are no settings
            fields[attribute] = model | None, Field(default=None, title=name, validation_alias=alias)
    return create_model(base.__name__, __base__=base, __doc__=base.__doc__, **fields) if fields else base


def _by_name(section: Settings) -> Mapping[str, Any]:
    found = {field.title or attribute: getattr(section, attribute) for attribute, field in type(section).model_fields.items()}
    return {name: settings for name, settings in found.items() if settings is not None}


def names_of(field: FieldInfo, attribute: str) -> list[str]:
    """A field's key, and its old names, in camelCase."""
    if isinstance(field.validation_alias, AliasChoices):
        return [choice for choice in field.validation_alias.choices if isinstance(choice, str) and choice.isalnum()]
    return [str(field.validation_alias or field.alias or attribute)]


def fields_of(annotation: object) -> Mapping[str, FieldInfo]:
    """The fields of a settings model, or of "a settings model or null"."""
    models = [each for each in (annotation, *get_args(annotation)) if isinstance(each, type) and issubclass(each, Settings)]
    return models[0].model_fields if models else {}


def unknown_channel(name: str, known: Sequence[str]) -> str:
    """The words for a channel that the configuration has not."""
    if name in channel_catalog.OTHERS:
        return f"{name} is not set up here: nanobot channels add {name}"
    return f'There is no channel "{name}". There are: {", ".join(known)}.'


class ConfiguredChannels:
    """The `ChannelDirectory` of our channels and of those of installed packages that have a section. Imports no SDK."""

    def __init__(self, channels: Mapping[str, ChannelSettings]) -> None:
        self._settings = channels
        self._kinds: dict[str, ChannelKind] = {}

    def renew(self, channels: Mapping[str, ChannelSettings]) -> None:
        """Go by these settings of channels that are there already."""
        self._settings = {**self._settings, **channels}

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._settings)

    @property
    def enabled(self) -> Sequence[str]:
        return tuple(name for name, settings in self._settings.items() if settings.enabled)

    def check(self, address: Address) -> Address:
        kind = self.kind(address.channel)
        if kind is None:
            raise InvalidAddress(unknown_channel(address.channel, self.names), param="channel")
        return kind.check_address(self._settings[address.channel], address)

    def offers(self, address: Address) -> bool:
        if address.channel not in self.enabled:
            return False
        try:
            self.check(address)
        except InvalidAddress:
            return False
        except Exception as bug:  # noqa: BLE001 - a fault of one kind of channel must not keep deliveries from being settled
            log.error("channel.bug channel=%s error=%s", address.channel, traceback_location(bug))  # noqa: TRY400 - no words
            return False
        return True

    def named(self, address: Address) -> bool:
        kind = self.kind(address.channel)
        return kind is not None and any(self._same_chat(address, chat_id) for chat_id in kind.named(self._settings[address.channel]))

    def kind(self, name: str) -> ChannelKind | None:
        if name in self._settings and name not in self._kinds and (found := channel_catalog.channel_kind(name)):
            self._kinds[name] = found
        return self._kinds.get(name)

    def _same_chat(self, address: Address, chat_id: str) -> bool:
        try:
            return self.check(Address(channel=address.channel, chat_id=chat_id)).chat_id == address.chat_id
        except InvalidAddress:
            return False


if not TYPE_CHECKING:  # the fields come from the catalogs: a type checker sees the classes above
    ChannelsSettings = _extended(ChannelsSettings, "channels", channel_catalog.ALWAYS, _channel_settings)
    _own_tools = {kind.name: kind.settings for kind in tool_catalog.own_kinds() if kind.settings is not NoSettings}
    ToolsSettings = _extended(ToolsSettings, "tools", _own_tools, _own_tools.__getitem__)
