"""DingTalk: who may call, every kind of message, the session's address and the robot's API, errors by code."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, PlatformCall, SendFailed, SendLater, SendRefused
from assistant.contracts.outbox import Button
from assistant.testing.platform import PICTURE, FolderFiles, RecordingLink, Said, event_to, running, send
from channels.dingtalk.kind import open_channel
from channels.dingtalk.settings import DingTalkSettings
from channels.dingtalk.wire import dingtalk_parts
from tests.contract.plugins.test_dingtalk import ADA, BO, GROUP, DingTalkPlatform
from tests.doubles.dingtalk_server import CLIENT, SECRET, DingTalkServer, call_of, error
from tests.doubles.mutated import survive
from tests.doubles.proxy import ProxyServer

RICH = [{"text": "a "}, {"downloadCode": "c", "type": "picture"}, {"text": "b"}, 7]
STRANGE = "$:LWCP_v1:$abc=="


async def take(platform: DingTalkPlatform, link: RecordingLink, said: Said | None = None, **more: Any) -> Any:
    body = platform.body(said or Said(text="hello"), f"m{link.offered.qsize()}")
    assert (await platform.adapter.called(call_of({**body, **more}))).status == 200
    return await link.next()


SAID = {"msgId": "m1", "msgtype": "text", "text": {"content": "w1"}, "conversationType": "1", "senderStaffId": ADA}
FORGED: dict[str, Callable[[], PlatformCall]] = {
    "another secret": lambda: call_of(SAID, secret="another"),
    "an hour ago": lambda: call_of(SAID, ago=3700),
    "in an hour": lambda: call_of(SAID, ago=-3700),
    "in seconds": lambda: call_of(SAID, ago=time.time() * 0.999),
    "unsigned": lambda: replace(call_of(SAID), headers={}),
    "other digits": lambda: replace(call_of(SAID), headers={"timestamp": "٣", "sign": "x"}),
    "many digits": lambda: replace(call_of(SAID), headers={"timestamp": "9" * 5000, "sign": "x"}),
    "no post": lambda: replace(call_of(SAID), method="GET"),
}
"""Made when they are called: their times count from then."""


async def test_a_call_that_is_like_the_forged_ones_but_right_is_taken(platform: DingTalkPlatform, link: RecordingLink) -> None:
    assert (await platform.adapter.called(call_of(SAID, ago=3500))).status == 200
    assert (await link.next()).text == "w1"


@pytest.mark.parametrize("call", FORGED.values(), ids=list(FORGED))
async def test_forged_calls_are_refused(platform: DingTalkPlatform, link: RecordingLink, call: Callable[[], PlatformCall]) -> None:
    assert (await platform.adapter.called(call())).status == 401
    assert link.offered.empty()


async def test_events_of_every_shape_are_answered(platform: DingTalkPlatform) -> None:
    said = platform.body(Said(text="w1", group=True, mention=True, quotes="w2"), "m1")
    rich = {**platform.body(Said(text="w1"), "m2"), "msgtype": "richText", "content": {"richText": RICH}}
    await survive(platform, call_of, [said, rich, platform.body(Said(text="", files=(("a.pdf", b"x"),)), "m3")])


async def fetched(platform: DingTalkPlatform, link: RecordingLink, into: Path) -> bytes:
    message = await take(platform, link, Said(text="", files=(("a.pdf", b"words"),)))
    await platform.adapter.conversation.fetch(message.files[0], into, 100)
    return await asyncio.to_thread(into.read_bytes)


async def test_a_file_comes_from_dingtalks_hosts(server: DingTalkServer, tmp_path: Path) -> None:
    """They are others than the API's."""
    async with DingTalkServer() as files, DingTalkPlatform(server, tmp_path, oapiBase=files.url) as platform:
        server.files_at, files.contents = files.url, server.contents
        async with running(platform.channel) as link:
            assert await fetched(platform, link, tmp_path / "a") == b"words"
        assert [path for _, path in files.requests] == ["/down/code0"]


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:1",
        "https://evil.example",
        "https://dingtalk.com.evil.example",
        "https://evil.oss-cn-zhangjiakou.aliyuncs.com",
        "http://wukong-file-im-zjk.oss-cn-zhangjiakou.aliyuncs.com:8080",
        "file:///etc",
    ],
    ids=["loopback", "elsewhere", "a name in a name", "another's bucket", "another port", "a file"],
)
async def test_a_file_elsewhere_is_not_fetched(platform: DingTalkPlatform, link: RecordingLink, tmp_path: Path, place: str) -> None:
    platform.server.files_at = place
    with pytest.raises(SendRefused) as refused:
        await fetched(platform, link, tmp_path / "a")
    assert refused.value.trouble.code == "not_fetched"


