"""What is read of a mailbox: each mail once, from where it was left, whatever happens to the folder."""

from datetime import UTC, datetime, timedelta

import pytest

from assistant.contracts.channels import ChannelFailed, SendRefused
from assistant.contracts.inbox import InboundMessage
from assistant.testing.platform import RecordingLink, Said, running, send
from channels.email.wire import thread_key
from tests.doubles.dovecot import Dovecot
from tests.flow.email.rig import ANNA, EmailPlatform, email_platform


async def test_mails_from_before_the_first_start_are_not_read(platform: EmailPlatform) -> None:
    platform.say("w1")
    async with running(platform.channel) as link:
        platform.say("w2")
        assert (await link.next()).text == "w2"


async def test_what_came_while_it_was_away_is_read(platform: EmailPlatform) -> None:
    async with running(platform.channel):
        pass
    platform.say("w1")
    platform.say("w2")
    await platform.reopen()
    async with running(platform.channel) as link:
        assert [(await link.next()).text for _ in range(2)] == ["w1", "w2"]


async def test_what_is_too_old_by_then_is_not(platform: EmailPlatform) -> None:
    async with running(platform.channel):
        pass
    old = (datetime.now(UTC) - timedelta(days=8)).strftime('"%d-%b-%Y %H:%M:%S +0000"')
    platform.client.append("INBOX", "", old, platform.mail("w1", id="<1@example.org>"))
    platform.say("w2")
    async with running(platform.channel) as link:
        assert (await link.next()).text == "w2"


async def test_a_folder_that_was_made_anew_brings_no_mail_twice(platform: EmailPlatform) -> None:
    mail = platform.mail("w1", id="<1@example.org>")
    async with running(platform.channel) as link:
        platform.deliver(mail)
        first = await link.next()
    platform.client.create("Other")
    platform.client.delete("Other")
    cursor = await platform.notes.get("cursor")
    assert cursor is not None
    await platform.notes.keep("cursor", cursor.replace('"validity": "', '"validity": "9'))
    platform.deliver(platform.mail("w2", id="<2@example.org>"))
    async with running(platform.channel, link):
        again, second = await link.next(), await link.next()
    assert again.external_id == first.external_id
    assert second.text == "w2"


async def test_a_mail_is_seen_only_after_it_was_accepted_and_those_of_machines_never(platform: EmailPlatform) -> None:
    async with running(platform.channel) as link:
        platform.write(Said(text="w1", by="bot"))
        platform.say("w2")
        await link.next()
        platform.say("w3")
        await link.next()
    platform.client.select("INBOX", readonly=True)
    assert platform.client.search(None, "SEEN")[1][0].split()[:1] == [b"2"]


async def test_a_folder_that_may_not_be_written_is_read_all_the_same(platform: EmailPlatform) -> None:
    platform.relay.swap = (b"STORE", b"XTORE")
    async with running(platform.channel) as link:
        for text in ("w1", "w2"):
            platform.say(text)
            assert (await link.next()).text == text


async def test_the_files_of_a_mail_need_one_login(platform: EmailPlatform) -> None:
    async with running(platform.channel) as link:
        platform.write(Said(text="w1", files=(("a.pdf", b"x"), ("b.pdf", b"y"), ("c.pdf", b"z"))))
        files = (await link.next()).files
    logins = len(platform.relay.near)
    assert platform.channel.conversation is not None
    for file in files:
        await platform.channel.conversation.fetch(file, platform.files.folder / file.name, 1000)
    assert [(platform.files.folder / name).read_bytes() for name in ("a.pdf", "b.pdf", "c.pdf")] == [b"x", b"y", b"z"]
    assert len(platform.relay.near) == logins + 1


async def test_a_sender_whom_nothing_proves_is_a_stranger(platform: EmailPlatform) -> None:
    async with running(platform.channel) as link:
        platform.deliver(platform.mail("w1", results=""))
        message = await link.next()
    assert (message.sender.id, message.private, message.trusted) == (f"unverified:{ANNA}", False, False)


async def test_the_same_id_by_another_sender_is_another_message(platform: EmailPlatform) -> None:
    """Else a mail could be kept out by one that came before it under its id."""
    async with running(platform.channel) as link:
        platform.deliver(platform.mail("w1", id="<1@example.org>", results=""))
        platform.deliver(platform.mail("w2", id="<1@example.org>"))
        ids = {(await link.next()).external_id for _ in range(2)}
    assert len(ids) == 2


