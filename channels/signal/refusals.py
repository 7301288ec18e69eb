"""What signal-cli's errors and the results of each receiver mean.
https://github.com/AsamK/signal-cli/blob/master/src/main/java/org/asamk/signal/json/JsonSendMessageResult.java"""

from collections.abc import Sequence
from typing import Any, Final

from assistant.contracts.channels import SendFailed, SendLater, SendRefused, SendUnclear
from channels.kit.answers import seconds_in
from channels.kit.forms import ANY_BUT_KIND, Blame
from channels.kit.http import Answered, PlatformError
from channels.kit.refusals import send_failure
from channels.kit.values import list_at, text_at, value_at

PLATFORM: Final = "Signal"
_USER: Final = "-1"
_INTERNAL: Final = "-32603"
_MOST_TOKEN: Final = 200
_LONG: Final = 3600.0
_GONE: Final = ("group not found", "not a group member", "not allowed to send")


def blame(error: PlatformError) -> Blame | None:
    if (
        not isinstance(error, Answered)
        or error.code not in (_USER, _INTERNAL)
        or list_at(error.body, "error", "data", "response", "results")
    ):
        return None
    words = error.words.lower()
    if any(gone in words for gone in _GONE) or "registered" in words:
        return None
    return (("files",) if "attachment" in words else ANY_BUT_KIND), f"signal-cli: {error.words}"


def failure(error: PlatformError) -> SendFailed:
    if not isinstance(error, Answered) or not error.code:
        return send_failure(error, "signal-cli", setting="channels.signal.account")
    if (failed := failed_result(list_at(error.body, "error", "data", "response", "results"))) is not None:
        return failed
    match error.code:
        case "-5":
            return SendLater("flood_wait", "Signal asks to wait.", retry_after=_LONG, counts=False)
        case "-4":
            return _identity()
        case "-3":
            return SendUnclear("no_answer", f"signal-cli lost the connection ({error.words}); the message may have arrived.")
        case "-32602" if "account" in error.words.lower():
            words = f"signal-cli does not know channels.signal.account: {error.words}."
            return SendLater("unauthorized", words, retry_after=300, counts=False, whole_channel=True)
        case _:
            words = error.words.lower()
            gone = any(each in words for each in _GONE)
            code = "chat_gone" if gone else "not_registered" if "registered" in words else "refused"
            return SendRefused(code, f"signal-cli refused it: {error.words}.")


def failed_result(results: Sequence[Any]) -> SendFailed | None:
    """The error of a send by the results of its receivers. None: one of them got it, or there are no results."""
    kinds = [value_at(each, "type") for each in results]
    if not kinds or "SUCCESS" in kinds:
        return None
    first = results[0]
    match kinds[0]:
        case "UNREGISTERED_FAILURE":
            return SendRefused("not_registered", "The person is not registered on Signal any more.")
        case "RATE_LIMIT_FAILURE":
            wait, token = seconds_in(value_at(first, "retryAfterSeconds")), text_at(first, "token")[:_MOST_TOKEN]
            words = "Signal asks to wait."
            if token:
                words += " To go on sooner: solve https://signalcaptchas.org/challenge/generate.html, then run"
                words += f" signal-cli submitRateLimitChallenge --challenge {token} --captcha <what it gave>."
            return SendLater("flood_wait", words, retry_after=_LONG if wait is None else wait, counts=False)
        case "NETWORK_FAILURE":
            return SendUnclear("no_answer", "signal-cli lost the connection; the message may have arrived.")
        case "INVALID_PRE_KEY_FAILURE":
            return SendRefused("keys", "The person's keys can't be used; they have to open Signal once.")
        case _:
            return _identity()


def _identity() -> SendRefused:
    words = "The person's safety number has changed: compare it with them, then run `signal-cli trust -v <safety number> <account id>`."
    return SendRefused("identity", words)
