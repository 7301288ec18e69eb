"""The kind of channel, without aiohttp."""

from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind, Need
from channels.settings import check_name
from channels.webhook.settings import WebhookSettings


def check_address(settings: WebhookSettings, address: Address) -> Address:
    return check_name(address, "hook", settings.hooks if settings.enabled else ())


def open_channel(settings: WebhookSettings, context: ChannelContext) -> Channel:
    if not settings.hooks:
        raise ChannelFailed("channels.webhook.hooks names no hook.", fatal=True)
    from channels.webhook.adapter import WebhookChannel  # noqa: PLC0415 - aiohttp, only where it is enabled

    return WebhookChannel(settings, context)


KIND: Final = ChannelKind(
    name="webhook",
    settings=WebhookSettings,
    check_address=check_address,
    named=lambda settings: sorted(settings.hooks),
    open=open_channel,
    title="Webhooks",
    about="Other programs: they post to /hooks/<name>, and are posted to, signed both ways.",
    needs=(
        Need(key="hooks.default.secret", asks="A secret of at least 16 characters that both sign with.", env="WEBHOOK_SECRET"),
        Need(key="hooks.default.url", asks="Where messages are posted to.", optional=True),
    ),
)
