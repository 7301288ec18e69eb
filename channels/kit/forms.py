"""The forms of a message, from the richest to the plainest: whatever form a platform refuses, the words arrive without it.

    send(form) ──refused──▶ blamed(error): what the refusal may be about ──▶ the next simpler form ──▶ send(form) …

Each step takes something away, so there are at most as many tries as there are pieces. A refusal that is about none of them stays one.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeVar

from assistant.contracts.channels import SendRefused
from assistant.contracts.outbox import Button, ButtonRows, Media, OutboundEvent, OutboundPart
from assistant.contracts.records import record

log = logging.getLogger(__name__)
R = TypeVar("R")
E = TypeVar("E", bound=Exception)
_SPECIAL: Final = re.compile(r"[\\`*_\[\]<>|~#]")

Piece = Literal["thread", "reply", "style", "buttons", "caption", "album", "kind", "files"]
"""thread: the topic. reply: the reference to a message. style: formatting. caption: words on a file. album: files that go together. kind: a file
shown as what it is (a photo, a voice message), and not as a document."""
Blame = tuple[Sequence[Piece], str]
ANY: Final[tuple[Piece, ...]] = ("style", "buttons", "reply", "album", "kind", "files")
"""What is taken away for a refusal that does not say what it is about. Not the topic: others would read it."""
ANY_BUT_KIND: Final[tuple[Piece, ...]] = tuple(piece for piece in ANY if piece != "kind")
"""The same, for a platform that shows a file as what it is by itself."""


@record
class MessageForm:
    """What of a part is sent, and how."""

    part: OutboundPart
    reply_to: str | None = None
    thread_id: str | None = None
    styled: bool = True
    as_documents: bool = False
    single: bool = False
    """Files of an album one by one."""
    apart: bool = False
    """The words as a message of their own, before the files."""
    lines: tuple[str, ...] = ()
    """Words of buttons that are written under the text instead."""
    notices: tuple[str, ...] = ()

    @property
    def notice(self) -> str:
        """For the receipt: what was left out, and what the plan left out already."""
        return "; ".join(filter(None, [self.part.notice, *self.notices]))

    def without(self, piece: Piece, why: str, *, sure: bool = True) -> "MessageForm | None":
        """The form without this piece; None: it has none. `why`: the platform's own words. `sure`: whether the refusal names the piece."""
        part = self.part
        match piece:
            case "thread" if self.thread_id is not None:
                return self._less(f"sent to the chat and not to its topic ({why})", thread_id=None)
            case "reply" if self.reply_to is not None:
                return self._less(f"sent without the reference to the message that it answers ({why})", reply_to=None)
            case "style" if self.styled and part.text and (sure or part.text != part.plain):
                return self._less(f"sent as plain text ({why})", styled=False)
            case "buttons" if part.buttons:
                words = f"buttons left out: {listed(part.buttons)} ({why})"
                return self._less(words, part=replace(part, buttons=()), lines=(*self.lines, *lines_of(part.buttons)))
            case "caption" if part.media and part.text and not self.apart:
                return self._less(f"words sent apart from the file ({why})", apart=True)
            case "album" if len(part.media) > 1 and not self.single:
                return self._less(f"files sent one by one ({why})", single=True)
            case "kind" if part.media and not self.as_documents:
                return self._less(f"{named(part.media)} sent as a plain file ({why})", as_documents=True)
            case "files" if part.media and (part.text or self.lines):
                return self._less(f"{named(part.media)} left out ({why})", part=replace(part, media=()))
            case _:
                return None

    def _less(self, notice: str, **changes: object) -> "MessageForm":
        return replace(self, notices=(*self.notices, notice), **changes)  # pyright: ignore[reportArgumentType] - fields of its own, above


def simpler(form: MessageForm, pieces: Sequence[Piece], why: str) -> MessageForm | None:
    """Without the first of these pieces that the form has."""
    sure = pieces not in (ANY, ANY_BUT_KIND)
    return next((less for piece in pieces if (less := form.without(piece, why, sure=sure)) is not None), None)


