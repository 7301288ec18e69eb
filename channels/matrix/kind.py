"""The kind of channel, without aiohttp."""

import re
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.matrix.settings import USER, MatrixSettings

_ROOM: Final = re.compile(r"![^:\s/]{1,250}(:[^\s/]{1,200})?|#[^:\s]{1,200}:[^\s/]{1,200}")
"""https://spec.matrix.org/latest/appendices/#room-ids; since room version 12 there is no server in it."""
_EVENT: Final = re.compile(r"\$[^\s]{1,254}")


def check_address(settings: MatrixSettings, address: Address) -> Address:
    """A chat is a room ("!id:server"), its alias ("#name:server"), or a person ("@name:server"); a thread is the id of its first event. Raises
    InvalidAddress."""
    if not (_ROOM.fullmatch(address.chat_id) or USER.fullmatch(address.chat_id)):
        raise InvalidAddress(
            "A Matrix chat_id is a room (!id:server), its alias (#name:server), or a person (@name:server).", param="chat_id"
        )
    if address.thread_id is not None and not _EVENT.fullmatch(address.thread_id):
        raise InvalidAddress("A Matrix thread_id is the id of the thread's first event ($…).", param="thread_id")
    return address


def open_channel(settings: MatrixSettings, context: ChannelContext) -> Channel:
    if settings.access_token is None and (settings.user_id is None or settings.password is None):
        raise ChannelFailed("channels.matrix needs accessToken, or userId and password.", fatal=True)
    from channels.matrix.adapter import MatrixChannel  # noqa: PLC0415 - aiohttp, only where it is enabled

    return MatrixChannel(settings, context)


KIND: Final = ChannelKind(
    name="matrix",
    title="Matrix",
    about="Rooms and direct chats on any Matrix home server (Element and other clients), end-to-end encrypted with the extra.",
    settings=MatrixSettings,
    check_address=check_address,
    named=lambda settings: [each for each in (*settings.allow_from, *settings.owners) if USER.fullmatch(each)],
    open=open_channel,
    needs=(
        Need(key="homeserver", asks="The home server of the assistant's account.", default="https://matrix.org"),
        Need(key="userId", asks="The account's id, @name:server (make one for the assistant alone).", optional=True),
        Need(key="password", asks="Its password; leave it empty to give an access token.", env="MATRIX_PASSWORD", optional=True),
        Need(
            key="accessToken",
            asks="Its access token (Element: All settings, Help & About, Access Token).",
            env="MATRIX_ACCESS_TOKEN",
            optional=True,
        ),
    ),
    extra="matrix",
)
