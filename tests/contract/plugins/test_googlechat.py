"""Google Chat keeps the contract of a channel, against a stand-in for its API; who may call it, and what it makes of events."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelFailed, SendFailed, SendLater, SendRefused
from assistant.contracts.outbox import Button
from assistant.testing.channel_suite import ChannelSuite, Said, event_to, running, send
from channels.googlechat.adapter import GoogleChatChannel
from channels.googlechat.kind import KIND
from channels.googlechat.settings import GoogleChatSettings
from channels.googlechat.wire import chat_parts
from tests.doubles.googlechat_server import ACCOUNT, CHAT, ENDPOINT, PROJECT, GoogleChatServer, error
from tests.doubles.live_answers import called, first_sent
from tests.doubles.live_server import live_server, offline
from tests.doubles.mutated import survive
from tests.doubles.served import CalledPlatform

DM, OTHER_DM, GROUP, THREAD, ANNA = "DDDDDDDDDDD", "EEEEEEEEEEE", "AAAAAAAAAAA", "TTTTTTTTTTT", "100000000000000000001"
APP = {"name": "users/100000000000000000009", "displayName": "Nano", "type": "BOT"}


class GoogleChatPlatform(CalledPlatform[GoogleChatServer, GoogleChatChannel]):
    kind = KIND
    address = Address(channel="googlechat", chat_id=DM)
    group = Address(channel="googlechat", chat_id=GROUP)
    thread_id = THREAD
    bad_addresses = (Address(channel="googlechat", chat_id="a/b"), Address(channel="googlechat", chat_id=GROUP, thread_id="x y"))
    receives = True
    abilities = frozenset(
        {"groups", "threads", "edits", "buttons", "files_in", "quotes_in", "bots", "signed", "clock", "previews", "strangers"}
    )
    failures = frozenset({"refuse", "limit", "lose", "hold", "server_error", "garbage", "unauthorized", "form", "edit_gone"})
    most_text = 7000
    again = 500

    def __init__(self, server: GoogleChatServer, folder: Path, **settings: Any) -> None:
        about = {"enabled": True, "serviceAccount": server.account_key(), "audience": PROJECT, "server": server.url, "preview": "edit"}
        super().__init__(server, folder, GoogleChatSettings.model_validate({**about, "keysUrl": server.url, **settings}))
        self._made = 0

    def open(self) -> GoogleChatChannel:
        return GoogleChatChannel(self.settings, self.context, pause=0.01)

    def event(self, said: Said) -> dict[str, Any]:
        """https://developers.google.com/workspace/chat/interaction-events#message"""
        self._made += 1
        at = (datetime(2026, 11, 29, 10, tzinfo=UTC) + timedelta(seconds=self._made + said.ahead)).isoformat()
        user = {"name": f"users/{ANNA}", "displayName": "Anna", "type": "HUMAN"}
        space: dict[str, Any] = {"name": f"spaces/{DM}", "type": "DM", "spaceType": "DIRECT_MESSAGE", "singleUserBotDm": True}
        if said.by == "stranger":
            user, space = {**user, "name": "users/100000000000000000002"}, {**space, "name": f"spaces/{OTHER_DM}"}
        if said.by in ("bot", "assistant"):
            user = APP
        if said.group:
            threading = "THREADED_MESSAGES" if said.thread_id else "UNTHREADED_MESSAGES"
            space = {"name": f"spaces/{GROUP}", "type": "ROOM", "spaceType": "SPACE", "spaceThreadingState": threading}
        id = said.id or f"P{self._made}.P{self._made}"
        message: dict[str, Any] = {
            "name": f"{space['name']}/messages/{id}",
            "sender": user,
            "createTime": at,
            "text": said.text,
            "argumentText": said.text,
            "thread": {"name": f"{space['name']}/threads/{said.thread_id or id.partition('.')[0]}"},
            "space": space,
        }
        if said.mention:
            message |= {"text": f"@Nano {said.text}", "argumentText": f" {said.text}"}
            message["annotations"] = [{"type": "USER_MENTION", "startIndex": 0, "length": 5, "userMention": {"user": APP}}]
        if said.quotes:
            snapshot = {"sender": "users/1", "text": said.quotes}
            message["quotedMessageMetadata"] = {"name": f"{space['name']}/messages/Q.Q", "quotedMessageSnapshot": snapshot}
        for name, content in said.files:
            ref = f"spaces/X/attachments/Cl9z+/{len(self.server.files)}=="
            self.server.files[ref] = content
            about = {"contentName": name, "contentType": "application/pdf", "source": "UPLOADED_CONTENT"}
            message.setdefault("attachment", []).append({**about, "attachmentDataRef": {"resourceName": ref}})
        return {"type": "MESSAGE", "eventTime": at, "message": message, "space": space, "user": user}

    def write(self, said: Said) -> str:
        event = self.event(said)
        self.caller.put(self.server.call(orjson.dumps(event)))
        return str(event["message"]["name"]).rpartition("/")[2]

    def press(self, label: str) -> None:
        base = self.event(Said(text="our words", by="assistant"))
        user = {"name": f"users/{ANNA}", "displayName": "Anna", "type": "HUMAN"}
        about = {"invokedFunction": "nanobot", "parameters": {"nanobot": self.server.values[label]}}
        self.caller.put(self.server.call(orjson.dumps({**base, "type": "CARD_CLICKED", "user": user, "common": about})))

    def garble(self) -> None:
        base = self.event(Said(text="x"))
        for broken in (b"{", b"[]", b"7", b"[" * 5000, orjson.dumps({"type": "REMOVED_FROM_SPACE"}), *map(orjson.dumps, hostile(base))):
            self.caller.put(self.server.call(broken))

    async def forge(self, said: Said, *, stale: bool = False) -> int:
        body = orjson.dumps(self.event(said))
        call = self.server.call(body, age=2 * 3600) if stale else self.server.call(body, key="another")
        return (await self.adapter.called(call)).status

    async def call(self, event: dict[str, Any]) -> int:
        return (await self.adapter.called(self.server.call(orjson.dumps(event)))).status


