"""What the contract suite does not cover: upgrades, gaps, logins, encrypted rooms without keys."""

import asyncio
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelFailed, SendLater, SendRefused
from assistant.testing.channel_suite import RecordingLink, event_to, running, send
from tests.doubles.matrix_platform import DM, GROUP
from tests.doubles.matrix_server import ANNA, BOT, MatrixServer
from tests.flow.matrix.rig import Rig, text, until


async def test_what_was_written_after_an_invitation_is_read_and_nothing_before(server: MatrixServer, rig: Rig):
    platform = rig(allowFrom=[ANNA])
    async with running(platform.channel) as link:
        server.say("!new:test", text("long before"))
        server.members["!new:test"] = {BOT: "join", ANNA: "join"}
        server.say("!new:test", {"membership": "invite"}, kind="m.room.member", state_key=BOT)
        server.say("!new:test", text("hello"))
        server.say("!new:test", {"membership": "join"}, by=BOT, kind="m.room.member", state_key=BOT)
        server.say("!new:test", text("again"))
        assert [(await link.next()).text, (await link.next()).text] == ["hello", "again"]


async def test_messages_of_a_long_outage_are_fetched_in_order(server: MatrixServer, rig: Rig):
    platform = rig()
    server.page = 30
    async with running(platform.channel) as link:
        server.say(DM, text("before"))
        await link.next()
    for number in range(180):
        server.say(DM, text(f"w{number}"))
        server.say(GROUP, text("not for us"))
    async with running(platform.channel, link):
        said = [(await link.next()).text]
        while said[-1] != "w179":
            said.append((await link.next()).text)
    assert list(dict.fromkeys(word for word in said if word != "before")) == [f"w{number}" for number in range(180)]


@pytest.mark.parametrize(
    ("state", "others", "invited", "private"),
    [
        ({}, [ANNA], [], True),
        ({}, [ANNA], ["@c:test"], False),
        ({"join_rules": {"join_rule": "public"}}, [ANNA], [], False),
        ({"join_rules": {"join_rule": "restricted"}}, [ANNA], [], False),
        ({"history_visibility": {"history_visibility": "world_readable"}}, [ANNA], [], False),
        ({}, [ANNA, "@b:test"], [], False),
    ],
)
async def test_only_two_people_in_a_closed_room_are_private(
    server: MatrixServer, rig: Rig, state: dict[str, Any], others: list[str], invited: list[str], private: bool
):
    platform = rig(groups="all")
    server.room("!room:test", *others, invited=tuple(invited), **state)
    async with running(platform.channel) as link:
        server.say("!room:test", text("hello"))
        assert (await link.next()).private is private


class MovedLink(RecordingLink):
    def __init__(self) -> None:
        super().__init__()
        self.moves: list[tuple[str, str]] = []

    async def moved(self, chat_id: str, now: str) -> None:
        self.moves.append((chat_id, now))


@pytest.mark.parametrize(("names", "moves"), [(GROUP, [(GROUP, "!next:test")]), ("!other:test", [])], ids=["its successor", "another's"])
async def test_an_upgraded_room_is_followed(server: MatrixServer, rig: Rig, names: str, moves: list[tuple[str, str]]):
    platform = rig()
    server.room("!next:test", ANNA, create={"predecessor": {"room_id": names}})
    server.members["!next:test"].pop(BOT)
    link = MovedLink()
    async with running(platform.channel, link):
        server.say(GROUP, {"body": "moved", "replacement_room": "!next:test"}, kind="m.room.tombstone", state_key="")
        await until(link, server)
    assert link.moves == moves
    assert BOT in server.members["!next:test"] or not moves
    assert [path for path, _ in server.calls if path.endswith("/leave")] == ([] if moves else ["/_matrix/client/v3/rooms/!next:test/leave"])


async def test_no_room_is_left_because_another_calls_it_its_successor(server: MatrixServer, rig: Rig):
    platform = rig()
    async with running(platform.channel) as link:
        server.say(GROUP, {"body": "moved", "replacement_room": DM}, kind="m.room.tombstone", state_key="")
        await until(link, server)
    assert [path for path, _ in server.calls if path.endswith(("/leave", DM))] == []


@pytest.mark.parametrize(
    ("body", "content", "heard"),
    [
        ("hello", {}, None),
        ("hello", {"m.mentions": {"user_ids": [BOT]}}, "hello"),
        ("nano bot: hello", {"m.mentions": {}}, "hello"),
        ("bot, hello", {}, "hello"),
        ("bottle: hello", {}, None),
        ("@bot:test hello", {}, "hello"),
        ("@bot:testing hello", {"m.mentions": {"user_ids": ["@bot:testing"]}}, "@bot:testing hello"),
        ("/status", {}, "/status"),
        ("!help", {}, "!help"),
        ("!weather", {}, None),
        ("waves", {"msgtype": "m.emote", "m.mentions": {"user_ids": [BOT]}}, "* anna waves"),
        ("hello", {"msgtype": "m.notice", "m.mentions": {"user_ids": [BOT]}}, None),
        ("hello", {"m.mentions": {"user_ids": 7}}, None),
        ("hello", {"m.mentions": {"room": True}}, None),
    ],
)
async def test_a_group_is_heard_by_name(server: MatrixServer, rig: Rig, body: str, content: dict[str, Any], heard: str | None):
    platform = rig()
    async with running(platform.channel) as link:
        server.say(GROUP, text(body) | content)
        server.say(DM, text("the end"))
        assert (await link.next()).text == (heard or "the end")


