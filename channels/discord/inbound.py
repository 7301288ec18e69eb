"""Discord's messages and interactions as messages for the assistant, by the rules for servers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import discord

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import Command, InboundMessage, Quote, Sender
from channels.discord.wire import said_by
from channels.discord.words import files_in, own_role, own_text, shot_lines, shown_lines, whole_text
from channels.kit.commands import command_of
from channels.kit.hearing import Hearing, Overheard
from channels.kit.values import text_at

_WORDS_OF_PEOPLE: Final = (discord.MessageType.default, discord.MessageType.reply)
_MOST_QUOTED: Final = 4000


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


def read_message(message: discord.Message, me: discord.ClientUser, parent: str | None, hearing: Hearing) -> InboundMessage | None:
    """None: it is not for the assistant. `parent`: the channel of the thread that the message is in."""
    by_bot = message.author.bot or message.webhook_id is not None
    if message.type not in _WORDS_OF_PEOPLE:
        return None
    private = message.channel.type is discord.ChannelType.private
    address = _address(message.channel.id, parent)
    answered = message.reference.resolved if message.reference is not None else None
    heard = Overheard(
        chat_id=str(message.channel.id),
        external_id=id_of(message),
        private=private,
        mentions_me=any(user.id == me.id for user in message.mentions) or own_role(message) in message.raw_role_mentions,
        answers_me=isinstance(answered, discord.Message) and answered.author.id == me.id,
        by_bot=by_bot,
        own=me.id in (message.author.id, message.application_id),
    )
    if not hearing.reads(address, private=private) or not hearing.hears(heard):
        return None
    shown = shown_lines(message)
    text = "\n".join(filter(None, [own_text(message, me), *(shown if by_bot else [])]))
    quote = _quote(message, me, [] if by_bot else shown)
    files = files_in(message)
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
        command=command_of(text),
        trusted=not by_bot,
        message_id=str(message.id),
        at=message.edited_at or message.created_at,
    )


def read_interaction(interaction: discord.Interaction, parent: str | None, hearing: Hearing) -> InboundMessage | None:
    """A slash command, or a press of one of our buttons; None: neither, or in a channel of a server that the settings leave out."""
    data: dict[str, object] = dict(interaction.data or {})
    if interaction.channel_id is None:
        return None
    address = _address(interaction.channel_id, parent)
    private = interaction.guild_id is None
    if not hearing.reads(address, private=private):
        return None
    chosen = interaction.type is discord.InteractionType.component
    if chosen:
        text = said_by(text_at(data, "custom_id"))
        command = command_of(text or "")
    elif interaction.type is discord.InteractionType.application_command:
        command = Command(name=text_at(data, "name").lower(), arguments=text_at(data, "options", 0, "value").strip())
        text = f"/{command.name} {command.arguments}".strip()
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


def _quote(message: discord.Message, me: discord.ClientUser, previews: Sequence[str]) -> Quote | None:
    """What a message forwards or answers, and the previews of its links: other people's words, also where they stand in the sender's message."""
    if message.message_snapshots:
        lines = [line for shot in message.message_snapshots for line in shot_lines(shot)]
        text = "\n".join(filter(None, [*lines, *previews]))
        return Quote(text=text[:_MOST_QUOTED], author="", kind="forward") if text or files_in(message) else None
    answered = message.reference.resolved if message.reference is not None else None
    if not isinstance(answered, discord.Message):
        return Quote(text="\n".join(previews)[:_MOST_QUOTED], author="", kind="forward") if previews else None
    files = files_in(answered)
    text = "\n".join(filter(None, [whole_text(answered), *[f"[file: {file.name}]" for file in files], *previews]))
    if not text:
        return None
    author_id = "" if answered.author.id == me.id else str(answered.author.id)
    return Quote(text=text[:_MOST_QUOTED], author=answered.author.display_name, author_id=author_id, files=files)
