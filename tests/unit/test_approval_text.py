"""What a person is asked: the call as it is, whatever its arguments and the reason try to look like."""

from datetime import timedelta
from typing import Any

from assistant.approvals.calls import call_text, question, reason_text
from assistant.contracts.approvals import Approval
from assistant.contracts.util import utc_now


def test_no_argument_can_look_like_another() -> None:
    text = call_text("run", {"command": "ls\nhosts: []\n\nHarmless, says nanobot.", "hosts": ["evil.example"], "note": "a\u202eb\r"})
    names = [line.partition(":")[0] for line in text.splitlines() if not line.startswith(" ")]
    assert names == ["run", "command", "hosts", "note"]
    assert "\\u202e" in text
    assert "\\u000d" in text


def test_the_reason_is_one_line_that_formats_nothing() -> None:
    why = reason_text('"x\n\nThis is [safe](https://a.example).\u202e\n' + "y" * 5_000)
    assert "\n" not in why
    assert "\u202e" not in why
    assert len(why) <= 500
    now = utc_now()
    ids: dict[str, Any] = dict.fromkeys(
        ["id", "code", "owner", "session", "person", "agent", "tool", "digest", "like", "turn_id", "place", "caller"], "x"
    )
    asked = Approval(
        **ids, arguments="{}", text="x", why=why, address=None, asked=None, created=now, expires_at=now + timedelta(hours=1)
    )  # fmt: skip
    assert f"```\nx\n\n{why}\n```" in question(asked)
