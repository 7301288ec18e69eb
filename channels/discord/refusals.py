"""What Discord's answers mean: for a send, for the form of a message, for the connection."""

import re
from collections.abc import Mapping
from typing import Final

import aiohttp
import discord

from assistant.contracts.channels import ChannelFailed, SendFailed, SendLater, SendRefused, SendUnclear
from channels.discord.rest import UNKNOWN_CHANNEL, retry_after
from channels.kit import refusals
from channels.kit.forms import ANY_BUT_KIND, Blame, Piece
from channels.kit.http import Answered, PlatformError

UNKNOWN_MESSAGE, NOT_OURS, NO_REPLIES_HERE = "10008", "50005", "160002"
NOT_A_TEXT_CHANNEL, ARCHIVED, LOCKED, TAG_REQUIRED = "50008", "50083", "160005", "40067"
_TURNED_AWAY_WAIT, _LONGEST_WAIT = 600.0, 24 * 3600.0
TOKEN_WORDS: Final = "Discord refuses the bot's token: it may have been reset. Put the new one into channels.discord.token."  # noqa: S105 - words
INTENT_WORDS: Final = (
    'The bot may not read messages: switch on "Message Content Intent" (Developer Portal, the application, Bot, Privileged Gateway '
    "Intents)."
)
_REFUSED: Final = {
    UNKNOWN_CHANNEL: ("chat_not_found", "Discord knows no such channel, or the bot is not in its server."),
    UNKNOWN_MESSAGE: ("message_not_found", "The message is no longer there."),
    "50001": ("forbidden", "The bot can't see this channel."),
    "50006": ("empty", "Discord takes no empty messages."),
    "50007": ("blocked", "This user takes no direct messages from the bot: blocked, switched off, or no server in common."),
    "50013": ("forbidden", "The bot has no permission to do this in this channel."),
    "50033": ("chat_not_found", "Discord knows no such channel, and no such user."),
    "50035": ("invalid", "Discord says that the message is not valid."),
    "40005": ("too_large", "Discord says that the files are too large."),
    NOT_A_TEXT_CHANNEL: ("not_a_text_channel", "This channel takes no messages: it is a category, a forum or a directory."),
    ARCHIVED: ("thread_closed", "The thread is archived."),
    LOCKED: ("thread_closed", "The thread is locked."),
    "20009": ("blocked_words", "The server lets no explicit content through."),
    "200000": ("blocked_words", "A moderation rule of the server blocked the message."),
    "200001": ("blocked_words", "A moderation rule of the server blocked the title."),
    "240000": ("blocked_words", "Discord's filter of harmful links blocked the message."),
}
"""By https://discord.com/developers/docs/topics/opcodes-and-status-codes#json"""


def send_failure(error: PlatformError) -> SendFailed:
    """A server error leaves open whether the message was accepted; its nonce prevents a second one."""
    if not isinstance(error, Answered):
        return refusals.send_failure(error, "Discord")
    status, wait = error.status, retry_after(error)
    if status == 429 and wait is not None:
        whole = error.headers.get("x-ratelimit-scope") == "global" or "x-ratelimit-global" in error.headers
        return SendLater("flood_wait", f"Discord asks to wait {wait:.0f} s.", retry_after=wait, counts=False, whole_channel=whole)
    if status == 429 or (status == 403 and error.body is None):
        # Discord's proxy: too many requests from this address. More of them make the ban longer.
        wait = min(error.retry_after or _TURNED_AWAY_WAIT, _LONGEST_WAIT)
        return SendLater(
            "turned_away", "Discord's network turns this address away for some time.", retry_after=wait, counts=False, whole_channel=True
        )
    if status == 401:
        return SendLater("unauthorized", TOKEN_WORDS, retry_after=300, counts=False, whole_channel=True)
    if status >= 500:
        return SendUnclear("server_error", f"Discord answered with {status}.")
    if status in (407, 408):
        return refusals.send_failure(error, "Discord")
    code, words = _REFUSED.get(error.code, ("refused", ""))
    said = error.words.rstrip(".") if error.body is not None else ""
    if not words:
        return SendRefused(code, f"Discord refused it: {said} (code {error.code})." if said else f"Discord refused it with {status}.")
    return SendRefused(code, f"{words.rstrip('.')} (Discord: {said}, code {error.code})." if said else words)


_ABOUT: Final[Mapping[str, tuple[Piece, ...]]] = {
    UNKNOWN_CHANNEL: ("thread",),
    ARCHIVED: ("thread",),
    LOCKED: ("thread",),
    NO_REPLIES_HERE: ("reply",),
    UNKNOWN_MESSAGE: ("reply",),
    "40005": ("album", "files"),
    "50045": ("album", "files"),
    "50013": ("files",),
    "50046": ("files",),
}
"""What a refusal is about, by its code."""
_NAMED: Final[tuple[tuple[str, tuple[Piece, ...]], ...]] = (
    ("message_reference", ("reply",)),
    ("components|custom_id", ("buttons",)),
    ("attachments|files|entity too large", ("album", "files")),
)
"""By the fields that a form error (50035) names."""
_FINAL: Final = frozenset({"20009", "40002", "50001", "50006", "50007", "50008", "50033", "200000", "200001", "240000"})
"""Codes of refusals of the chat, or of the words."""


def blamed(error: PlatformError) -> Blame | None:
    """See `channels.kit.forms.in_some_form`."""
    if not isinstance(error, Answered) or error.status not in (400, 403, 404, 413) or error.code in _FINAL:
        return None
    words = f"Discord: {error.words[:200]}, code {error.code or 0}"
    if error.code in _ABOUT:
        return _ABOUT[error.code], words
    pieces = next((pieces for fields, pieces in _NAMED if re.search(fields, error.words, re.IGNORECASE)), None)
    if error.status == 413:
        pieces = _ABOUT["40005"]
    if pieces is not None:
        return pieces, words
    return (ANY_BUT_KIND, words) if error.status == 400 else None


def channel_failure(error: PlatformError | SendFailed) -> ChannelFailed:
    match error:
        case Answered(status=401):
            return ChannelFailed(TOKEN_WORDS, fatal=True)
        case Answered():
            return ChannelFailed(f"Discord answered with {error.status}.")
        case SendFailed():
            return ChannelFailed(str(error))
        case _:
            return refusals.channel_failure(error, "Discord")


def connection_failure(error: discord.DiscordException | aiohttp.ClientError | OSError) -> ChannelFailed:
    match error:
        case discord.LoginFailure() | discord.ConnectionClosed(code=4004) | discord.HTTPException(status=401):
            return ChannelFailed(TOKEN_WORDS, fatal=True)
        case discord.PrivilegedIntentsRequired() | discord.ConnectionClosed(code=4013 | 4014):
            return ChannelFailed(INTENT_WORDS, fatal=True)
        case discord.ConnectionClosed():
            return ChannelFailed(f"Discord closed the connection with code {error.code}.")
        case discord.RateLimited():
            return ChannelFailed(f"Discord asks to wait {error.retry_after:.0f} s.")
        case discord.HTTPException():
            return ChannelFailed(f"Discord answered with {error.status}.")
        case _:
            return ChannelFailed(f"Discord can't be reached ({type(error).__name__}).")
