"""Microsoft Teams keeps the contract of a channel, against a stand-in for the Bot Connector; and who may call it."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from assistant.contracts.addresses import Address
from assistant.contracts.channels import PlatformCall, SendRefused
from assistant.testing.channel_suite import ChannelSuite, Said, event_to, running, send
from assistant.testing.platform import PICTURE
from channels.msteams.adapter import TeamsChannel
from channels.msteams.kind import KIND
from channels.msteams.settings import TeamsSettings
from tests.doubles.msteams_server import APP, SECRET, TeamsServer
from tests.doubles.mutated import survive
from tests.doubles.served import CalledPlatform

CHAT, GROUP, THREAD = "a:1pL-private_chat", "19:abcdef0123456789@thread.tacv2", "1699999999999"
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ANNA = "aaaaaaaa-0000-4000-8000-000000000001"


class TeamsPlatform(CalledPlatform[TeamsServer, TeamsChannel]):
    kind = KIND
    address = Address(channel="msteams", chat_id=CHAT)
    group = Address(channel="msteams", chat_id=GROUP)
    thread_id = THREAD
    bad_addresses = (Address(channel="msteams", chat_id="general"), Address(channel="msteams", chat_id=GROUP, thread_id="x"))
    receives = True
    abilities = frozenset(
        {"groups", "threads", "replies", "edits", "files", "buttons", "files_in", "quotes_in", "edits_in", "bots", "signed", "previews"}
    )
    failures = frozenset(
        {
            "refuse",
            "limit",
            "lose",
            "hold",
            "server_error",
            "garbage",
            "unauthorized",
            "blocked",
            "form",
            "files",
            "reply_gone",
            "edit_gone",
        }
    )
    samples = (("a.png", "image/png", PICTURE), ("ü b.jpg", "image/jpeg", PICTURE))
    most_text = 10_000
    most_file = 1_000_000
    again = 500

    def __init__(self, server: TeamsServer, folder: Path, **more: object) -> None:
        about = {"enabled": True, "appId": APP, "appPassword": SECRET, "loginUrl": server.url, "openidUrl": f"{server.url}/openid"}
        super().__init__(server, folder, TeamsSettings.model_validate({**about, "preview": "edit", **more}))
        self._made = 0

    def open(self) -> TeamsChannel:
        return TeamsChannel(self.settings, self.context)

    async def known(self) -> None:
        """Teams has told where the conversations are."""
        for chat in (CHAT, GROUP):
            await self.notes.keep(f"service:{chat}", self.server.service)

    def activity(self, said: Said) -> dict[str, Any]:
        self._made += 1
        id = said.edits or said.id or str(1_650_000_000_000 + self._made)
        activity: dict[str, Any] = {
            "type": "messageUpdate" if said.edits else "message",
            "id": id,
            "timestamp": f"2026-11-29T10:00:{self._made % 60:02}.123Z",
            "channelId": "msteams",
            "serviceUrl": self.server.service,
            "from": {"id": "29:1anna", "name": "Anna", "aadObjectId": ANNA},
            "recipient": {"id": f"28:{APP}", "name": "Nano"},
            "conversation": {"id": CHAT, "conversationType": "personal"},
            "text": said.text,
            "textFormat": "plain",
            "attachments": [],
        }
        if said.edits:
            activity["channelData"] = {"eventType": "editMessage"}
        if said.group:
            thread = f";messageid={said.thread_id}" if said.thread_id else ""
            activity["conversation"] = {"id": GROUP + thread, "conversationType": "channel", "isGroup": True}
        if said.mention or said.answers_us:  # an answer in Teams mentions the bot, or is not sent to it
            activity["text"] = f"<at>Nano</at> {said.text}"
            activity["entities"] = [{"type": "mention", "mentioned": {"id": f"28:{APP}", "name": "Nano"}, "text": "<at>Nano</at>"}]
        if said.by != "person":
            activity["from"] = {"id": f"28:{APP}" if said.by == "assistant" else "28:other", "name": "A bot", "role": "bot"}
        for name, content in said.files:
            self.server.files["1"] = content
            shared = {"downloadUrl": f"{self.server.url}/file/1", "uniqueId": "1", "fileType": "pdf"}
            activity["attachments"].append(
                {"contentType": "application/vnd.microsoft.teams.file.download.info", "name": name, "content": shared}
            )
        if said.quotes:
            html = f'<blockquote itemscope itemtype="http://schema.skype.com/Reply" itemid="1"><p>{said.quotes}</p></blockquote><p>{said.text}</p>'
            activity["attachments"].append({"contentType": "text/html", "content": html})
        return activity

    def write(self, said: Said) -> str:
        activity = self.activity(said)
        self.caller.put(self.call_of(orjson.dumps(activity)))
        return str(activity["id"])

    def press(self, label: str) -> None:
        activity = self.activity(Said(text="")) | {"value": self.server.values[label], "text": None}
        self.caller.put(self.call_of(orjson.dumps(activity)))

    def garble(self) -> None:
        base = self.activity(Said(text="x"))
        for broken in (
            b"{",
            b"[]",
            b"7",
            orjson.dumps(base | {"conversation": None}),
            orjson.dumps(base | {"from": 7, "entities": "x", "attachments": {"a": 1}}),
            orjson.dumps(base | {"type": "conversationUpdate", "membersAdded": [{}]}),
            orjson.dumps(base | {"text": {"a": []}, "id": 5}),
            orjson.dumps(base | {"timestamp": "yesterday", "text": ""}),
        ):
            self.caller.put(self.call_of(broken))

    async def forge(self, said: Said, *, stale: bool = False) -> int:
        body = orjson.dumps(self.activity(said))
        if stale:
            return await self.call(body, self.server.token(age=2 * 3600))
        return await self.call(body, self.server.token(key=OTHER_KEY))

    def call_of(self, body: bytes, token: str | None = None) -> PlatformCall:
        headers = {"authorization": f"Bearer {self.server.token() if token is None else token}"}
        return PlatformCall(method="POST", query={}, headers=headers, body=body, url="https://x/channels/msteams")

    async def call(self, body: bytes, token: str | None = None) -> int:
        return (await self.adapter.called(self.call_of(body, token))).status


@pytest.fixture
async def server() -> AsyncGenerator[TeamsServer]:
    async with TeamsServer() as server:
        yield server


@pytest.fixture
async def platform(server: TeamsServer, tmp_path: Path) -> AsyncGenerator[TeamsPlatform]:
    async with TeamsPlatform(server, tmp_path) as platform:
        await platform.known()
        yield platform


class TestTeams(ChannelSuite):
    @pytest.fixture
    def platform(self, platform: TeamsPlatform) -> TeamsPlatform:
        return platform


@pytest.mark.parametrize(
    "token",
    [
        {"audience": "another"},
        {"service": "https://evil.example/"},
        {"age": 7200},
        {"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)},
    ],
    ids=["another bot", "another service", "over", "another key"],
)
async def test_a_token_that_is_not_of_teams_for_this_bot_is_refused(platform: TeamsPlatform, token: Mapping[str, Any]) -> None:
    body = orjson.dumps(platform.activity(Said(text="w1")))
    async with running(platform.channel) as link:
        assert await platform.call(body, platform.server.token(**token)) == 401
        assert await platform.call(body, "") == 401
        assert await platform.call(body, "no.token.atall") == 401
        assert await platform.call(body) == 200
        assert link.offered.qsize() == 1


@pytest.mark.parametrize("channel", ["webchat", "directline", "emulator", None])
async def test_a_call_of_another_channel_of_the_bot_is_refused(platform: TeamsPlatform, channel: str | None) -> None:
    """Azure's bots have a web chat, too, whose visitors choose their own ids: one would write as Anna."""
    activity = platform.activity(Said(text="w1")) | {"channelId": channel}
    async with running(platform.channel) as link:
        assert await platform.call(orjson.dumps(activity)) == 401
        assert link.offered.empty()


