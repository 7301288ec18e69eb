"""What is sent by Signal: styles as ranges, and what signal-cli's errors and results mean."""

from collections.abc import Mapping
from typing import Any

import pytest

from assistant.contracts.channels import SendFailed, SendLater, SendRefused, SendUnclear
from assistant.testing.platform import event_to, send
from channels.text.signal import ranges, signal_parts
from tests.contract.plugins.test_signal import GROUP, SignalPlatform
from tests.doubles.signal_server import NOW, RECEIVER, error


@pytest.mark.parametrize(
    ("markdown", "text", "styles"),
    [
        ("**b** *i* ~~s~~ `c` ||x||", "b i s c x", ["0:1:BOLD", "2:1:ITALIC", "4:1:STRIKETHROUGH", "6:1:MONOSPACE", "8:1:SPOILER"]),
        ("👋 **b**", "👋 b", ["3:1:BOLD"]),
        ("**a *b* c**", "a b c", ["0:5:BOLD", "2:1:ITALIC"]),
        ("# T\n\nx", "T\nx", ["0:1:BOLD"]),
        ("```py\na\nb\n```", "a\nb", ["0:3:MONOSPACE"]),
        ("[here](https://e.org)", "here (https://e.org)", []),
        ("\x01a\x02", "a", []),
    ],
)
def test_markdown_becomes_text_and_ranges(markdown: str, text: str, styles: list[str]) -> None:
    [part] = signal_parts(markdown, 4000)
    assert ranges(part.text) == (text, styles)


def results(*kinds: str, **more: Any) -> Mapping[str, Any]:
    return {"timestamp": NOW, "results": [RECEIVER | {"type": kind, **more} for kind in kinds]}


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        ({"result": results("UNREGISTERED_FAILURE")}, SendRefused, "not_registered"),
        ({"result": results("IDENTITY_FAILURE")}, SendRefused, "identity"),
        ({"result": results("INVALID_PRE_KEY_FAILURE")}, SendRefused, "keys"),
        ({"result": results("NETWORK_FAILURE")}, SendUnclear, "no_answer"),
        ({"result": results("RATE_LIMIT_FAILURE")}, SendLater, "flood_wait"),
        (error(-5, "rate limited"), SendLater, "flood_wait"),
        (error(-4, "untrusted", {"response": results("IDENTITY_FAILURE")}), SendRefused, "identity"),
        (error(-1, "Group not found: x"), SendRefused, "chat_gone"),
        (error(-1, "User is not a group member: x"), SendRefused, "chat_gone"),
        (error(-1, "The user x is not registered."), SendRefused, "not_registered"),
        (error(-32601, "Method not implemented"), SendRefused, "refused"),
        ({"result": results("RATE_LIMIT_FAILURE", retryAfterSeconds="soon", token=7)}, SendLater, "flood_wait"),
        ({"result": results("RATE_LIMIT_FAILURE", retryAfterSeconds=-5)}, SendLater, "flood_wait"),
        ({"result": results("RATE_LIMIT_FAILURE", retryAfterSeconds=1e300)}, SendLater, "flood_wait"),
        ({"error": {"code": None, "message": None}}, SendRefused, "refused"),
        ({"error": {"code": "-5", "message": ["x"], "data": "x"}}, SendRefused, "refused"),
        ({"error": "no"}, SendRefused, "refused"),
        ({"error": {"code": -1, "message": "no " * 10_000}}, SendRefused, "refused"),
        ({"result": results("RATE_LIMIT_FAILURE", token="t" * 10_000)}, SendLater, "flood_wait"),
        ({"error": {"code": -1, "message": "no", "data": {"response": {"results": {"type": 7}}}}}, SendRefused, "refused"),
        ({"result": {"results": [7, None, {"type": ["x"]}]}}, SendRefused, "identity"),
    ],
)
async def test_errors(
    platform: SignalPlatform, monkeypatch: pytest.MonkeyPatch, answer: Mapping[str, Any], kind: type[SendFailed], code: str
) -> None:
    async def sends(*_: object) -> Mapping[str, Any]:
        return answer

    monkeypatch.setattr(platform.server, "_send", sends)
    with pytest.raises(kind) as failed:
        await send(platform)
    assert failed.value.trouble.code == code
    assert len(failed.value.trouble.words) < 2500
    if isinstance(failed.value, SendLater):
        assert 0 < (failed.value.retry_after or 0) <= 30 * 86_400


async def test_a_proof_that_signal_wants_is_told(platform: SignalPlatform) -> None:
    platform.fail("limit")
    with pytest.raises(SendLater, match="submitRateLimitChallenge --challenge t"):
        await send(platform)


async def test_a_group_is_reached_where_one_of_it_is(platform: SignalPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sends(*_: object) -> Mapping[str, Any]:
        return {"result": results("UNREGISTERED_FAILURE", "SUCCESS")}

    monkeypatch.setattr(platform.server, "_send", sends)
    assert platform.group is not None
    [receipt] = await send(platform, event=event_to(platform.group, "w1"))
    assert receipt.message_id == f"{NOW}:me"
    assert platform.server.calls[-1][1]["groupId"] == GROUP


async def test_a_file_that_is_refused_is_not_sent_a_second_time_as_it_was(
    platform: SignalPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """signal-cli shows a file as what it is by itself: there is no other form of it."""
    sent: list[Mapping[str, Any]] = []

    async def sends(params: Mapping[str, Any], how: object) -> Mapping[str, Any]:
        sent.append(params)
        return error(-1, "no") if "attachment" in params else {"result": results("SUCCESS")}

    monkeypatch.setattr(platform.server, "_send", sends)
    media = platform.files.put("a.png", b"png", "image/png")
    [receipt] = await send(platform, event=event_to(platform.address, "w1", media=(media,)))
    assert [("attachment" in params, params["message"]) for params in sent] == [(True, "w1"), (False, "w1")]
    assert "a.png left out" in receipt.notice
