"""The way out: the enabled channels, opened, and the dispatcher that sends over them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assistant import __version__
from assistant.config import Loaded
from assistant.config.directory import ConfiguredChannels
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed
from assistant.contracts.errors import place_of
from assistant.contracts.hooks import Hooks
from assistant.delivery.dispatcher import Dispatcher
from assistant.delivery.service import DeliveryService
from assistant.delivery.watch import Watch
from assistant.store.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    channels: Sequence[Channel]
    unopened: Mapping[str, str]
    """Channels that are enabled and can't be opened, with why."""
    dispatcher: Dispatcher
    deliveries: DeliveryService

    @property
    def hooks(self) -> Hooks | None:
        """The channel that takes messages by POST /hooks/{name}, if one is open."""
        return next((channel for channel in self.channels if isinstance(channel, Hooks)), None)


def open_outlet(loaded: Loaded, directory: ConfiguredChannels, store: Store) -> Outlet:
    """Open what is enabled; what can't be is noted, and keeps nothing else from opening. Imports the SDKs. Needs a running event loop."""
    context = ChannelContext(files=store.media, version=__version__)
    channels: list[Channel] = []
    unopened: dict[str, str] = {}
    for name, settings in loaded.config.enabled_channels.items():
        kind = directory.kind(name)
        try:
            if kind is None:
                raise ChannelFailed("the package that gave this channel is gone", fatal=True)
            channels.append(kind.open(settings, context))
        except ChannelFailed as error:
            unopened[name] = str(error)
            log.warning("channel.not_opened channel=%s", name)
        except Exception as bug:  # noqa: BLE001 - one adapter's fault, or a broken SDK, must not keep the server from starting
            unopened[name] = f"the adapter can't be opened ({type(bug).__name__}); the log has the details"
            log.error("channel.bug channel=%s error=%s", name, place_of(bug))  # noqa: TRY400 - no words
    watch = Watch()
    dispatcher = Dispatcher(store.outbox, store.bell, channels, loaded.config.deliver, watch=watch)
    deliveries = DeliveryService(store.outbox, enabled=dispatcher.enabled, watch=watch)
    return Outlet(channels=channels, unopened=unopened, dispatcher=dispatcher, deliveries=deliveries)
