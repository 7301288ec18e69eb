"""Discord's messages and interactions as messages for the assistant, by the rules for servers."""

import re
from datetime import datetime
from typing import Final

import discord

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import Command, FileKind, InboundFile, InboundMessage, Quote, Sender
from assistant.contracts.util import no_address
from channels.discord.conversation import command_in
from channels.discord.sender import said_by
from channels.discord.settings import DiscordSettings

_WORDS_OF_PEOPLE: Final = (discord.MessageType.default, discord.MessageType.reply)
_MOST_QUOTED: Final = 4000
_KINDS: Final[dict[str, FileKind]] = {"image": "image", "video": "video", "audio": "audio"}
_EMOJI: Final = re.compile(r"<a?:(\w{2,32}):\d+>", re.ASCII)
_STICKERS: Final = {
    discord.StickerFormatType.png: "image/png",
    discord.StickerFormatType.apng: "image/png",
    discord.StickerFormatType.gif: "image/gif",
    discord.StickerFormatType.lottie: "application/json",
}


def id_of(message: discord.Message) -> str:
    """The external id of a message, or of this edit of it."""
    edited = message.edited_at
    return str(message.id) if edited is None else f"{message.id}:{int(edited.timestamp() * 1000)}"


def position(external_id: str) -> int:
    """The time of a message as a Discord id, which grows with time. https://discord.com/developers/docs/reference#snowflakes"""
    first, _, edited = external_id.partition(":")
    if edited.isdecimal():
        return max(int(first), discord.utils.time_snowflake(datetime.fromtimestamp(int(edited) / 1000, discord.utils.utcnow().tzinfo)))
    return int(first) if first.isdecimal() else 0


def read_message(message: discord.Message, me: discord.ClientUser, settings: DiscordSettings, parent: str | None) -> InboundMessage | None:
    """None: it is not for the assistant. `parent`: the channel of the thread that the message is in."""
    if message.author.bot or message.webhook_id is not None or message.type not in _WORDS_OF_PEOPLE:
        return None
    private = message.channel.type is discord.ChannelType.private
    address = _address(message.channel.id, parent)
    if not private and not _heard(message, me, settings, address):
        return None
    text = _words(message, me)
    quote = _quote(message)
    attachments = [*message.attachments, *[each for shot in message.message_snapshots for each in shot.attachments]]
    files = (*[_file(each, message) for each in attachments], *map(_sticker, message.stickers))
    if not (text or files or quote):
        text = f"@{me.name}"  # only a mention
    return InboundMessage(
        external_id=id_of(message),
        address=address,
        sender=Sender(id=str(message.author.id), name=message.author.display_name),
        private=private,
        text=text,
        quote=quote,
        files=files,
        command=command_in(text),
        message_id=str(message.id),
        at=message.edited_at or message.created_at,
    )


def read_interaction(interaction: discord.Interaction, settings: DiscordSettings, parent: str | None) -> InboundMessage | None:
    """A slash command, or a press of one of our buttons; None: neither, or in a channel of a server that the settings leave out."""
    data: dict[str, object] = dict(interaction.data or {})
    if interaction.channel_id is None:
        return None
    address = _address(interaction.channel_id, parent)
    private = interaction.guild_id is None
    if not private and (settings.groups == "off" or not _allowed(settings, address)):
        return None
    chosen = interaction.type is discord.InteractionType.component
    if chosen:
        text = said_by(str(data.get("custom_id", "")))
        command = command_in(text or "")
    elif interaction.type is discord.InteractionType.application_command:
        command = Command(name=str(data.get("name", "")).lower())
        text = f"/{command.name}"
    else:
        return None
    if text is None:
        return None
    return InboundMessage(
        external_id=str(interaction.id),
        address=address,
        sender=Sender(id=str(interaction.user.id), name=interaction.user.display_name),
        private=private,
        text=text,
        chosen=chosen,
        command=command,
        message_id=str(interaction.message.id) if interaction.message is not None else None,
        at=interaction.created_at,
    )


def _address(channel_id: int, parent: str | None) -> Address:
    return Address(channel="discord", chat_id=parent or str(channel_id), thread_id=str(channel_id) if parent else None)


def _allowed(settings: DiscordSettings, address: Address) -> bool:
    return not settings.allow_channels or address.chat_id in settings.allow_channels or address.thread_id in settings.allow_channels


def _heard(message: discord.Message, me: discord.ClientUser, settings: DiscordSettings, address: Address) -> bool:
    if settings.groups == "off" or not _allowed(settings, address):
        return False
    if settings.groups == "all" or any(user.id == me.id for user in message.mentions):
        return True
    answered = message.reference.resolved if message.reference is not None else None
    if isinstance(answered, discord.Message) and answered.author.id == me.id:
        return True
    return _own_role(message) in message.raw_role_mentions


def _own_role(message: discord.Message) -> int | None:
    role = message.guild.self_role if message.guild is not None else None
    return role.id if role is not None else None


def _words(message: discord.Message, me: discord.ClientUser) -> str:
    """The text without mentions of the bot, and with names instead of the ids of others."""
    text = re.sub(rf"<@!?{me.id}>", "", message.content)
    if (role := _own_role(message)) is not None:
        text = text.replace(f"<@&{role}>", "")
    for user in message.mentions:
        name = f"@{no_address(user.display_name)}"
        text = text.replace(f"<@{user.id}>", name).replace(f"<@!{user.id}>", name)
    for role in message.role_mentions:
        text = text.replace(f"<@&{role.id}>", f"@{no_address(role.name)}")
    for channel in message.channel_mentions:
        text = text.replace(f"<#{channel.id}>", f"#{no_address(channel.name)}")
    text = _EMOJI.sub(lambda found: f":{no_address(found[1])}:", text).strip()
    if message.poll is not None:
        answers = ", ".join(answer.text for answer in message.poll.answers)
        text = f"{text}\n[Poll: {message.poll.question} Answers: {answers}]".strip()
    return text


def _quote(message: discord.Message) -> Quote | None:
    if message.message_snapshots:
        text = "\n".join(shot.content for shot in message.message_snapshots if shot.content)
        return Quote(text=text[:_MOST_QUOTED], author="", kind="forward") if text else None
    answered = message.reference.resolved if message.reference is not None else None
    if not isinstance(answered, discord.Message):
        return None
    named = [f"[file: {attachment.filename}]" for attachment in answered.attachments]
    text = "\n".join(filter(None, [answered.content, *named]))
    return Quote(text=text[:_MOST_QUOTED], author=answered.author.display_name) if text else None


def _file(attachment: discord.Attachment, message: discord.Message) -> InboundFile:
    media_type = (attachment.content_type or "application/octet-stream").partition(";")[0].strip()
    kind = "voice" if attachment.is_voice_message() else _KINDS.get(media_type.partition("/")[0], "document")
    ref = f"{message.channel.id}/{message.id}/{attachment.id} {attachment.url}"
    return InboundFile(name=attachment.filename, kind=kind, media_type=media_type, size=attachment.size, ref=ref)


def _sticker(sticker: discord.StickerItem) -> InboundFile:
    media_type = _STICKERS.get(sticker.format, "application/octet-stream")
    return InboundFile(name=sticker.name, kind="sticker", media_type=media_type, size=None, ref=f" {sticker.url}")
