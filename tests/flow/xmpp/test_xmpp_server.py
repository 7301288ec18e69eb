"""A real prosody: rooms, archives, files, TLS; and the whole server of nanobot."""

import asyncio
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelFailed, SendLater, SendRefused, SendUnclear
from assistant.contracts.inbox import InboundMessage
from assistant.testing.platform import WITHIN, RecordingLink, Said, event_to, running, send
from channels.kit.http import Unreached
from channels.xmpp.session import XmppSession
from channels.xmpp.settings import XmppSettings
from channels.xmpp.wire import XmppWire
from tests.doubles.live_server import free_port, live_server, offline
from tests.doubles.prosody import MISSING, PASSWORD, Prosody, running_prosody
from tests.flow.xmpp.rig import Person, XmppPlatform, xmpp_platform


async def test_what_came_while_it_was_away_is_read_once(platform: XmppPlatform) -> None:
    async with running(platform.channel) as link:
        platform.say("w1")
        first = await link.next()
    platform.say("w2")
    platform.write(Said(text="w3", group=True, mention=True))
    await platform.reopen()
    found: dict[str, set[str]] = {}
    async with running(platform.channel) as link:
        while found.keys() != {"w1", "w2", "w3"}:
            message = await link.next()
            found.setdefault(message.text, set()).add(message.external_id)
    assert [len(ids) for ids in found.values()] == [1, 1, 1]  # the server passes on again what is in the archive, too
    assert found["w1"] == {first.external_id}


async def test_what_came_before_the_first_start_is_not_read(platform: XmppPlatform) -> None:
    platform.say("w1")
    await platform.person.client.plugin["xep_0199"].send_ping("localhost", timeout=30)
    async with running(platform.channel) as link:
        platform.say("w2")
        said = [(await link.next()).text]
        if said == ["w1"]:  # kept by the server for the account, not in its archive
            said = [(await link.next()).text]
    assert said == ["w2"]


async def test_a_message_that_was_sent_is_found_in_the_archive_and_not_repeated(platform: XmppPlatform) -> None:
    platform.fail("lose")
    with pytest.raises(SendUnclear):
        await send(platform)
    await send(platform, again=datetime.now(UTC))
    assert platform.texts() == ["w1"]


async def test_one_that_was_sent_to_a_room_is_not_repeated_either(platform: XmppPlatform) -> None:
    assert platform.group is not None
    event = event_to(platform.group, "w1")
    platform.fail("lose")
    with pytest.raises(SendUnclear):
        await send(platform, event=event)
    await send(platform, event=event, again=datetime.now(UTC))
    assert platform.texts() == ["w1"]


async def test_one_that_was_not_is(platform: XmppPlatform) -> None:
    await send(platform, again=datetime.now(UTC))
    assert platform.texts() == ["w1"]


async def test_a_person_who_is_not_there_is_refused(platform: XmppPlatform) -> None:
    with pytest.raises(SendRefused) as refused:
        await send(platform, event=event_to(type(platform.address)(channel="xmpp", chat_id="no-one@localhost"), "w1"))
    assert refused.value.trouble.code == "chat_not_found"