@pytest.mark.parametrize("host", ["wukong-file-im-zjk.oss-cn-zhangjiakou.aliyuncs.com", "down.dingtalk.com"])
async def test_a_file_is_fetched_by_https(server: DingTalkServer, tmp_path: Path, host: str) -> None:
    async with (
        ProxyServer(to=urlsplit(server.url).port or 0) as proxy,
        DingTalkPlatform(server, tmp_path, proxy=proxy.http) as platform,
        running(platform.channel) as link,
    ):
        server.files_at = f"http://{host}"
        with pytest.raises(SendLater):  # no TLS there
            await fetched(platform, link, tmp_path / "a")
        assert proxy.asked[-1] == f"CONNECT {host}:443"


async def test_an_answer_goes_to_the_session_as_long_as_it_is_taken(platform: DingTalkPlatform, link: RecordingLink) -> None:
    await take(platform, link)
    [receipt] = await send(platform)
    assert receipt.message_id is None
    platform.server.sessions.clear()
    assert await platform.notes.get(f"session:{ADA}") is not None
    [receipt] = await send(platform, "w2")
    assert await platform.notes.get(f"session:{ADA}") is None
    assert receipt.message_id is not None
    assert platform.server.ways == ["session", "person"]


async def test_a_session_outlives_a_restart_and_ends(platform: DingTalkPlatform, link: RecordingLink) -> None:
    await take(platform, link, Said(text="w0", group=True, mention=True))
    await platform.reopen()
    assert platform.group is not None
    await send(platform, event=event_to(platform.group, "w1"))
    noted = await platform.notes.get(f"session:{GROUP}")
    assert noted is not None
    await platform.notes.keep(f"session:{GROUP}", f"1000 {noted.partition(' ')[2]}")
    await send(platform, event=event_to(platform.group, "w2"))
    assert platform.server.ways == ["session", "group"]
    assert await platform.notes.get(f"session:{GROUP}") is None


@pytest.mark.parametrize("url", ["https://evil.example/robot/sendBySession?session=1", "http://127.0.0.1/robot/x", "", ["x"]])
async def test_a_session_elsewhere_is_not_used(platform: DingTalkPlatform, link: RecordingLink, url: object) -> None:
    """A call's signature is not about what it says."""
    await take(platform, link, sessionWebhook=url)
    await send(platform)
    assert platform.server.ways == ["person"]


async def test_without_session_replies_all_goes_by_the_robot(server: DingTalkServer, tmp_path: Path) -> None:
    platform = DingTalkPlatform(server, tmp_path, sessionReplies=False)
    async with running(platform.channel) as link:
        await take(platform, link)
        await send(platform)
    assert server.ways == ["person"]
    await platform.channel.close()


async def test_someone_without_a_user_id_is_answered_by_the_session_alone(platform: DingTalkPlatform, link: RecordingLink) -> None:
    found = await take(platform, link, senderStaffId="", senderId=STRANGE, sessionWebhook="")
    assert found.address == Address(channel="dingtalk", chat_id=STRANGE)
    with pytest.raises(SendRefused) as refused:
        await send(platform, event=event_to(found.address, "w1"))
    assert refused.value.trouble.code == "never_started"


@pytest.mark.parametrize(
    ("more", "text", "files"),
    [
        ({"msgtype": "richText", "content": {"richText": RICH}}, "a b", ["image"]),
        ({"msgtype": "picture", "content": {"downloadCode": "c", "pictureDownloadCode": "d"}}, "", ["image"]),
        ({"msgtype": "audio", "content": {"downloadCode": "c", "duration": 4000, "recognition": "hi"}}, "hi", []),
        ({"msgtype": "audio", "content": {"downloadCode": "c"}}, "", ["voice"]),
        ({"msgtype": "video", "content": {"downloadCode": "c", "videoType": "mp4"}}, "", ["video"]),
    ],
)  # fmt: skip
async def test_kinds_of_messages(
    platform: DingTalkPlatform, link: RecordingLink, more: dict[str, Any], text: str, files: list[str]
) -> None:
    found = await take(platform, link, **more)
    assert (found.text, [file.kind for file in found.files]) == (text, files)