def hostile(base: dict[str, Any]) -> list[dict[str, Any]]:
    """Events that say nothing, whatever their shape."""
    message = base["message"]
    of_message: list[dict[str, Any]] = [
        {"name": None},
        {"name": "spaces/A/messages/"},
        {"name": "spaces/A/messages/" + "x" * 300},
        {"sender": 7},
        {"sender": {"name": "users/", "type": "HUMAN"}},
        {"text": {"a": []}, "argumentText": None, "attachment": {"a": 1}},
        {"text": "", "attachment": [{"attachmentDataRef": {"resourceName": "../../x"}}, 7]},
        {"text": "", "attachment": [{"attachmentDataRef": {"resourceName": ["x"]}}]},
    ]
    of_event: list[dict[str, Any]] = [
        {"type": "CARD_CLICKED"},
        {"type": "CARD_CLICKED", "common": {"parameters": {"nanobot": "evil"}}},
        {"type": "CARD_CLICKED", "action": {"parameters": [7, {"key": "nanobot", "value": {}}]}},
        {"type": ["MESSAGE"]},
        {"message": "x"},
        {"space": {"name": "spaces/a b"}, "message": {**message, "space": None}},
        {"type": "ADDED_TO_SPACE", "message": None},
    ]
    return [*({**base, "message": {**message, **each}} for each in of_message), *({**base, **each} for each in of_event)]


@pytest.fixture
async def server() -> AsyncGenerator[GoogleChatServer]:
    async with GoogleChatServer() as server:
        yield server


@pytest.fixture
async def platform(server: GoogleChatServer, tmp_path: Path) -> AsyncGenerator[GoogleChatPlatform]:
    async with GoogleChatPlatform(server, tmp_path) as platform:
        yield platform


class TestGoogleChat(ChannelSuite):
    @pytest.fixture
    def platform(self, platform: GoogleChatPlatform) -> GoogleChatPlatform:
        return platform


async def test_events_of_every_shape_are_answered_and_say_nothing(platform: GoogleChatPlatform) -> None:
    async with running(platform.channel) as link:
        for event in hostile(platform.event(Said(text="x"))):
            assert await platform.call(event) == 200
        assert link.offered.empty()
        assert await platform.call({**platform.event(Said(text="w1")), "eventTime": {"seconds": 1, "nanos": None}}) == 200
        assert (await link.next()).text == "w1"


BY_URL = {"iss": "https://accounts.google.com", "aud": ENDPOINT, "email": CHAT, "email_verified": True}


