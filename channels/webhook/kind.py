"""What is known of webhooks without opening them."""

from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind
from assistant.contracts.errors import InvalidAddress
from channels.settings import NAME
from channels.webhook.settings import WebhookSettings


def check_address(settings: WebhookSettings, address: Address) -> Address:
    """The chat_id is the name of a hook. Where none is configured, any name that can be one is taken. Raises InvalidAddress."""
    if not NAME.fullmatch(address.chat_id):
        raise InvalidAddress("The chat_id of a webhook is its name: lower-case letters, digits, - and _.", param="chat_id")
    if settings.enabled and settings.hooks and address.chat_id not in settings.hooks:
        raise InvalidAddress(f"There is no hook {address.chat_id!r}. There are: {', '.join(sorted(settings.hooks))}.", param="chat_id")
    return address


def open_channel(settings: WebhookSettings, context: ChannelContext) -> Channel:
    if not settings.hooks:
        raise ChannelFailed("channels.webhook.hooks names no hook.", fatal=True)
    from channels.webhook.adapter import WebhookChannel  # noqa: PLC0415 - aiohttp, only where it is enabled

    return WebhookChannel(settings, context)


KIND: Final = ChannelKind(
    name="webhook", settings=WebhookSettings, check_address=check_address, named=lambda settings: sorted(settings.hooks), open=open_channel
)
