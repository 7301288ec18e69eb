"""From what went wrong on the wire to what it means for a message, and for the connection."""

from typing import Final

from telegram.error import TelegramError

from assistant.contracts.channels import ChannelFailed, SendFailed, SendLater, SendRefused, SendUnclear
from channels.telegram.api import Answered, Unanswered, Unreached

_REVOKED = (
    "Telegram does not know the bot's token: it is mistyped or was revoked. @BotFather shows the current one (channels.telegram.token)."
)
_CODES: Final = {
    "chat not found": "chat_not_found",
    "peer_id_invalid": "chat_not_found",
    "message thread not found": "thread_not_found",
    "topic_deleted": "thread_not_found",
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
}
"""What Telegram says, and the code of the trouble that it means."""
_NOT_FIRST: Final = "a bot can write only to people who have written to it first, and in groups that it is in"
_HINTS: Final = {
    "chat_not_found": _NOT_FIRST,
    "never_started": _NOT_FIRST,
    "blocked": "they have to unblock it in Telegram",
    "kicked": "somebody has to add it to the group again",
    "not_a_member": "somebody has to add it to the group",
    "no_rights": "an administrator of the chat has to allow it",
}
"""What has to be done, by the code of the trouble."""


def send_failure(error: TelegramError) -> SendFailed:
    """What it means for a message that was being sent."""
    match error:
        case Answered():
            return _of_answer(error)
        case Unreached():
            return SendLater("network", unreachable(error), counts=False, whole_channel=True)
        case Unanswered():
            return SendUnclear("no_answer", f"No answer came from Telegram ({error}); the message may have arrived.")
        case _:  # of the SDK's own: its words may quote anything
            return SendUnclear(
                "no_answer", f"The answer from Telegram was not understood ({type(error).__name__}); the message may have arrived."
            )


def _of_answer(error: Answered) -> SendFailed:
    match error.status:
        case 429:
            wait = error.retry_after
            words = f"Telegram asks to wait {wait:g} s." if wait is not None else "Telegram asks to wait."
            return SendLater("flood_wait", words, retry_after=wait, counts=False)
        case 401 | 404:  # says nothing against the message: it goes out when the token is mended
            return SendLater("unauthorized", _REVOKED, counts=False, whole_channel=True)
        case 502 | 504:  # a gateway answers for a server that may have taken the message
            return SendUnclear("gateway", f"Telegram's gateway failed (status {error.status}); the message may have arrived.")
        case 408 | 409 | 425:
            return SendLater("not_now", f"Telegram did not take it now: {error.description}.")
        case 413:
            return SendRefused("too_large", "Telegram refused it: the file is too large.")
        case status if status >= 500:
            return SendLater("server_error", f"Telegram failed (status {status}).")
        case status:
            code = _code(error, "forbidden" if status == 403 else "refused")
            hint = f" ({_HINTS[code]})" if code in _HINTS else ""
            return SendRefused(code, f"Telegram refused it: {error.description}{hint}.")


def _code(error: Answered, otherwise: str) -> str:
    said = error.description.lower()
    return next((code for words, code in _CODES.items() if words in said), otherwise)


def is_parse_refusal(error: Answered) -> bool:
    """Telegram can't read the form of a text; the same words go without."""
    return error.status == 400 and "can't parse entities" in error.description


def is_unchanged(error: Answered) -> bool:
    """An edit to what stands there already."""
    return error.status == 400 and "message is not modified" in error.description


def is_gone(error: Answered) -> bool:
    """The message to edit is not there (any more), or can't be edited."""
    said = error.description.lower()
    return error.status == 400 and any(
        words in said for words in ("message to edit not found", "message can't be edited", "message_id_invalid")
    )


def is_no_photo(error: Answered) -> bool:
    """Telegram can't make a photo of the file; as a document it takes it."""
    said = error.description.lower()
    return error.status == 400 and any(words in said for words in ("photo_", "image_process", "wrong type of the web page", "wrong file"))


def channel_failure(error: TelegramError) -> ChannelFailed:
    """What it means for the connection."""
    match error:
        case Answered(status=401 | 404):
            return ChannelFailed(_REVOKED, fatal=True)
        case Answered():
            return ChannelFailed(f"Telegram answered: {error.description}.")
        case _:
            return ChannelFailed(unreachable(error))


def unreachable(error: TelegramError) -> str:
    return f"Telegram can't be reached ({error})."