@pytest.mark.parametrize(
    ("audience", "claims", "status"),
    [
        (PROJECT, {}, 200),
        (PROJECT, {"aud": "999"}, 401),
        (PROJECT, {"age": 7200}, 401),
        (PROJECT, {"key": "another"}, 401),
        (PROJECT, BY_URL, 401),
        (ENDPOINT, BY_URL, 200),
        (ENDPOINT, {**BY_URL, "email": "eve@example.org"}, 401),
        (ENDPOINT, {**BY_URL, "email_verified": False}, 401),
        (ENDPOINT, {**BY_URL, "aud": "https://another.example/"}, 401),
        (ENDPOINT, {**BY_URL, "key": "chat"}, 401),
        (ENDPOINT, {}, 401),
    ],
)
async def test_who_may_call(server: GoogleChatServer, tmp_path: Path, audience: str, claims: dict[str, Any], status: int) -> None:
    platform = GoogleChatPlatform(server, tmp_path, audience=audience)
    async with running(platform.channel) as link:
        call = server.call(orjson.dumps(platform.event(Said(text="w1"))), **claims)
        assert (await platform.adapter.called(call)).status == status
        assert link.kept.qsize() == (status == 200)
    await platform.close()


async def test_a_store_that_stays_away_is_no_success(platform: GoogleChatPlatform) -> None:
    platform.channel = GoogleChatChannel(platform.settings, platform.context, pause=0.01, seconds=0.05)
    async with running(platform.channel) as link:
        link.unavailable = 10_000
        assert await platform.call(platform.event(Said(text="w1"))) == 503


async def test_a_link_that_chat_previews_is_no_mention(platform: GoogleChatPlatform) -> None:
    event = platform.event(Said(text="https://example.org/x", group=True))
    async with running(platform.channel) as link:
        await platform.call({**event, "message": {**event["message"], "matchedUrl": {"url": "https://example.org/x"}}})
        command = platform.event(Said(text="/weather Berlin", group=True))
        await platform.call({**command, "message": {**command["message"], "slashCommand": {"commandId": "1"}}})
        message = await link.next()
    assert message.command is not None
    assert (message.command.name, message.command.arguments) == ("weather", "Berlin")


async def test_a_chat_of_two_people_is_not_private(platform: GoogleChatPlatform) -> None:
    event = platform.event(Said(text="w1", mention=True))
    async with running(platform.channel) as link:
        await platform.call({**event, "space": {"name": f"spaces/{DM}", "spaceType": "DIRECT_MESSAGE"}})
        message = await link.next()
    assert (message.text, message.private) == ("w1", False)


async def test_the_first_words_to_an_app_come_with_its_adding_and_drive_files_are_named(platform: GoogleChatPlatform) -> None:
    event = platform.event(Said(text="w1", group=True, mention=True))
    drive = [{"contentName": "plan.gdoc", "source": "DRIVE_FILE", "driveDataRef": {"driveFileId": "1"}}]
    async with running(platform.channel) as link:
        await platform.call({**event, "type": "ADDED_TO_SPACE", "message": {**event["message"], "attachment": drive}})
        message = await link.next()
    assert (message.text, message.files) == ("w1\n[file in Google Drive: plan.gdoc]", ())


async def test_a_thread_is_answered_in_it_or_in_a_new_one(platform: GoogleChatPlatform) -> None:
    await send(platform, event=event_to(Address(channel="googlechat", chat_id=GROUP, thread_id=THREAD), "w1"))
    await send(platform, "w2", key="b")
    assert platform.server.options == ["REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD", ""]


async def test_a_token_of_ours_that_ends_is_renewed(platform: GoogleChatPlatform) -> None:
    await send(platform, "w1", key="a")
    platform.server.tokens += 1  # the one that we hold is not accepted any more
    await send(platform, "w2", key="b")
    assert platform.texts() == ["w1", "w2"]


@pytest.mark.parametrize(
    ("status", "name", "kind", "code"),
    [
        (400, "INVALID_ARGUMENT", SendRefused, "refused"),
        (403, "PERMISSION_DENIED", SendRefused, "not_a_member"),
        (404, "NOT_FOUND", SendRefused, "chat_not_found"),
        (429, "RESOURCE_EXHAUSTED", SendLater, "flood_wait"),
        (503, "UNAVAILABLE", SendLater, "server_error"),
    ],
)
async def test_errors(
    platform: GoogleChatPlatform, monkeypatch: pytest.MonkeyPatch, status: int, name: str, kind: type[SendFailed], code: str
) -> None:
    monkeypatch.setattr(platform.server, "refusals", lambda: {"refuse": lambda: error(status, name)})
    platform.fail("refuse")
    with pytest.raises(kind) as failed:
        await send(platform)
    assert failed.value.trouble.code == code


