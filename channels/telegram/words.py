"""What a Telegram message says: its entities as Markdown, and polls, places, contacts and the like in words.

https://core.telegram.org/bots/api#messageentity
"""

from collections.abc import Iterator, Sequence
from typing import Final

from telegram import ExternalReplyInfo, Message, MessageEntity, Poll

from assistant.contracts.util import replace_surrogates
from channels.text import ranges
from channels.text.ranges import Look, Range

_LOOKS: Final[dict[str, Look]] = {
    "bold": "bold",
    "italic": "italic",
    "underline": "underline",
    "strikethrough": "strike",
    "spoiler": "spoiler",
    "code": "code",
    "text_link": "link",
    "pre": "block",
    "blockquote": "quote",
    "expandable_blockquote": "quote",
}
_MENTION: Final = "tg://user?id="
Content = Message | ExternalReplyInfo


def markdown_of(text: str, entities: Sequence[MessageEntity] | None) -> str:
    """Mentions, hashtags, addresses that are visible and custom emoji are the words that they stand on."""
    found = [
        Range(look=_LOOKS[entity.type], offset=entity.offset, length=entity.length, value=entity.url or entity.language or "")
        for entity in entities or ()
        if entity.type in _LOOKS and not (entity.url or "").startswith(_MENTION)
    ]
    return ranges.markdown_of(text, found)


def own_words(message: Content) -> str:
    """The text or caption of a message as Markdown, and its place, contact, poll, list … in words; empty: none of them."""
    said = ""
    if isinstance(message, Message):
        text = message.text or message.caption or ""
        said = markdown_of(text, message.entities if message.text else message.caption_entities)
    return replace_surrogates("\n".join(filter(None, [said, *_in_words(message)])))


def _in_words(message: Content) -> Iterator[str]:
    if venue := message.venue:
        at = venue.location
        yield f"[place: {venue.title}, {venue.address} ({at.latitude:.6f}, {at.longitude:.6f})]"
    elif at := message.location:
        yield f"[{'live location' if 'live_period' in at.to_dict() else 'location'}: {at.latitude:.6f}, {at.longitude:.6f}]"
    if contact := message.contact:
        name = " ".join(filter(None, [contact.first_name, contact.last_name]))
        yield f"[contact: {name}, {contact.phone_number}]"
    if poll := message.poll:
        yield _poll(poll)
    if dice := message.dice:
        yield f"[dice {dice.emoji}: {dice.value}]"
    if game := message.game:
        about = markdown_of(game.text, game.text_entities) if game.text else ""
        yield f"[game: {'. '.join(filter(None, [game.title, game.description, about]))}]"
    if (sticker := message.sticker) and sticker.emoji:
        yield f"[sticker {sticker.emoji}]"
    if message.story:
        yield "[a story, which bots can't see]"
    if checklist := message.checklist:
        tasks = [f"{'☑' if task.completion_date else '☐'} {markdown_of(task.text, task.text_entities)}" for task in checklist.tasks]
        yield "\n".join([f"[checklist: {markdown_of(checklist.title, checklist.title_entities)}]", *tasks])
    if invoice := message.invoice:
        yield f"[invoice: {invoice.title}. {invoice.description} ({invoice.total_amount / 100:.2f} {invoice.currency})]"
    if giveaway := message.giveaway:
        yield f"[giveaway: {giveaway.winner_count} winners{f'. {giveaway.prize_description}' if giveaway.prize_description else ''}]"
    if paid := message.paid_media:
        yield f"[{len(paid.paid_media)} paid files, which bots can't see, for {paid.star_count} stars]"


def _poll(poll: Poll) -> str:
    """With the votes of each option, where there are any."""
    kind = "quiz" if poll.type == "quiz" else "poll"
    state = ", ".join(
        filter(None, ["closed" if poll.is_closed else "", f"{poll.total_voter_count} voted" if poll.total_voter_count else ""])
    )
    options = [
        f"- {markdown_of(option.text, option.text_entities)}{f' ({option.voter_count} votes)' if poll.total_voter_count else ''}"
        for option in poll.options
    ]
    head = f"[{kind}{f' ({state})' if state else ''}: {markdown_of(poll.question, poll.question_entities)}]"
    more = [f"Explanation: {markdown_of(poll.explanation, poll.explanation_entities)}"] if poll.explanation else []
    return "\n".join([head, *options, *more])