@pytest.mark.parametrize(
    "url", ["https://evil.example/file", "http://127.0.0.1:1/", "http://127.0.0.1.evil.example/", "https://x.sharepoint.com.evil.example/"]
)
async def test_a_shared_file_is_fetched_from_microsofts_hosts_only(platform: TeamsPlatform, url: str) -> None:
    activity = platform.activity(Said(text="w1", files=(("a.pdf", b"x"),)))
    far = activity | {"id": "1", "attachments": [{**activity["attachments"][0], "content": {"downloadUrl": url}}]}
    near = activity | {"id": "2", "attachments": [{**activity["attachments"][0], "content": {"downloadUrl": "https://t.sharepoint.com/x"}}]}
    async with running(platform.channel) as link:
        assert [await platform.call(orjson.dumps(each)) for each in (far, near)] == [200, 200]
        assert [len((await link.next()).files) for _ in range(2)] == [0, 1]


@pytest.mark.parametrize("stamp", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday", 7, None])
async def test_a_time_that_can_not_be_keeps_no_message_out(platform: TeamsPlatform, stamp: object) -> None:
    activity = platform.activity(Said(text="w1")) | {"timestamp": stamp}
    async with running(platform.channel) as link:
        assert await platform.call(orjson.dumps(activity)) == 200
        assert (await link.next()).text == "w1"


async def test_a_token_of_ours_that_ends_is_renewed(platform: TeamsPlatform) -> None:
    await send(platform, "w1", key="a")
    platform.server.tokens += 1  # the one that we hold is not accepted any more
    await send(platform, "w2", key="b")
    assert platform.texts() == ["w1", "w2"]


async def test_a_conversation_that_has_not_written_is_refused_with_what_to_do(platform: TeamsPlatform) -> None:
    with pytest.raises(SendRefused, match="someone has to write to the bot there first"):
        await send(platform, event=event_to(Address(channel="msteams", chat_id="a:1another-chat"), "w1"))


async def test_a_conversation_is_known_from_its_first_activity_also_after_a_restart(platform: TeamsPlatform) -> None:
    await platform.notes.drop(f"service:{CHAT}")
    async with running(platform.channel) as link:
        platform.write(Said(text="w1"))
        await link.next()
    await platform.reopen()
    await send(platform, "w2")
    assert platform.texts() == ["w2"]


async def test_typing_is_shown(platform: TeamsPlatform) -> None:
    await platform.adapter.conversation.typing(platform.address)
    assert platform.server.typings == 1


async def test_without_threads_of_their_own_answers_begin_new_ones(server: TeamsServer, tmp_path: Path) -> None:
    async with TeamsPlatform(server, tmp_path, replyToMessage=False) as platform, running(platform.channel) as link:
        platform.write(Said(text="w1", group=True, mention=True, thread_id=THREAD))
        message = await link.next()
        assert message.address == platform.group
        await send(platform, event=replace(event_to(message.address, "w2"), reply_to=message.message_id))
        assert [(each.chat_id, each.thread_id, each.reply_to) for each in platform.seen()] == [(GROUP, None, None)]


async def test_a_preview_that_is_gone_is_shown_no_more(platform: TeamsPlatform) -> None:
    posted, shown = None, list[str]()
    preview = platform.adapter.conversation.preview(platform.address, reply_to=None, posted="1600000000000", note=shown.append)
    assert preview is not None
    preview.update("w1")
    await platform.server.until(lambda: ("PUT", f"/emea/v3/conversations/{CHAT}/activities/1600000000000") in platform.server.requests)
    posted = await preview.close()
    assert (posted, shown, platform.texts()) == (None, [], [])


@pytest.mark.parametrize("answer", [b"{}", b'{"id": null}', b'{"id": 7}', b"[]", b""], ids=["empty", "null", "number", "list", "no body"])
async def test_an_answer_without_an_id_gives_none(platform: TeamsPlatform, answer: bytes) -> None:
    platform.server.says = answer
    [receipt] = await send(platform)
    assert receipt.message_id is None


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"text": '<at>Nano</at> <at id="1">Bo</at> w1'}, "@Bo w1"),
        ({"text": '<attachment id="1"></attachment> <at>Nano</at> w1'}, '<attachment id="1"></attachment>  w1'),
        ({"text": "<at" * 400_000 + " w1"}, "<at" * 400_000 + " w1"),
        ({"text": "<at>" * 250_000}, "<at>" * 250_000),
    ],
    ids=["mentions", "an attachment", "no end", "no ends"],
)
async def test_words_of_any_length_are_read(platform: TeamsPlatform, more: dict[str, Any], text: str) -> None:
    async with running(platform.channel) as link:
        assert await platform.call(orjson.dumps(platform.activity(Said(text="")) | more)) == 200
        assert (await link.next()).text == text


