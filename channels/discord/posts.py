"""Channels that hold posts (forums and media channels): a message there opens a post, which its first line names.

https://discord.com/developers/docs/resources/channel#start-thread-in-forum-or-media-channel
"""

from collections.abc import Sequence
from typing import Any, Final

from discord.utils import snowflake_time

from assistant.contracts.outbox import OutboundPart
from channels.discord.kind import is_snowflake
from channels.discord.refusals import TAG_REQUIRED
from channels.discord.rest import DiscordRest
from channels.kit.http import Answered, Unanswered
from channels.kit.sender import Post
from channels.kit.values import number_at, objects_at, text_at

_MOST_NAME: Final = 100
_REQUIRES_TAG: Final = 1 << 4


def post_name(part: OutboundPart) -> str:
    """The first line with words, without its Markdown; of a message without words, the name of its first file."""
    lines = [line.strip(" #>*-_`•◦▪☐☑") for line in part.plain.splitlines()]
    name = next((line for line in lines if line), "") or next((media.name for media in part.media), "") or "Message"
    return name if len(name) <= _MOST_NAME else f"{name[: _MOST_NAME - 1].rstrip()}…"


async def open_post(rest: DiscordRest, forum: str, post: Post, message: dict[str, Any], files: Sequence[tuple[str, bytes]]) -> str:
    """Open a post; returns the id of its first message, which is its own. Where an earlier try may have opened it, an open post of ours by that
    name since then is it."""
    name, me, again = post_name(post.sending.part), text_at(await rest.me(), "id"), post.sending.again
    about = await rest.ask("GET", f"/channels/{forum}")
    if again is not None:
        since = (again + rest.ahead).replace(microsecond=0)
        found = await rest.ask("GET", f"/guilds/{text_at(about, 'guild_id')}/threads/active")
        for thread in objects_at(found, "threads"):
            ours = (text_at(thread, "parent_id"), text_at(thread, "owner_id"), text_at(thread, "name")) == (forum, me, name)
            if ours and is_snowflake(id := text_at(thread, "id")) and snowflake_time(int(id)) >= since:
                return _learned(rest, forum, thread)
    tags = [text_at(tag, "id") for tag in objects_at(about, "available_tags") if not tag.get("moderated")][:1]
    path = f"/channels/{forum}/threads"  # it takes no nonce
    wanted: dict[str, Any] = {"name": name, "message": message}
    if number_at(about, "flags") & _REQUIRES_TAG:
        wanted["applied_tags"] = tags
    try:
        return _learned(rest, forum, await rest.call("POST", path, wanted, files=files, tries=1))
    except Answered as error:
        if error.code != TAG_REQUIRED or not tags:
            raise
    return _learned(rest, forum, await rest.call("POST", path, wanted | {"applied_tags": tags}, files=files, tries=1))


def _learned(rest: DiscordRest, forum: str, thread: Any) -> str:
    if not (id := text_at(thread, "id")):
        raise Unanswered("the answer holds no post")
    rest.learn(id, forum)
    return id
