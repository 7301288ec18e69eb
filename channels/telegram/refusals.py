"""What Telegram's answers mean: for a send, for the form of a message, for the connection."""

import re
from typing import Final, Literal

from assistant.contracts.channels import ChannelFailed, SendFailed, SendLater, SendRefused
from channels.kit import refusals
from channels.kit.forms import ANY, Blame, Piece
from channels.kit.http import Answered, PlatformError

_REVOKED = (
    "Telegram does not know the bot's token: it is mistyped or was revoked. @BotFather shows the current one (channels.telegram.token)."
)
_CODES: Final = {
    "chat not found": "chat_not_found",
    "peer_id_invalid": "chat_not_found",
    "message thread not found": "thread_not_found",
    "topic_deleted": "thread_not_found",
    "topic_id_invalid": "thread_not_found",
    "topic_closed": "thread_closed",
    "too long": "too_long",
    "too big": "too_large",
    "blocked by the user": "blocked",
    "user is deactivated": "user_deactivated",
    "kicked": "kicked",
    "not a member": "not_a_member",
    "initiate conversation": "never_started",
    "not enough rights": "no_rights",
    "have no rights": "no_rights",
    "need administrator rights": "no_rights",
    "chat_write_forbidden": "no_rights",
    "chat_restricted": "no_rights",
    "chat_admin_required": "no_rights",
    "chat_send_plain_forbidden": "no_rights",
    "user_banned_in_channel": "no_rights",
    "channel_private": "not_a_member",
    "group chat was deactivated": "chat_not_found",
    "group chat was deleted": "chat_not_found",
}
"""The codes of refusals, by what Telegram says."""
_UNKNOWN_TOKEN: Final = (401, 404)
_NOT_FIRST: Final = "a bot can write only to people who have written to it first, and in groups that it is in"
_HINTS: Final = {
    "chat_not_found": _NOT_FIRST,
    "never_started": _NOT_FIRST,
    "blocked": "they have to unblock it in Telegram",
    "kicked": "an administrator has to add it to the group again",
    "not_a_member": "an administrator has to add it to the group",
    "no_rights": "an administrator of the chat has to allow it",
}
"""What to do about it, by code."""
Reason = Literal["not_modified", "gone"]
_REASONS: Final[dict[Reason, tuple[str, ...]]] = {
    "not_modified": ("message is not modified",),
    "gone": ("message to edit not found", "message can't be edited", "message_id_invalid"),
}


_FILES: Final[tuple[Piece, ...]] = ("album", "kind", "files")
_ABOUT: Final[tuple[tuple[str, tuple[Piece, ...]], ...]] = (
    ("message thread not found|topic_(?:deleted|closed|id_invalid)", ("thread",)),
    ("repl(?:y|ied)[ _](?:message|to)|message to (?:be replied|reply)|quote_text", ("reply",)),
    ("keyboard|button|reply[ _]markup", ("buttons",)),
    ("parse entities|entit(?:y|ies)_", ("style",)),
    ("caption", ("caption", "style")),
    ("media group|album|multi_media", _FILES),
    ("(?:voice|video|photo|audio|gif|animation|image|document|media|sticker|docs|round|file)[a-z]*_", _FILES),
    ("wrong (?:file|type)|file (?:must|is too)|too big|entity too large|not enough rights to send (?!text)", _FILES),
    ("chat_send_(?!plain)", _FILES),
)
"""What a refusal is about, by Telegram's own words in lower case: the first that fits."""
_HEALED: Final = frozenset({"refused", "forbidden", "no_rights", "thread_not_found", "thread_closed", "too_long", "too_large"})
"""The codes of refusals that may be about the form, and not about the chat."""


def blamed(error: PlatformError) -> Blame | None:
    """See `channels.kit.forms.in_some_form`. A refusal of the chat itself is healed by no form, nor is one of an unknown kind that is no 400."""
    if not isinstance(error, Answered) or error.status not in (400, 403, 413):
        return None
    code = send_failure(error).trouble.code
    if code not in _HEALED or refused_as(error, "not_modified"):  # the words of the latter name the buttons
        return None
    said, words = error.words.lower(), f"Telegram: {error.words}"
    pieces = next((pieces for pattern, pieces in _ABOUT if re.search(pattern, said)), None)
    if pieces is None and error.status == 413:  # the page of a proxy
        pieces = _FILES
    if pieces is not None:
        return pieces, words
    anything = error.status == 400 and code == "refused" and not refused_as(error, "gone")
    return (ANY, words) if anything else None


def send_failure(error: PlatformError) -> SendFailed:
    match error:
        case Answered(status=status) if status in _UNKNOWN_TOKEN:  # not the message's fault: it goes out when the token is replaced
            return SendLater("unauthorized", _REVOKED, counts=False, whole_channel=True)
        case Answered(status=400 | 403):
            said, otherwise = error.words.lower(), "forbidden" if error.status == 403 else "refused"
            code = next((code for words, code in _CODES.items() if words in said), otherwise)
            hint = f" ({_HINTS[code]})" if code in _HINTS else ""
            return SendRefused(code, f"Telegram refused it: {error.words}{hint}.")
        case _:
            return refusals.send_failure(error, "Telegram")


def refused_as(error: PlatformError, reason: Reason) -> bool:
    """Whether Telegram refused a call for this reason, after which something else is tried."""
    return isinstance(error, Answered) and error.status == 400 and any(words in error.words.lower() for words in _REASONS[reason])


def channel_failure(error: PlatformError) -> ChannelFailed:
    if isinstance(error, Answered) and error.status in _UNKNOWN_TOKEN:
        return ChannelFailed(_REVOKED, fatal=True)
    if isinstance(error, Answered):  # a 403 is of a proxy
        return ChannelFailed(f"Telegram answered: {error.words}.")
    return refusals.channel_failure(error, "Telegram")
