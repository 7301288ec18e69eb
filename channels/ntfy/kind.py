"""The kind of channel, without aiohttp."""

from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind, Need
from channels.ntfy.settings import NtfySettings
from channels.settings import check_name, check_thread


def check_address(settings: NtfySettings, address: Address) -> Address:
    check_thread(address, "ntfy")
    return check_name(address, "topic", settings.topics if settings.enabled else ())


def open_channel(settings: NtfySettings, context: ChannelContext) -> Channel:
    if not settings.topics:
        raise ChannelFailed("channels.ntfy.topics names no topic.", fatal=True)
    from channels.ntfy.adapter import NtfyChannel  # noqa: PLC0415 - aiohttp, only where it is enabled

    return NtfyChannel(settings, context)


KIND: Final = ChannelKind(
    name="ntfy",
    title="ntfy",
    about="Push notifications to phones, by ntfy.sh or a server of one's own; answers by a second topic.",
    settings=NtfySettings,
    check_address=check_address,
    named=lambda settings: sorted(settings.topics),
    open=open_channel,
    needs=(
        Need(key="topics.phone.topic", asks="A topic to publish to, which can't be guessed; subscribe to it in the app."),
        Need(key="topics.phone.replies", asks="Another topic, that you publish to and the assistant reads.", optional=True),
        Need(key="server", asks="The server.", default="https://ntfy.sh"),
        Need(key="token", asks="An access token, where the server wants one.", env="NTFY_TOKEN", optional=True),
    ),
)