REPORT = """From: mailer-daemon@example.com
Return-Path: <>
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.com

Final-Recipient: rfc822; anna@example.org
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 User unknown

--b
Content-Type: {kind}

Message-ID: {id}
From: assistant@example.com

--b--
"""


@pytest.mark.parametrize("kind", ["message/rfc822", "text/rfc822-headers"])
@pytest.mark.parametrize(
    ("status", "code"), [("5.1.1", "no_such_address"), ("5.2.2", "mailbox_full"), ("5.7.1", "blocked"), ("5.0.0", "undelivered")]
)
async def test_a_bounce_is_told_of_its_mail(platform: EmailPlatform, kind: str, status: str, code: str) -> None:
    async with running(platform.channel) as link:
        [receipt] = await send(platform)
        report = REPORT.format(action="failed", status=status, kind=kind, id=receipt.message_id)
        platform.deliver(report.replace("\n", "\r\n").encode())
        platform.say("w2")
        assert (await link.next()).text == "w2"
    assert [(id, what) for id, what, _ in link.lost] == [(receipt.message_id, code)]
    assert "550 User unknown" in link.lost[0][2]


@pytest.mark.parametrize(
    ("action", "status", "id"), [("delayed", "4.0.0", ""), ("failed", "5.1.1", "<other@example.org>"), ("relayed", "2.0.0", "")]
)
async def test_other_reports_say_nothing(platform: EmailPlatform, action: str, status: str, id: str) -> None:
    async with running(platform.channel) as link:
        [receipt] = await send(platform)
        platform.deliver(REPORT.format(action=action, status=status, kind="message/rfc822", id=id or receipt.message_id).encode())
        platform.say("w2")
        assert (await link.next()).text == "w2"
    assert link.lost == []


async def test_of_a_mail_that_is_too_large_the_beginning_is_read(dovecot: Dovecot, platform: EmailPlatform) -> None:
    async with email_platform(dovecot, platform.files.folder, maxMessageBytes=65_536) as small, running(small.channel) as link:
        small.write(Said(text="w1", files=(("a.pdf", b"x" * 400_000),)))
        message = await link.next()
        assert message.text == "w1"
        [file] = message.files
        assert small.channel.conversation is not None
        with pytest.raises(SendRefused) as refused:
            await small.channel.conversation.fetch(file, platform.files.folder / "in", 1_000_000)
        assert refused.value.trouble.code == "too_large"


async def test_a_file_of_a_mail_that_is_gone_is_said_to_be(platform: EmailPlatform) -> None:
    async with running(platform.channel) as link:
        platform.write(Said(text="w1", files=(("a.pdf", b"x"),)))
        [file] = (await link.next()).files
    platform.client.select("INBOX")
    platform.client.store("1", "+FLAGS", r"\Deleted")
    platform.client.expunge()
    assert platform.channel.conversation is not None
    with pytest.raises(SendRefused) as refused:
        await platform.channel.conversation.fetch(file, platform.files.folder / "in", 1000)
    assert refused.value.trouble.code == "gone"


@pytest.mark.parametrize(("settings", "words"), [({"imapPassword": "wrong"}, "imapPassword"), ({"imapMailbox": "No such"}, "imapMailbox")])
async def test_a_mailbox_that_can_not_be_opened_is_told(
    dovecot: Dovecot, platform: EmailPlatform, settings: dict[str, str], words: str
) -> None:
    async with email_platform(dovecot, platform.files.folder, **settings) as broken:
        with pytest.raises(ChannelFailed, match=words):
            async with running(broken.channel):
                pass


class ClosedDoor(RecordingLink):
    """No one may write."""

    async def accept(self, message: InboundMessage) -> str:
        await super().accept(message)
        return ""


async def test_strangers_leave_no_notes(platform: EmailPlatform) -> None:
    """A thousand mails under a thousand names must not push out what is kept of people."""
    async with running(platform.channel, ClosedDoor()) as link:
        platform.deliver(platform.mail("w1", id="<1@example.org>", answers=""))
        message = await link.next()
        platform.say("w2")
        await link.next()
    assert await platform.notes.get(thread_key(message.address.chat_id, message.address.thread_id)) is None
    platform.client.select("INBOX", readonly=True)
    assert platform.client.search(None, "SEEN")[1] == [b""]
