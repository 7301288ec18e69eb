"""What Mattermost's refusals mean, by their ids: https://github.com/mattermost/mattermost/blob/master/server/i18n/en.json"""

import re
from collections.abc import Sequence
from typing import Final

from assistant.contracts.channels import SendFailed, SendRefused, SendUnclear
from channels.kit.forms import ANY_BUT_KIND, Blame, Piece
from channels.kit.http import Answered, PlatformError
from channels.kit.refusals import send_failure
from channels.kit.values import id_at

PLATFORM: Final = "Mattermost"
SETTING: Final = "channels.mattermost.token"
_REFUSED: Final = (
    ("can_not_post_to_deleted", "chat_archived", "The channel is archived."),
    (r"channel\.get|existing|missing_account|invalid_param", "chat_not_found", "There is no such chat, or the bot is not in it."),
    ("restricted_dm|deactivated", "blocked", "The server lets the bot not write to that one."),
    ("permissions", "forbidden", "The bot is not in that channel, or may not write there: add it."),
    (r"is_valid\.(msg|message)|message_length", "too_long", "The message is too long."),
    ("", "refused", f"{PLATFORM} refused it."),
)
_ABOUT: Final[Sequence[tuple[str, Sequence[Piece]]]] = (
    ("root_id", ("thread",)),
    ("file", ("album", "files")),
    ("attachment|props|action", ("buttons",)),
)


def failure_of(error: PlatformError) -> SendFailed:
    """See `channels.kit.sender.Posting.failure`."""
    if isinstance(error, Answered) and error.status != 503:
        id = id_at(error.body, "id")
        if id == "api.post.deduplicate_create_post.pending":
            return SendUnclear("not_now", f"{PLATFORM} is still at an earlier try of it.")
        if error.status >= 500:
            return SendUnclear("server_error", f"{PLATFORM} failed (status {error.status}); the message may have arrived.")
        if error.status in (400, 403, 404):
            code, words = _refused(id)
            return SendRefused(code, f"{words} ({PLATFORM}: {id or error.status})")
    return send_failure(error, PLATFORM, setting=SETTING)


def blame_of(error: PlatformError) -> Blame | None:
    """See `channels.kit.forms.in_some_form`."""
    if not isinstance(error, Answered) or error.status not in (400, 403, 404, 413, 501):
        return None
    id = "file" if error.status == 413 else id_at(error.body, "id")
    unknown = ANY_BUT_KIND if error.status == 400 and _refused(id)[0] == "refused" else None
    found = next((pieces for pattern, pieces in _ABOUT if re.search(pattern, id)), unknown)
    return (found, f"{PLATFORM}: {id or error.status}") if found is not None else None


def _refused(id: str) -> tuple[str, str]:
    """(our code, words for people)."""
    return next((code, words) for pattern, code, words in _REFUSED if re.search(pattern, id))
