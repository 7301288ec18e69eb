"""The kind of channel, without its client."""

from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.irc.lines import lower
from channels.irc.settings import ACCOUNT, NICK, ROOM, IrcSettings
from channels.settings import check_thread


def check_address(settings: IrcSettings, address: Address) -> Address:
    """A chat is a channel ("#room"), a nick (of a mask, its nick), or an account ("account:anna": who is logged in to it, under the nick of that
    name). Raises InvalidAddress."""
    check_thread(address, "IRC")
    chat, _, _ = address.chat_id.partition("!")
    if not (ROOM.fullmatch(chat) or NICK.fullmatch(chat.removeprefix(ACCOUNT))):
        raise InvalidAddress("An IRC chat_id is a channel (#room), a nick, or an account (account:anna).", param="chat_id")
    return Address(channel=address.channel, chat_id=lower(chat))


def _named(settings: IrcSettings) -> list[str]:
    people = (each.partition("!")[0] for each in (*settings.allow_from, *settings.owners))
    known = [lower(each) for each in people if NICK.fullmatch(each.removeprefix(ACCOUNT))]
    return [*(lower(room.split(" ")[0]) for room in settings.channels), *known]


def open_channel(settings: IrcSettings, context: ChannelContext) -> Channel:
    from channels.irc.adapter import IrcChannel  # noqa: PLC0415 - only where it is enabled

    return IrcChannel(settings, context)


KIND: Final = ChannelKind(
    name="irc",
    title="IRC",
    about="Channels and queries on one IRC server; text only.",
    settings=IrcSettings,
    check_address=check_address,
    named=_named,
    open=open_channel,
    needs=(
        Need(key="host", asks="The server.", default="irc.libera.chat"),
        Need(key="nick", asks="The assistant's nick.", default="nanobot"),
        Need(
            key="password", asks="The password of its account there (the account is named as the nick).", env="IRC_PASSWORD", optional=True
        ),
    ),
)
