"""Messages that were written while the assistant was not connected, in the chats that it knows."""

import logging
import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from channels.kit.http import Answered, PlatformError
from channels.kit.values import objects_at, text_at
from channels.slack.api import KEY_CODES, SlackApi, connection_failure

log = logging.getLogger(__name__)
_MOST_CHATS: Final = 40
"""Those that wrote last; Slack allows some 50 calls a minute. https://docs.slack.dev/reference/methods/conversations.history"""
_MOST_PAGES: Final = 5
_PAGE: Final = 100
_TS: Final = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}")


def position(external_id: str) -> float:
    """The latest time in an external id ("C1:1712.0001", with the time of an edit or a press); 0: there is none."""
    return max([_number(part) for part in external_id.split(":")], default=0.0)


async def missed_events(api: SlackApi, seen: Mapping[str, str]) -> AsyncGenerator[dict[str, Any]]:
    """Events of messages since `seen` (chat → external id of the last one), in order within each chat, also those in threads that began in the
    pages that are read. Raises ChannelFailed."""
    after = {chat: position(id) for chat, id in seen.items()}
    for chat in sorted([chat for chat, last in after.items() if last], key=lambda chat: -after[chat])[:_MOST_CHATS]:
        try:
            found = await _since(api, chat, after[chat])
        except Answered as error:
            if error.code in KEY_CODES:
                raise connection_failure(error, "channels.slack.botToken") from error
            log.warning("slack.not_caught_up chat=%s error=%s", chat, error)
            if error.status == 429 or error.code == "ratelimited":
                return
            continue
        except PlatformError as error:
            raise connection_failure(error, "channels.slack.botToken") from error
        for message in sorted(found, key=lambda message: _number(text_at(message, "ts"))):
            yield {**message, "type": "message", "channel": chat}


async def _since(api: SlackApi, chat: str, last: float) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"channel": chat, "limit": _PAGE}
    for _ in range(_MOST_PAGES):
        answer = await api.call("conversations.history", **page)
        messages = objects_at(answer, "messages")
        for message in messages:
            if _number(text_at(message, "latest_reply")) > last:
                ts = text_at(message, "ts")
                replies = await api.call("conversations.replies", channel=chat, ts=ts, oldest=f"{last:.6f}", limit=1000)
                found += [each for each in objects_at(replies, "messages") if text_at(each, "ts") != ts]
        found += messages
        cursor = text_at(answer, "response_metadata", "next_cursor")
        if not cursor or min([_number(text_at(message, "ts")) for message in messages], default=0.0) <= last:
            break
        page["cursor"] = cursor
    new = {text_at(each, "ts"): each for each in found if _number(text_at(each, "ts")) > last}
    return list(new.values())


def _number(text: str) -> float:
    return float(text) if _TS.fullmatch(text) else 0.0