_REPLY = '<blockquote itemtype="http://schema.skype.com/Reply">'


@pytest.mark.parametrize(
    ("html", "quoted"),
    [
        (f"{_REPLY}<b>a</b><br>b &amp; c</blockquote><p>w1</p>", "a\nb & c"),
        (f"{_REPLY}{'x' * 9000}</blockquote>", "x" * 4000),
        (_REPLY, None),
        ("<blockquote schema.skype.com/Reply" * 30_000, None),
        (f"{_REPLY}{'<' * 1_000_000}</blockquote>", None),
        (f"{_REPLY}{'<' * 9000}</blockquote>", "<" * 4000),
        (f"{_REPLY}<br{' ' * 20_000}</blockquote>", "<br"),
    ],
    ids=["marks", "long", "no end", "no ends", "past what is read", "no tags", "no break"],
)
async def test_quotes_of_any_length_are_read(platform: TeamsPlatform, html: str, quoted: str | None) -> None:
    attachments = [7, {"contentType": "text/html", "content": 7}, {"contentType": "text/html", "content": html}]
    async with running(platform.channel) as link:
        assert await platform.call(orjson.dumps(platform.activity(Said(text="w1")) | {"attachments": attachments})) == 200
        quote = (await link.next()).quote
    assert (quote.text if quote else None) == quoted


