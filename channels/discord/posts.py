"""Channels that hold posts (forums and media channels): a message there opens a post, which its first line names.

https://discord.com/developers/docs/resources/channel#start-thread-in-forum-or-media-channel
"""

from datetime import UTC, datetime
from typing import Any, Final

import discord
from discord.http import handle_message_parameters

from assistant.contracts.channels import Sending
from assistant.contracts.outbox import Receipt
from channels.discord.refusals import TAG_REQUIRED
from channels.discord.rest import DiscordRest

_MOST_NAME: Final = 100
_REQUIRES_TAG: Final = 1 << 4


def post_name(sending: Sending) -> str:
    """The first line with words, without its Markdown; of a message without words, the name of its first file."""
    part = sending.part
    lines = [line.strip(" #>*-_`•◦▪☐☑") for line in part.plain.splitlines()]
    name = next((line for line in lines if line), "") or next((media.name for media in part.media), "") or "Message"
    return name if len(name) <= _MOST_NAME else f"{name[: _MOST_NAME - 1].rstrip()}…"


async def open_post(rest: DiscordRest, forum: str, sending: Sending, message: dict[str, Any]) -> Receipt:
    """Open a post. Where an earlier try may have opened it, an open post of ours by that name since then is it. Raises what discord.py raises."""
    client, name = await rest.client(), post_name(sending)
    about: Any = await client.http.get_channel(int(forum))
    if sending.again is not None:
        since = sending.again + rest.refusals.ahead
        found: Any = await client.http.get_active_threads(int(about["guild_id"]))
        for thread in found["threads"]:
            opened = discord.utils.snowflake_time(int(thread["id"]))
            ours = (str(thread.get("parent_id")), str(thread.get("owner_id")), thread["name"]) == (forum, str(client.me.id), name)
            if ours and opened >= since.replace(microsecond=0):
                return _receipt(rest, forum, str(thread["id"]))
    tags = [tag["id"] for tag in about.get("available_tags") or () if not tag.get("moderated")]
    try:
        return await _open(rest, forum, name, message, tags[:1] if int(about.get("flags") or 0) & _REQUIRES_TAG else [])
    except discord.HTTPException as error:
        if error.code != TAG_REQUIRED or not tags:
            raise
    return await _open(rest, forum, name, message, tags[:1])


async def _open(rest: DiscordRest, forum: str, name: str, message: dict[str, Any], tags: list[str]) -> Receipt:
    client = await rest.client()
    more = {key: value for key, value in message.items() if key != "suppress_embeds"}
    flags = discord.MessageFlags._from_value(0)  # pyright: ignore[reportPrivateUsage] - the flags' own constructor takes no plain number
    flags.suppress_embeds = bool(message.get("suppress_embeds"))
    channel: dict[str, Any] = {"name": name, **({"applied_tags": tags} if tags else {})}
    with handle_message_parameters(
        flags=flags, previous_allowed_mentions=client.allowed_mentions, channel_payload=channel, **more
    ) as parameters:
        opened: Any = await client.http.start_thread_in_forum(int(forum), params=parameters)
    return _receipt(rest, forum, str(opened["id"]))


def _receipt(rest: DiscordRest, forum: str, thread: str) -> Receipt:
    """A post has the id of its first message."""
    rest.learn(thread, forum)
    return Receipt(message_id=thread, at=datetime.now(UTC))