async def test_an_encrypted_room_without_keys_is_said_once_in_words(server: MatrixServer, rig: Rig):
    platform = rig(encryption=False)
    server.room("!secret:test", ANNA, encryption={"algorithm": "m.megolm.v1.aes-sha2"})
    link = StatusLink()
    async with running(platform.channel, link):
        for _ in range(2):
            server.say("!secret:test", {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"}, kind="m.room.encrypted")
        await until(link, server)
        with pytest.raises(SendRefused) as refused:
            await send(platform, event=event_to(Address(channel="matrix", chat_id="!secret:test"), "w1"))
    assert refused.value.trouble.code == "encrypted_room"
    assert [each.text for each in platform.seen()] == [
        "This room is encrypted, and I can't read it: channels.matrix.encryption is false. Write to me in a room without encryption."
    ]
    assert link.details == [f"{BOT}; can't read encrypted rooms (1): channels.matrix.encryption is false"]


class StatusLink(RecordingLink):
    def __init__(self) -> None:
        super().__init__()
        self.details: list[str] = []

    def connected(self, detail: str = "") -> None:
        self.details.append(detail)
        super().connected(detail)


async def test_nothing_goes_as_plain_text_into_an_encrypted_room_without_a_connection(server: MatrixServer, rig: Rig):
    platform = rig(encryption=False)
    server.room("!secret:test", ANNA, encryption={"algorithm": "m.megolm.v1.aes-sha2"})
    with pytest.raises(SendRefused):
        await send(platform, event=event_to(Address(channel="matrix", chat_id="!secret:test"), "w1"))
    assert platform.seen() == []


PASSWORD = {"accessToken": None, "userId": BOT, "password": "right password"}


async def test_a_login_by_password_is_made_once_and_again_after_a_soft_logout(server: MatrixServer, rig: Rig):
    platform = rig(**PASSWORD)
    await asyncio.gather(send(platform, "w1", key="a"), send(platform, "w2", key="b"))
    await platform.channel.close()
    await platform.reopen()
    await send(platform, "w3", key="c")
    assert server.logins == 1
    server.token = "ended"
    await asyncio.gather(send(platform, "w4", key="d"), send(platform, "w5", key="e"))
    assert server.logins == 2
    assert sorted(platform.texts()) == ["w1", "w2", "w3", "w4", "w5"]


async def test_a_wrong_password_is_told(server: MatrixServer, rig: Rig):
    platform = rig(**{**PASSWORD, "password": "wrong password"})
    with pytest.raises(ChannelFailed) as failed:
        await platform.channel.identity()
    assert failed.value.fatal
    assert "wrong password" not in str(failed.value)
    with pytest.raises(SendLater) as later:
        await send(platform)
    assert later.value.whole_channel


async def test_a_person_is_written_to_in_their_direct_chat(server: MatrixServer, rig: Rig):
    platform = rig()
    anna = Address(channel="matrix", chat_id=ANNA)
    await asyncio.gather(send(platform, key="a", event=event_to(anna, "w1")), send(platform, key="b", event=event_to(anna, "w2")))
    [made] = server.direct[ANNA]
    assert {each.chat_id for each in platform.seen()} == {made}
    server.members[made]["@c:test"] = "join"  # no longer between two
    await send(platform, key="c", event=event_to(anna, "w3"))
    assert platform.seen()[-1].chat_id not in (made, DM, GROUP)


async def test_an_alias_is_its_room(server: MatrixServer, rig: Rig):
    platform = rig()
    await send(platform, event=event_to(Address(channel="matrix", chat_id="#group:test"), "w1"))
    assert platform.seen()[-1].chat_id == GROUP


async def test_a_message_has_its_html_and_calls_no_one(server: MatrixServer, rig: Rig):
    platform = rig()
    await send(platform, "**bold** @anna:test <b>x</b>")
    content = server.stream[-1][1]["content"]
    assert content["formatted_body"] == "<p><strong>bold</strong> @anna:test &lt;b&gt;x&lt;/b&gt;</p>"
    assert content["m.mentions"] == {}


async def test_reactions_receipts_and_typing(server: MatrixServer, rig: Rig):
    platform = rig()
    async with running(platform.channel) as link:
        server.say(DM, text("hello"), id="$hello")
        message = await link.next()
        await platform.channel.conversation.acknowledge(message)  # pyright: ignore[reportOptionalMemberAccess]
        await platform.channel.conversation.typing(message.address)  # pyright: ignore[reportOptionalMemberAccess]
        await send(platform, "w1")
        await until(link, server)
    said = {path.rsplit("/rooms/", 1)[-1]: body for path, body in server.calls}
    assert said["!dm:test/receipt/m.read/$hello"] == {}
    assert said["!dm:test/typing/@bot:test"] == {"typing": False}
    assert any(body.get("m.relates_to", {}).get("key") == "👀" for body in said.values())
