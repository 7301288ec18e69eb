"""What is known of Apprise's services without Apprise."""

from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind
from assistant.contracts.errors import InvalidAddress
from channels.apprise.settings import AppriseSettings
from channels.settings import NAME


def check_address(settings: AppriseSettings, address: Address) -> Address:
    """The chat_id is the name of a service. Where none is configured, any name that can be one is taken. Raises InvalidAddress."""
    if not NAME.fullmatch(address.chat_id):
        raise InvalidAddress("The chat_id of an apprise service is its name: lower-case letters, digits, - and _.", param="chat_id")
    if address.thread_id is not None:
        raise InvalidAddress("Services of apprise have no threads.", param="thread_id")
    if settings.enabled and settings.services and address.chat_id not in settings.services:
        names = ", ".join(sorted(settings.services))
        raise InvalidAddress(f"There is no service {address.chat_id!r}. There are: {names}.", param="chat_id")
    return address


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
)
