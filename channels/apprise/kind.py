"""The kind of channel, without the SDK."""

from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind, Need
from channels.apprise.settings import AppriseSettings
from channels.settings import check_name, check_thread


def check_address(settings: AppriseSettings, address: Address) -> Address:
    check_thread(address, "Apprise")
    return check_name(address, "service", settings.services if settings.enabled else ())


def open_channel(settings: AppriseSettings, context: ChannelContext) -> Channel:
    if not settings.services:
        raise ChannelFailed("channels.apprise.services names no service.", fatal=True)
    from channels.apprise.adapter import AppriseChannel  # noqa: PLC0415 - the SDK, only where it is enabled

    return AppriseChannel(settings, context)


KIND: Final = ChannelKind(
    name="apprise",
    settings=AppriseSettings,
    check_address=check_address,
    named=lambda settings: sorted(settings.services),
    open=open_channel,
    title="Apprise",
    about="Any of 170 services that Apprise can send to, by its URL; out only.",
    needs=(Need(key="services.phone", asks="Apprise's URL of the service (appriseit.com/services).", env="APPRISE_URL"),),
)
