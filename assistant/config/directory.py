"""The `ChannelDirectory` of a configuration."""

from collections.abc import Mapping, Sequence

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelKind, ChannelSettings
from assistant.contracts.errors import InvalidAddress
from channels.catalog import channel_kind


class ConfiguredChannels:
    """Our channels, and those of installed packages that have a section in the configuration. Imports no SDK."""

    def __init__(self, channels: Mapping[str, ChannelSettings]) -> None:
        self._settings = channels
        self._kinds: dict[str, ChannelKind] = {}

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._settings)

    @property
    def enabled(self) -> Sequence[str]:
        return tuple(name for name, settings in self._settings.items() if settings.enabled)

    def check(self, address: Address) -> Address:
        kind = self.kind(address.channel)
        if kind is None:
            there_are = ", ".join(self.names)
            raise InvalidAddress(f'There is no channel "{address.channel}". There are: {there_are}.', param="channel")
        checked: Address = kind.check_address(self._settings[address.channel], address)
        return checked

    def named(self, address: Address) -> bool:
        kind = self.kind(address.channel)
        return kind is not None and any(self._same_chat(address, chat_id) for chat_id in kind.named(self._settings[address.channel]))

    def kind(self, name: str) -> ChannelKind | None:
        """The kind of a configured channel; None: there is no such channel."""
        if name in self._settings and name not in self._kinds:
            found = channel_kind(name)
            if found is not None:
                self._kinds[name] = found
        return self._kinds.get(name)

    def _same_chat(self, address: Address, chat_id: str) -> bool:
        try:
            return self.check(Address(channel=address.channel, chat_id=chat_id)).chat_id == address.chat_id
        except InvalidAddress:
            return False
