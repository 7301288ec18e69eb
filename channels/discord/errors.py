"""What Discord's refusals and a network's faults mean for a message.

Codes: https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
"""

import time
from typing import Final

import aiohttp
import discord

from assistant.contracts.channels import ChannelFailed, SendFailed, SendLater, SendRefused, SendUnclear
from channels.discord.http import Refusals, seconds_in

UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, NOT_OURS, NO_REPLIES_HERE = 10003, 10008, 50005, 160002
TOKEN_WORDS: Final = "Discord refuses the bot's token: it may have been reset. Put the new one into channels.discord.token."  # noqa: S105 - words
INTENT_WORDS: Final = (
    'The bot may not read messages: switch on "Message Content Intent" (Developer Portal, the application, Bot, Privileged Gateway '
    "Intents)."
)
_REFUSED: Final = {
    UNKNOWN_CHANNEL: ("chat_not_found", "Discord knows no such channel, or the bot is not in its server."),
    UNKNOWN_MESSAGE: ("message_not_found", "The message is no longer there."),
    50001: ("forbidden", "The bot can't see this channel."),
    50006: ("empty", "Discord takes no empty messages."),
    50007: ("blocked", "This user takes no direct messages from the bot: blocked, switched off, or no server in common."),
    50013: ("forbidden", "The bot has no permission to do this in this channel."),
    50033: ("chat_not_found", "Discord knows no such channel, and no such user."),
    50035: ("invalid", "Discord says that the message is not valid."),
    40005: ("too_large", "Discord says that the files are too large."),
    160005: ("forbidden", "The thread is locked."),
}


def send_failure(error: BaseException, refusals: Refusals, *, written: bool) -> SendFailed:
    """Of an error that discord.py raised. `written`: whether it was the message itself that was on its way, and not a question before it."""
    match error:
        case SendFailed():
            return error
        case discord.RateLimited():
            whole = refusals.whole_until > time.monotonic() or bool(refusals.wait)
            words = f"Discord asks to wait {error.retry_after:.0f} s."
            return SendLater("flood_wait", words, retry_after=error.retry_after, counts=False, whole_channel=whole)
        case discord.LoginFailure():
            return SendLater("unauthorized", TOKEN_WORDS, retry_after=300, counts=False, whole_channel=True)
        case discord.HTTPException():
            failure = _answered(error)
            # An error of the server's says nothing of whether the message was taken before it; the nonce sorts it out.
            return SendUnclear("server_error", str(failure)) if written and error.status >= 500 else failure
        case aiohttp.SocketTimeoutError():
            pass
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return SendLater("network", "Discord can't be reached.", counts=False, whole_channel=True)
        case _:
            pass
    if written:
        return SendUnclear("network", "The connection to Discord broke before it answered.")
    return SendLater("network", "The connection to Discord broke.", counts=False)


def _answered(error: discord.HTTPException) -> SendFailed:
    """An answer that is no success."""
    status = error.status
    from_discord = error.response.headers.get("Content-Type") == "application/json"
    if status == 401:
        return SendLater("unauthorized", TOKEN_WORDS, retry_after=300, counts=False, whole_channel=True)
    if status == 429 or (status == 403 and not from_discord):
        # Not Discord itself, but what stands before it: too many requests of this address. Asking again only makes it longer.
        words = "Discord's network turns this address away for some time."
        return SendLater(
            "turned_away", words, retry_after=seconds_in(error.response.headers.get("Retry-After"), 600), counts=False, whole_channel=True
        )
    if status >= 500 or status == 408:
        return SendLater("server_error", f"Discord answered with {status}.")
    code, words = _REFUSED.get(error.code, ("refused", f"Discord refused it with {status}, code {error.code}."))
    return SendRefused(code, words)


def connection_failure(error: discord.DiscordException | aiohttp.ClientError | OSError) -> ChannelFailed:
    """Of an error that ended a connection."""
    match error:
        case discord.LoginFailure():
            return ChannelFailed(TOKEN_WORDS, fatal=True)
        case discord.PrivilegedIntentsRequired():
            return ChannelFailed(INTENT_WORDS, fatal=True)
        case discord.ConnectionClosed(code=4004):
            return ChannelFailed(TOKEN_WORDS, fatal=True)
        case discord.ConnectionClosed(code=4013 | 4014):
            return ChannelFailed(INTENT_WORDS, fatal=True)
        case discord.ConnectionClosed():
            return ChannelFailed(f"Discord closed the connection with code {error.code}.")
        case discord.RateLimited():
            return ChannelFailed(f"Discord asks to wait {error.retry_after:.0f} s.")
        case discord.HTTPException():
            return ChannelFailed(
                TOKEN_WORDS if error.status == 401 else f"Discord answered with {error.status}.", fatal=error.status == 401
            )
        case _:
            return ChannelFailed(f"Discord can't be reached ({type(error).__name__}).")
