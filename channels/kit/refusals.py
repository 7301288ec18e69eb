"""What a platform's HTTP answers mean for a send, and for the connection, where the adapter knows nothing better."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from assistant.contracts.channels import ChannelFailed, SendFailed, SendLater, SendRefused, SendUnclear
from channels.kit.http import Answered, PlatformError, Unanswered, Unreached

_NOT_NOW = frozenset({408, 409, 423, 425})
_GATEWAY = frozenset({502, 504})
_UNAUTHORIZED_WAIT = 300.0


def send_failure(error: PlatformError, platform: str, *, setting: str = "its key") -> SendFailed:
    """The error of a send. `platform`: its name for people. `setting`: where the configuration holds the key ("channels.slack.botToken").

    An adapter asks its own table of codes first: a refusal in the platform's words says more than a status.
    """
    match error:
        case Unreached():
            return SendLater("network", f"{platform} can't be reached ({error}).", counts=False, whole_channel=True)
        case Answered():
            return _of_answer(error, platform, setting)
        case _:
            return SendUnclear("no_answer", f"No answer came from {platform} ({error}); the message may have arrived.")


def not_sent(error: PlatformError, platform: str) -> SendLater:
    """The failure of a call before the one that posts (an upload): it may be repeated."""
    return SendLater("network", f"{platform} did not answer ({error}); nothing was posted.", counts=False)


@contextmanager
def before_post(platform: str) -> Generator[None]:
    """Around calls before the one that posts: no answer is no doubt there."""
    try:
        yield
    except Unanswered as error:
        raise not_sent(error, platform) from error


async def still_there(call: Awaitable[object], gone: Callable[[Answered], bool]) -> bool:
    """Make a call about a message. False: by the platform's answer, `gone` says that it is not there any more. Raises PlatformError."""
    try:
        await call
    except Answered as error:
        if not gone(error):
            raise
        return False
    return True


def _of_answer(error: Answered, platform: str, setting: str) -> SendFailed:
    match error.status:
        case 429:
            wait = error.retry_after
            words = f"{platform} asks to wait {wait:g} s." if wait is not None else f"{platform} asks to wait."
            return SendLater("flood_wait", words, retry_after=wait, counts=False)
        case 401:  # not the message's fault: it goes out when the key is replaced
            words = f"{platform} does not accept {setting}: {error.words}."
            return SendLater("unauthorized", words, retry_after=_UNAUTHORIZED_WAIT, counts=False, whole_channel=True)
        case 407:  # by plain HTTP a proxy answers in the platform's place
            return SendLater("network", "The proxy wants another login.", counts=False, whole_channel=True)
        case status if status in _GATEWAY:  # the server behind the gateway may have taken the message
            return SendUnclear("gateway", f"{platform}'s gateway failed (status {status}); the message may have arrived.")
        case status if status in _NOT_NOW:
            return SendLater("not_now", f"{platform} did not take it now: {error.words}.")
        case status if status >= 500:
            return SendLater("server_error", f"{platform} failed (status {status}).", retry_after=error.retry_after)
        case 413:
            return SendRefused("too_large", f"{platform} refused it: the file is too large.")
        case status:
            return SendRefused(error.code or ("forbidden" if status == 403 else "refused"), f"{platform} refused it: {error.words}.")


@contextmanager
def connecting(
    platform: str = "", *, setting: str = "its key", failure: Callable[[PlatformError], ChannelFailed] | None = None
) -> Generator[None]:
    """What fails in it is an error of the connection. `failure`: what it means; None: as `channel_failure` has it."""
    try:
        yield
    except PlatformError as error:
        raise (failure(error) if failure is not None else channel_failure(error, platform, setting=setting)) from error


def channel_failure(error: PlatformError, platform: str, *, setting: str = "its key") -> ChannelFailed:
    """The error of a connection."""
    match error:
        case Answered(status=401 | 403):
            return ChannelFailed(f"{platform} does not accept {setting}: {error.words}.", fatal=True)
        case Answered():
            return ChannelFailed(f"{platform} answered: {error.words}.")
        case _:
            return ChannelFailed(f"{platform} can't be reached ({error}).")