async def test_an_error_that_comes_later_is_told(platform: XmppPlatform) -> None:
    async with running(platform.channel) as link:
        [receipt] = await send(platform, "w0")
        async with asyncio.timeout(WITHIN):
            await platform.person.words.wait()
        platform.person.client.send_raw(
            f"<message to='{platform.person.heard[-1]['from']}' type='error' id='{receipt.message_id}'><error type='cancel'>"
            "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        )
        platform.say("w1")
        await link.next()
    assert [each[:2] for each in link.lost] == [(receipt.message_id, "service-unavailable")]


async def test_an_error_of_another_is_not_believed(platform: XmppPlatform) -> None:
    """Everyone in a room sees the ids of its messages."""
    eve = Person(platform.prosody.account(f"eve{platform.name}"), platform.prosody.port)
    await eve.connect()
    try:
        async with running(platform.channel) as link:
            [receipt] = await send(platform, "w0")
            async with asyncio.timeout(WITHIN):
                await platform.person.words.wait()
            bot = str(platform.person.heard[-1]["from"])
            eve.client.send_raw(
                f"<message to='{bot}' type='error' id='{receipt.message_id}'><error type='cancel'>"
                "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
            )
            eve.say(bot, "w1", id="e1")
            assert (await link.next()).text == "w1"
        assert link.lost == []
    finally:
        await eve.close()


async def test_a_file_can_be_fetched_from_where_it_was_put(platform: XmppPlatform) -> None:
    media = platform.files.put("ü b.txt", b"hello", "text/plain")
    await send(platform, event=event_to(platform.address, "", media=(media,)))
    [stanza] = platform.prosody.seen(platform.name)
    url = stanza.partition("<url>")[2].partition("</url>")[0]
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert await answer.read() == b"hello"


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://upload.example.org/x", True),
        ("https://example.org/x", True),
        ("https://files.home.example/x", True),
        ("https://cdn.example.net/x", True),
        ("http://upload.example.org/x", False),
        ("https://evil.example/x", False),
        ("https://notexample.org/x", False),
        ("https://example.org.evil.example/x", False),
        ("https://example.org@evil.example/x", False),
        ("https://169.254.169.254/x", False),
        ("https://localhost/x", False),
        ("file:///etc/passwd", False),
        ("aesgcm://example.org/x#0", False),
        ("", False),
        ("https://upload.example.org:5281/x", True),
        ("https://example.org\\@evil.example/x", False),
        ("https://evil.example\\.example.org/x", False),
        ("https://[x/", False),
        ("https://example.org:99999/x", False),
        ("https://example.org:x/", False),
        ("//example.org/x", False),
        ("https:example.org/x", False),
    ],
)
def test_files_are_fetched_from_the_servers_of_both_and_nowhere_else(url: str, may: bool) -> None:
    settings = XmppSettings.model_validate({"jid": "me@home.example", "fileHosts": "cdn.example.net"})
    wire = XmppWire(settings, XmppSession(settings, heard=lambda _: None), None)  # type: ignore[arg-type] - it fetches nothing
    assert wire.may_fetch(url, "anna@example.org") == may


async def test_a_file_from_elsewhere_is_not_fetched(platform: XmppPlatform, tmp_path: Path) -> None:
    async with running(platform.channel) as link:
        platform.person.say(platform.bot, "", id="f1", url="http://evil.example/a.png")
        [file] = (await link.next()).files
        assert platform.channel.conversation is not None
        with pytest.raises(SendRefused) as refused:
            await platform.channel.conversation.fetch(file, tmp_path / "in", 1000)
    assert refused.value.trouble.code == "not_fetched"


async def test_a_receipt_is_given_when_the_message_is_stored(platform: XmppPlatform) -> None:
    async with running(platform.channel) as link:
        link.gate.clear()
        platform.say("w1")
        await link.offered.get()
        assert not platform.acknowledged()
        link.gate.set()
        await link.next()
        async with asyncio.timeout(WITHIN):
            await platform.person.receipt.wait()
        assert platform.acknowledged()


class ClosedDoor(RecordingLink):
    """No one may write."""

    async def accept(self, message: InboundMessage) -> str:
        await super().accept(message)
        return ""


async def test_a_stranger_gets_no_receipt(platform: XmppPlatform) -> None:
    async with running(platform.channel, ClosedDoor()) as link:
        platform.say("w1")
        await link.next()
        platform.say("w2")
        await link.next()
        await send(platform, "w3")
        async with asyncio.timeout(WITHIN):
            await platform.person.words.wait()  # what was sent before it has come before it
    assert platform.person.receipts == set()


async def test_a_sender_s_time_does_not_end_the_next_connection(platform: XmppPlatform) -> None:
    async with running(platform.channel) as link:
        platform.person.say(platform.bot, "w1", id="old1", children=[("{urn:xmpp:delay}delay", {"stamp": "0001-01-01T00:00:00Z"})])
        assert (await link.next()).text == "w1"
    async with running(platform.channel) as link:
        platform.say("w2")
        while (await link.next()).text != "w2":
            pass


async def test_a_preview_becomes_the_answer(prosody: Prosody, tmp_path: Path) -> None:
    async with xmpp_platform(prosody, tmp_path, preview="edit") as platform, running(platform.channel):
        conversation = platform.channel.conversation
        assert conversation is not None
        preview = conversation.preview(platform.address, reply_to=None, posted=None, note=lambda _: None)
        assert preview is not None
        preview.update("w1")
        async with asyncio.timeout(WITHIN):
            while not platform.seen():  # noqa: ASYNC110 - the server's file has no event
                await asyncio.sleep(0.01)
        shown = await preview.close()
        [receipt] = await send(platform, event=event_to(platform.address, "w1 w2", replaces=shown))
        assert receipt.message_id == shown
        assert platform.texts() == ["w1 w2"]


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("helper: w1", "w1"),
        ("Helper, w1", "w1"),
        ("@helper w1", "w1"),
        ("w1, helper?", "w1, helper?"),
        ("helpers w1", None),
        ("w1", None),
        ("/help", "/help"),
        ("/etc/hosts", None),
    ],
)
async def test_in_a_room_it_answers_to_its_name(platform: XmppPlatform, text: str, heard: str | None) -> None:
    async with running(platform.channel) as link:
        platform.write(Said(text=text, group=True))
        platform.write(Said(text="last", group=True, mention=True))
        said = (await link.next()).text
        assert said == (heard or "last")