async def test_buttons_that_are_refused_are_written(platform: GoogleChatPlatform) -> None:
    platform.fail("files")  # a card that Chat can't show
    [receipt] = await send(
        platform, event=event_to(platform.address, "w1", buttons=((Button(text="b1", command="/done", subject="occ_1"),),))
    )
    assert platform.texts() == ["w1\n\nReply /done"]
    assert "b1" in receipt.notice


@pytest.mark.parametrize("text", ["漢" * 7000, "\u20ac" * 20_000, "**" + "é*_~`" * 3000 + "**"])
async def test_a_message_of_any_letters_stays_under_the_limit_of_bytes(platform: GoogleChatPlatform, text: str) -> None:
    rows = (tuple(Button(text="漢" * 99 + str(number)) for number in range(6)),)
    receipts = await send(platform, event=event_to(platform.address, text, buttons=rows))
    assert [receipt.notice for receipt in receipts] == [""] * len(platform.seen()), "the stand-in refuses what is too long"


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("**a** *b* ~~c~~ `d`", "*a* _b_ ~c~ `d`"),
        ("[a](https://example.org/?a=1&b=2) & <b>", "<https://example.org/?a=1&b=2|a> & <b>"),
        ("<users/all> hello", "<\u200busers/all> hello"),
        ("# a\n\n- b", "*a*\n• b"),
    ],
)
def test_the_text_has_chats_own_marks(markdown: str, text: str) -> None:
    assert [part.text for part in chat_parts(markdown, 7000)] == [text]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("/nowhere/key.json", "can't be read"),
        ("{", "no JSON key"),
        ('{"client_email": "a", "token_uri": "b"}', "lacks"),
        ('{"client_email": "a", "token_uri": "http://127.0.0.1:9/", "private_key": "x"}', "private_key can't be read"),
    ],
)
async def test_a_key_that_can_not_be_used_says_so(server: GoogleChatServer, tmp_path: Path, key: str, words: str) -> None:
    platform = GoogleChatPlatform(server, tmp_path, serviceAccount=key)
    with pytest.raises(ChannelFailed, match=words) as failed:
        await platform.adapter.identity()
    assert failed.value.fatal
    await platform.close()


async def test_words_whose_form_is_refused_ping_no_one(platform: GoogleChatPlatform, server: GoogleChatServer) -> None:
    server.fail("form")
    server.fail("files")
    buttons = ((Button(text="<users/all>", url="https://example.org/"),),)
    await send(platform, event=event_to(platform.address, "**<users/all>**", buttons=buttons))
    assert platform.texts() == ["<\u200busers/all>\n\n<\u200busers/all>: https://example.org/"]


async def test_the_key_may_be_a_file(server: GoogleChatServer, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(server.account_key())
    platform = GoogleChatPlatform(server, tmp_path, serviceAccount=str(tmp_path / "key.json"))
    assert await platform.adapter.identity() == ACCOUNT
    await platform.close()


async def test_a_message_to_a_real_server_is_answered(platform: GoogleChatPlatform, server: GoogleChatServer, tmp_path: Path) -> None:
    keys = {"serviceAccount": server.account_key(), "audience": PROJECT, "server": server.url, "keysUrl": server.url}
    config = {**offline(), "channels": {"googlechat": {"enabled": True, "owners": [ANNA], **keys}}}
    call = server.call(orjson.dumps(platform.event(Said(text="/id"))))
    with live_server(tmp_path / "home", config=config) as live:
        async with httpx2.AsyncClient(base_url=live.url, timeout=30) as client:
            answer = await called(client, "googlechat", call)
            assert (answer.status_code, answer.content) == (200, b"{}")
            sent = await first_sent(client)
    [seen] = server.accepted.values()
    assert (seen.chat_id, ANNA in seen.text) == (DM, True)
    assert [part["message_id"] for part in sent["parts"]] == [seen.id]


async def test_events_of_every_shape_are_answered(platform: GoogleChatPlatform) -> None:
    said = Said(text="w1", group=True, mention=True, thread_id=THREAD, quotes="w2", files=(("a.pdf", b"x"),))
    press = {**platform.event(Said(text="w2")), "type": "CARD_CLICKED", "common": {"parameters": {"nanobot": "say:b1"}}}
    headers = platform.server.call(b"").headers
    bases = [platform.event(said), {**press, "eventTime": {"seconds": 1_790_000_000, "nanos": 1}}]
    await survive(platform, lambda body: replace(platform.server.call(b""), headers=headers, body=body), bases)