@pytest.mark.parametrize(
    "more",
    [
        {"msgId": ""},
        {"msgId": "x" * 1000},
        {"senderStaffId": "../x"},
        {"conversationType": "2", "conversationId": "../x"},
        {"conversationType": "2"},
        {"msgtype": "picture", "content": {"downloadCode": "x" * 5000}},
        {"msgtype": "unknownMsgType"},
        {"text": {"content": " "}},
        {"sessionWebhookExpiredTime": "soon", "text": None},
    ],
)
async def test_what_is_no_message_is_acknowledged(platform: DingTalkPlatform, link: RecordingLink, more: dict[str, Any]) -> None:
    assert (await platform.adapter.called(call_of({**platform.body(Said(text="x"), "m"), **more}))).status == 200
    assert (await take(platform, link, Said(text="last"))).text == "last"
    assert link.kept.empty()


@pytest.mark.parametrize(
    ("status", "answer", "kind", "code"),
    [
        (400, "invalidParameter.robotCode.notExsit", SendRefused, "not_a_member"),
        (403, "Forbidden.AccessDenied.AccessTokenPermissionDenied", SendRefused, "forbidden"),
        (403, "Forbidden.AccessDenied.QpsLimitForApi", SendLater, "flood_wait"),
        (400, "invalidParameter.msgParam.invalid", SendRefused, "refused"),
        (503, "ServiceUnavailable", SendLater, "server_error"),
    ],
)
async def test_errors(
    platform: DingTalkPlatform, monkeypatch: pytest.MonkeyPatch, status: int, answer: str, kind: type[SendFailed], code: str
) -> None:
    monkeypatch.setattr(platform.server, "refusals", lambda: {"refuse": lambda: error(status, answer)})
    platform.fail("refuse")
    with pytest.raises(kind) as failed:
        await send(platform)
    assert failed.value.trouble.code == code


@pytest.mark.parametrize(("answer", "kind"), [(130101, SendLater), (-1, SendLater), (400105, SendRefused)])
async def test_errors_of_a_session(platform: DingTalkPlatform, link: RecordingLink, answer: int, kind: type[SendFailed]) -> None:
    await take(platform, link)
    platform.server.session_code = answer
    with pytest.raises(kind):
        await send(platform)
    assert platform.texts() == []


async def test_people_who_can_not_be_reached(platform: DingTalkPlatform) -> None:
    platform.server.unknown.add(ADA)
    with pytest.raises(SendRefused):
        await send(platform)
    platform.server.flow_controlled.add(BO)
    with pytest.raises(SendLater):
        await send(platform, event=event_to(Address(channel="dingtalk", chat_id=BO), "w1"))


async def test_a_token_that_ends_is_renewed(platform: DingTalkPlatform) -> None:
    await send(platform, "w1")
    platform.server.tokens += 1
    await send(platform, "w2")
    assert platform.texts() == ["w1", "w2"]
    platform.server.tokens += 1
    event = event_to(platform.address, "", media=(platform.files.put("a.png", PICTURE, "image/png"),))
    with pytest.raises(SendLater):
        await send(platform, event=event)
    await send(platform, event=event)
    assert platform.seen()[-1].files == ("a.png",)


async def test_buttons_and_other_files_are_said_in_words(platform: DingTalkPlatform) -> None:
    media = platform.files.put("a.mp3", b"ID3", "audio/mpeg")
    rows = ((Button(text="b1"), Button(text="b2", command="/done")),)
    [receipt] = await send(platform, event=event_to(platform.address, "w1", media=(media,), buttons=rows))
    assert "a.mp3" in receipt.notice
    assert "/done" in platform.texts()[0]


@pytest.mark.parametrize("more", [{}, {"clientId": CLIENT}, {"clientSecret": SECRET}])
def test_it_does_not_open_without_its_keys(more: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ChannelFailed):
        open_channel(DingTalkSettings.model_validate(more), ChannelContext(files=FolderFiles(tmp_path), version="1"))


def test_links_stand_as_dingtalk_reads_them() -> None:
    assert [part.text for part in dingtalk_parts("[x](https://e.org/a_(b)) a*b", 3500)] == ["[x](https://e.org/a_%28b%29) a\\*b"]