async def test_a_room_that_hides_addresses_tells_members_apart_and_never_by_their_nick(prosody: Prosody, tmp_path: Path) -> None:
    async with xmpp_platform(prosody, tmp_path) as platform:
        muc = platform.person.client.plugin["xep_0045"]
        platform.person.client.register_plugin("xep_0004")
        form = await muc.get_room_config(platform.room)
        form["type"] = "submit"
        form["values"] = {"FORM_TYPE": "http://jabber.org/protocol/muc#roomconfig", "muc#roomconfig_whois": "moderators"}
        await muc.set_room_config(platform.room, form)
        async with running(platform.channel) as link:
            platform.write(Said(text="w1", group=True, mention=True))
            message = await link.next()
    assert message.sender.id.startswith(f"{platform.room}#")
    assert "anna" not in message.sender.id
    assert message.sender.name == "anna"


async def test_a_room_that_can_not_be_entered_keeps_no_one_from_the_chat(prosody: Prosody, tmp_path: Path) -> None:
    async with xmpp_platform(prosody, tmp_path, rooms=["a@nowhere.localhost"]) as platform, running(platform.channel) as link:
        platform.say("w1")
        assert (await link.next()).text == "w1"


async def test_a_wrong_password_is_told(prosody: Prosody, tmp_path: Path) -> None:
    async with xmpp_platform(prosody, tmp_path, password="wrong") as platform:
        with pytest.raises(ChannelFailed) as failed:
            await platform.channel.identity()
        assert failed.value.fatal
        with pytest.raises(SendLater) as later:
            await send(platform)
        assert later.value.whole_channel


async def test_over_a_line_without_tls_no_password_goes(prosody: Prosody, tmp_path: Path) -> None:
    """Somebody between may hide that the server has TLS; here it has none that works."""
    async with xmpp_platform(prosody, tmp_path, host="127.1") as platform:
        with pytest.raises(SendLater):
            await send(platform)
        assert platform.seen() == []


async def test_with_a_certificate_that_is_trusted_all_goes_by_tls(tmp_path: Path) -> None:
    if MISSING or shutil.which("openssl") is None:
        pytest.skip(MISSING or "openssl is not installed")
    line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    await asyncio.to_thread(
        subprocess.run, [*line.split(), "-addext", "subjectAltName=DNS:localhost"], cwd=tmp_path, check=True, capture_output=True
    )
    with running_prosody(port := free_port(), free_port(), certificate=(tmp_path / "cert.pem", tmp_path / "key.pem")) as prosody:
        prosody.account("anna")
        given: dict[str, Any] = {"jid": prosody.account("bot"), "password": PASSWORD, "host": "127.1", "port": port}
        for trusted in (False, True):
            settings = XmppSettings.model_validate(given | ({"caFile": str(tmp_path / "cert.pem")} if trusted else {}))
            session = XmppSession(settings, heard=lambda _: None)
            wire = XmppWire(settings, session, None)  # type: ignore[arg-type] - it fetches nothing
            if trusted:
                assert await wire.show(event_to_anna(), "w1", reply_to=None, message_id=None)
            else:
                with pytest.raises(Unreached):
                    await wire.show(event_to_anna(), "w1", reply_to=None, message_id=None)
            await session.close()
        assert len(prosody.seen("bot")) == 1


def event_to_anna() -> Any:
    return Address(channel="xmpp", chat_id="anna@localhost")


async def test_a_message_is_answered_by_the_whole_server(platform: XmppPlatform, tmp_path: Path) -> None:
    given = platform.settings.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    section = {**given, "password": PASSWORD, "port": platform.prosody.port, "owners": [platform.person.jid]}
    with live_server(tmp_path / "home", config={**offline(), "channels": {"xmpp": section}}) as server:
        async with asyncio.timeout(WITHIN), httpx2.AsyncClient(base_url=server.url, timeout=WITHIN) as client:
            while not any(each["state"] == "connected" for each in (await client.get("/ready")).json()["channels"]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            platform.say("send me a word")
            while '"state":"sent"' not in (listed := (await client.get("/v1/deliveries")).text):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
    [answer] = platform.seen()
    assert answer.id in listed
