"""What the Cloud API's error codes mean. https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes/"""

from typing import Final

from assistant.contracts.channels import SendFailed, SendLater, SendRefused
from channels.kit.forms import ANY, Blame
from channels.kit.http import Answered, PlatformError
from channels.kit.refusals import send_failure
from channels.kit.values import number_at, text_at

PLATFORM: Final = "WhatsApp"
SETTING: Final = "channels.whatsapp.accessToken"
WINDOW_CLOSED: Final = 131047
CLOSED_WORDS: Final = (
    "WhatsApp takes free words only within 24 hours after the person wrote. Ask them to write first, "
    "or name a template that Meta has approved: channels.whatsapp.templates.reopen."
)
_WAITS: Final = {4: 60.0, 80007: 60.0, 130429: 30.0, 131056: 30.0, 131048: 3600.0, 133016: 3600.0}
"""Rates, with the seconds to wait: WhatsApp names none."""
_WHOLE: Final = {368: 3600.0, 131031: 3600.0, 131042: 3600.0, 130497: 3600.0, 131057: 300.0, 133004: 60.0, 133010: 300.0}
"""The account is at fault, or in maintenance: every chat waits."""
_REFUSED: Final = {
    131026: "undeliverable",
    131030: "not_allowed",
    131021: "own_number",
    131049: "not_healthy",
    131050: "blocked",
    130472: "experiment",
    WINDOW_CLOSED: "window_closed",
}
_MOST_WORDS: Final = 1000
_FORMS: Final = frozenset({100, 131008, 131009, 131051})
_FILES: Final = frozenset({131052, 131053})


def code_of(error: PlatformError) -> int:
    """The platform's code; 0: there is none."""
    return number_at(error.body, "error", "code") if isinstance(error, Answered) else 0


def words_of(error: PlatformError) -> str:
    return (text_at(error.body, "error", "error_data", "details") if isinstance(error, Answered) else "")[:_MOST_WORDS] or str(error)


def blame(error: PlatformError) -> Blame | None:
    code = code_of(error)
    if code not in _FORMS | _FILES:
        return None
    return (("kind", "files") if code in _FILES else ANY), f"{PLATFORM}: {words_of(error)}"


def failure(error: PlatformError) -> SendFailed:
    code, words = code_of(error), words_of(error)
    if code in _WAITS:
        return SendLater("flood_wait", f"{PLATFORM} asks to wait: {words}.", retry_after=_WAITS[code], counts=False)
    if code in _WHOLE:
        return SendLater("account", f"{PLATFORM}: {words}.", retry_after=_WHOLE[code], counts=False, whole_channel=True)
    if code in _REFUSED:
        return refused(code, words)
    return send_failure(error, PLATFORM, setting=SETTING)


def refused(code: int, words: str) -> SendRefused:
    """A refusal for good, also one that is told later by a status."""
    name = _REFUSED.get(code, str(code))
    return SendRefused(name, CLOSED_WORDS if code == WINDOW_CLOSED else f"{PLATFORM} refused it: {words[:_MOST_WORDS]}.")
