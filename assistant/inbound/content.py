"""Messages of a chat as the content of a turn: whose words are whose, and which are the sender's own."""

from collections.abc import Sequence
from itertools import islice
from typing import Final

from assistant.contracts.channels import Conversation
from assistant.contracts.inbox import InboundMessage, Quote
from assistant.contracts.names import no_address
from assistant.contracts.turns import Upload, Words
from assistant.inbound.files import Fetcher

_MOST_QUOTED: Final = 4_000
"""Characters of a quote that are passed on: it refers to something, it is not the message."""


async def content_of(messages: Sequence[InboundMessage], fetcher: Fetcher, conversation: Conversation | None) -> tuple[Words | Upload, ...]:
    """All messages that a turn answers, in order, each with what it quotes before it and its files behind it. The uploads are the caller's."""
    fetched = iter(await fetcher.fetch([file for message in messages for file in message.files], conversation))
    content: list[Words | Upload] = []
    for message in messages:
        content += words_of(message)
        content += [file if isinstance(file, Upload) else Words(text=file, quoted=True) for file in islice(fetched, len(message.files))]
    return tuple(content) or (Words(text="The message holds nothing that can be read here.", quoted=True),)


def words_of(message: InboundMessage) -> list[Words]:
    """A quote as words of somebody else, then the sender's own, in a group behind their name."""
    quote = [Words(text=_quoted(message.quote), quoted=True)] if message.quote and message.quote.text.strip() else []
    name = "" if message.private else f"{no_address(message.sender.name) or 'Somebody'}:"
    if message.text.strip():
        return [*quote, Words(text=f"{name} {message.text}" if name else message.text, quoted=not message.trusted, chosen=message.chosen)]
    return [*quote, *([Words(text=name)] if name else [])]


def _quoted(quote: Quote) -> str:
    text = quote.text if len(quote.text) <= _MOST_QUOTED else f"{quote.text[:_MOST_QUOTED]}…"
    if quote.kind == "forward":
        return f"Passed on by the user{f', from {quote.author}' if quote.author else ''}:\n{text}"
    return f"What the user's next words refer to{f', by {quote.author}' if quote.author else ''}:\n{text}"
