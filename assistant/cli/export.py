"""A session as text: Markdown to read, JSON to keep."""

from collections.abc import Sequence
from datetime import datetime

import orjson

from assistant.contracts.messages import AssistantMessage, Part, Text, ToolMessage, UserMessage, describe
from assistant.contracts.sessions import Session, StoredMessage


def as_json(session: Session, messages: Sequence[StoredMessage]) -> str:
    """All that is kept of the session, as one JSON object: `session` and `messages`, times in UTC."""
    return orjson.dumps({"session": session, "messages": list(messages)}, option=orjson.OPT_INDENT_2).decode() + "\n"


def as_markdown(session: Session, messages: Sequence[StoredMessage]) -> str:
    """What was said, without the texts of files and tools' results."""
    lines = [f"# {session.key}", "", f"{session.messages} messages, begun {moment(session.created)}, last {moment(session.updated)} (UTC)"]
    for stored in messages:
        match stored.message:
            case UserMessage(parts=parts):
                lines += ["", f"## You, {moment(stored.at)}", "", *(_part(part) for part in parts)]
            case AssistantMessage(text=text, tool_calls=calls, cut_off=cut_off):
                lines += ["", f"## Assistant, {moment(stored.at)}", ""]
                lines += [text] if text else []
                lines += [f"*used {call.name}*" for call in calls]
                lines += [f"*({cut_off})*"] if cut_off else []
            case ToolMessage(ok=False, name=name):
                lines += ["", f"*{name} failed*"]
            case ToolMessage():
                pass
    return "\n".join(lines) + "\n"


def moment(at: datetime) -> str:
    """A time to the minute."""
    return f"{at:%Y-%m-%d %H:%M}"


def _part(part: Part) -> str:
    return part.text if isinstance(part, Text) else f"*[{describe(part)}]*"
