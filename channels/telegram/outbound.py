"""From an event to its parts, each of which one call sends."""

from collections.abc import Iterator, Sequence
from typing import Final

from assistant.contracts.channels import SendRefused
from assistant.contracts.outbox import Button, ButtonRows, Media, OutboundEvent, OutboundPart
from channels.text.blocks import clean
from channels.text.telegram import telegram_parts

TEXT_UNITS: Final = 4000
"""UTF-16 units of a message, planned; 4096 are allowed."""
CAPTION_UNITS: Final = 1000
"""Of 1024."""
PHOTO_BYTES: Final = 10_000_000
FILE_BYTES: Final = 50_000_000
ALBUM_FILES: Final = 10
PHOTO_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/webp"})
Form = tuple[str, str]
"""A text in Telegram's HTML, and plain."""


def plan(event: OutboundEvent) -> Sequence[OutboundPart]:
    """Text first, then files: a photo or a few as an album, everything else one by one. A text that fits is the caption of the first.

    What replaces a preview begins with text, because an edit can't bring a file. Buttons are under the last part; an album has none.
    """
    for media in event.media:
        if media.size > FILE_BYTES:
            raise SendRefused("too_large", f"{media.name} is larger than the 50 MB that Telegram takes.")
        if media.size == 0:
            raise SendRefused("empty_file", f"{media.name} is empty, which Telegram does not take.")
    texts = _forms(event.text, TEXT_UNITS)
    groups = list(_groups(event.media, albums=not event.buttons))
    if groups and texts and event.replaces is None:
        captions = _forms(event.text, CAPTION_UNITS)
        if len(captions) == 1:
            texts = []
            parts = [_part(captions[0] if place == 0 else ("", ""), group) for place, group in enumerate(groups)]
            return _with_buttons(parts, event.buttons)
    parts = [_part(form) for form in texts] + [_part(("", ""), group) for group in groups]
    if not parts:
        raise SendRefused("empty", "The message has no words that can be seen.")
    return _with_buttons(parts, event.buttons)


def is_photo(media: Media) -> bool:
    return media.media_type in PHOTO_TYPES and media.size <= PHOTO_BYTES


def _forms(text: str, limit: int) -> list[Form]:
    return [(part.text, part.plain) for part in telegram_parts(text, limit)]


def _groups(media: Sequence[Media], *, albums: bool) -> Iterator[tuple[Media, ...]]:
    """Photos that follow one another go as one album, within what one request may hold."""
    album: list[Media] = []
    for file in media:
        fits = is_photo(file) and albums and len(album) < ALBUM_FILES and sum(each.size for each in album) + file.size <= FILE_BYTES
        if album and not fits:
            yield tuple(album)
            album = []
        if is_photo(file) and albums:
            album.append(file)
        else:
            yield (file,)
    if album:
        yield tuple(album)


def _part(form: Form, media: tuple[Media, ...] = ()) -> OutboundPart:
    return OutboundPart(text=form[0], plain=form[1], media=media)


def _with_buttons(parts: list[OutboundPart], buttons: ButtonRows) -> list[OutboundPart]:
    last = parts[-1]
    shown = tuple(tuple(Button(text=clean(button.text), url=button.url) for button in row) for row in buttons)
    return [*parts[:-1], OutboundPart(text=last.text, plain=last.plain, media=last.media, buttons=shown)]