async def in_some_form(
    form: MessageForm, send: Callable[[MessageForm], Awaitable[R]], refusal: type[E], blamed: Callable[[E], Blame | None], *, channel: str
) -> tuple[R, MessageForm]:
    """Send in the richest form that is taken. `refusal`: what `send` raises where the platform refuses. `blamed`: the pieces that a refusal may be
    about, and the platform's words; None: no other form heals it. Raises the last error."""
    while True:
        try:
            return await send(form), form
        except refusal as error:
            blame = blamed(error)
            less = simpler(form, *blame) if blame is not None else None
            if less is None:
                raise
            log.info("forms.refused channel=%s notices=%d", channel, len(less.notices))
            form = less


def named(media: Sequence[Media]) -> str:
    return ", ".join(each.name for each in media)


def listed(buttons: ButtonRows) -> str:
    return ", ".join(f"“{button.text}”" for row in buttons for button in row)


def lines_of(buttons: ButtonRows) -> list[str]:
    """Buttons that open a page, as lines of text: the address must arrive; and one line for those that give a command. (Another's words are the
    reader's to write.)"""
    return [f"{button.text}: {button.url}" for row in buttons for button in row if button.url] + _to_write(buttons)


def _to_write(buttons: ButtonRows) -> list[str]:
    """What to write in place of buttons that give a command: "Reply /done or /snooze 10m"."""
    commands = [button.command for row in buttons for button in row if button.command]
    return [f"Reply {' or '.join(filter(None, [', '.join(commands[:-1]), commands[-1]]))}"] if commands else []


def checked_buttons(
    given: ButtonRows, can_link: Callable[[str], bool], *, most_rows: int, most_in_row: int, most_text: int
) -> tuple[ButtonRows, list[str], str]:
    """(buttons that the platform takes, lines for those that it does not, the notice of that).

    Rows that are too long are broken. A button without words, or with an address that can't be linked, is left out; so are those beyond the most.
    """
    rows: list[tuple[Button, ...]] = []
    left: list[Button] = []
    for row in given:
        taken: list[Button] = []
        for button in row:
            fits = (
                bool(button.text.strip()) and (button.url is None or can_link(button.url)) and (button.url or len(button.text) <= most_text)
            )
            (taken if fits else left).append(button)
        rows += [tuple(taken[start : start + most_in_row]) for start in range(0, len(taken), most_in_row)]
    left += [button for row in rows[most_rows:] for button in row]
    shown = [button for button in left if button.text.strip() or button.url]
    lines = [f"{button.text}: {button.url}" if button.url else button.text for button in shown if not button.command]
    lines += _to_write((tuple(shown),))
    return tuple(rows[:most_rows]), lines, f"written as text, because it is no button there: {listed((tuple(shown),))}" if shown else ""


def checked_media(event: OutboundEvent, refusal: Callable[[Media], tuple[str, str] | None]) -> tuple[tuple[Media, ...], str]:
    """(the files that the platform takes, the notice of the others). `refusal`: (code, why) for a file that it does not take. Raises SendRefused
    where nothing would be left of the message."""
    found = [(each, refusal(each)) for each in event.media]
    refused = [(each, why) for each, why in found if why is not None]
    taken = tuple(each for each, why in found if why is None)
    if refused and not taken and not event.text.strip():
        _, (code, why) = refused[0]
        raise SendRefused(code, f"{refused[0][0].name} can't be sent: {why}.")
    return taken, "; ".join(f"{each.name} left out: {why}" for each, (_, why) in refused)


def with_lines(text: str, lines: Sequence[str]) -> str:
    """Markdown with these lines of plain text under it."""
    written = "\\\n".join(_SPECIAL.sub(r"\\\g<0>", line) for line in lines)
    return "\n\n".join(filter(None, [text, written]))