async def test_of_many_files_some_are_taken(platform: TeamsPlatform) -> None:
    picture = {"contentType": "image/*", "contentUrl": f"{platform.server.service}v3/attachments/1/views/original"}
    async with running(platform.channel) as link:
        await platform.call(orjson.dumps(platform.activity(Said(text="w1")) | {"attachments": [picture] * 5000}))
        files = (await link.next()).files
    assert [(file.kind, file.media_type) for file in files] == [("image", "image/png")] * 20


async def test_a_preview_that_can_not_be_deleted_keeps_no_file_back(platform: TeamsPlatform) -> None:
    media = platform.files.put("a.png", PICTURE, "image/png")
    await send(platform, event=event_to(platform.address, "", media=(media,), replaces="1600000000000"))
    assert [each.files for each in platform.seen()] == [("a.png",)]
    assert ("DELETE", f"/emea/v3/conversations/{CHAT}/activities/1600000000000") in platform.server.requests


async def test_activities_of_every_shape_are_answered(platform: TeamsPlatform) -> None:
    said = Said(text="w1", group=True, mention=True, thread_id=THREAD, quotes="w2", files=(("a.pdf", b"x"),))
    press = platform.activity(Said(text="")) | {"value": {"nanobot": "say:b1"}}
    bases = [platform.activity(said), press, platform.activity(Said(text="w3", edits="1650000000000"))]
    token = platform.server.token()
    await survive(platform, lambda body: platform.call_of(body, token), bases, refused=(401,))
