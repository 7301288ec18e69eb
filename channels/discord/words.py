"""What a Discord message says: its text with names for ids, embeds, components, polls and forwards in words, and its files.

https://discord.com/developers/docs/resources/message, …/components/reference
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import discord

from assistant.contracts.inbox import InboundFile
from assistant.contracts.util import no_address
from channels.kit.files import inbound_file

_EMOJI: Final = re.compile(r"<a?:(\w{2,32}):\d+>", re.ASCII)
_STICKERS: Final = {
    discord.StickerFormatType.png: "image/png",
    discord.StickerFormatType.apng: "image/png",
    discord.StickerFormatType.gif: "image/gif",
    discord.StickerFormatType.lottie: "application/json",
}
_DEEPEST: Final = 8
"""Levels of components that are read."""
_CHILDREN: Final = ("children", "items", "accessory", "component", "options")
_SAYS: Final = ("content", "label", "placeholder", "description", "url")


def own_role(message: discord.Message) -> int | None:
    role = message.guild.self_role if message.guild is not None else None
    return role.id if role is not None else None


def own_text(message: discord.Message, me: discord.ClientUser) -> str:
    """The text without mentions of the bot, and with names instead of the ids of others; with its poll."""
    text = re.sub(rf"<@!?{me.id}>", "", message.content)
    if (role := own_role(message)) is not None:
        text = text.replace(f"<@&{role}>", "")
    return "\n".join(filter(None, [_named(message, text), *_polls(message)]))


def whole_text(message: discord.Message) -> str:
    """All that a message of another says: its text, embeds, components and poll, and what it forwards."""
    shots = [line for shot in message.message_snapshots for line in shot_lines(shot)]
    return "\n".join(filter(None, [_named(message, message.content), *shown_lines(message), *_polls(message), *shots]))


def shot_lines(shot: discord.MessageSnapshot) -> Iterator[str]:
    """Of a forwarded message."""
    yield _EMOJI.sub(_emoji, shot.content).strip()
    yield from shown_lines(shot)


def shown_lines(message: discord.Message | discord.MessageSnapshot) -> list[str]:
    """The embeds and components of a message, in words."""
    embeds = [_embed(embed) for embed in message.embeds]
    components = [line for component in message.components for line in _component(component, 0)]
    return [line for line in (*embeds, *components) if line]


def files_in(message: discord.Message) -> tuple[InboundFile, ...]:
    """Attachments and stickers, those of what it forwards included."""
    shots = message.message_snapshots
    attachments = [*message.attachments, *[each for shot in shots for each in shot.attachments]]
    stickers = [*message.stickers, *[each for shot in shots for each in shot.stickers]]
    return (*[_file(each, message) for each in attachments], *map(_sticker, stickers))


def _named(message: discord.Message, text: str) -> str:
    """With names instead of ids, and custom emoji by their names."""
    for user in message.mentions:
        name = f"@{no_address(user.display_name)}"
        text = text.replace(f"<@{user.id}>", name).replace(f"<@!{user.id}>", name)
    for role in message.role_mentions:
        text = text.replace(f"<@&{role.id}>", f"@{no_address(role.name)}")
    for channel in message.channel_mentions:
        text = text.replace(f"<#{channel.id}>", f"#{no_address(channel.name)}")
    return _EMOJI.sub(_emoji, text).strip()


def _emoji(found: re.Match[str]) -> str:
    return f":{no_address(found[1])}:"


def _polls(message: discord.Message) -> Iterator[str]:
    poll = message.poll
    if poll is None:
        return
    state = "closed" if poll.is_finalised() else ""
    votes = f"{poll.total_votes} votes" if poll.total_votes else ""
    told = ", ".join(filter(None, [state, votes]))
    yield f"[poll{f' ({told})' if told else ''}: {poll.question}]"
    for answer in poll.answers:
        yield f"- {answer.text}{f' ({answer.vote_count} votes)' if votes else ''}"


def _embed(embed: discord.Embed) -> str:
    """An embed, every word of it. Pictures are URLs."""
    title = f"[{embed.title}]({embed.url})" if embed.title and embed.url else embed.title or embed.url
    author = embed.author.name and (f"[{embed.author.name}]({embed.author.url})" if embed.author.url else embed.author.name)
    pictures = [f"[image: {url}]" for url in (embed.image.url, embed.thumbnail.url) if url]
    if embed.video.url:
        pictures.append(f"[video: {embed.video.url}]")
    fields = [f"{field.name}: {field.value}" for field in embed.fields]
    said = [embed.provider.name, author, title, embed.description, *fields, embed.footer.text, *pictures]
    if embed.timestamp is not None:
        said.append(embed.timestamp.isoformat(timespec="minutes"))
    return "\n".join([line.strip() for line in said if line and line.strip()])


def _component(component: Any, depth: int) -> Iterator[str]:
    """The words of a component and of those in it: text, labels, placeholders, descriptions of media, addresses."""
    media = getattr(component, "media", None)
    said = [str(value) for name in _SAYS if (value := getattr(component, name, None))]
    if media is not None and getattr(media, "url", None):
        said.append(f"[file: {getattr(component, 'name', None) or media.url}]")
    if said:
        yield ": ".join(said)
    if depth < _DEEPEST:
        for name in _CHILDREN:
            inner: Any = getattr(component, name, None)
            within: list[Any] = list(inner) if isinstance(inner, list | tuple) else [inner]  # pyright: ignore[reportUnknownArgumentType]
            for each in within:
                yield from _component(each, depth + 1) if each is not None else ()


def _file(attachment: discord.Attachment, message: discord.Message) -> InboundFile:
    kind = "voice" if attachment.is_voice_message() else None
    ref = f"{message.channel.id}/{message.id}/{attachment.id} {attachment.url}"
    return inbound_file(attachment.filename, ref, media_type=attachment.content_type or "", size=attachment.size, kind=kind)


def _sticker(sticker: discord.StickerItem) -> InboundFile:
    return inbound_file(sticker.name, f" {sticker.url}", media_type=_STICKERS.get(sticker.format, ""), kind="sticker")
