"""What the server says to a mail at each stage, and what the sender makes of it."""

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assistant.contracts.channels import ChannelFailed, SendLater, SendRefused, SendUnclear
from assistant.testing.platform import event_to, running, send
from tests.doubles.dovecot import Dovecot
from tests.doubles.smtp_server import TOKEN, Stage
from tests.flow.email.rig import ANNA, OURS, EmailPlatform, email_platform

REFUSALS = [
    ("connect", "421 4.3.2 Service shutting down", SendLater, "not_now"),
    ("connect", "554 5.7.1 Your address is on a blocklist", SendRefused, "sender_refused"),
    ("login", "454 4.7.0 Temporary authentication failure", SendLater, "not_now"),
    ("login", "535 5.7.8 Bad credentials", SendLater, "unauthorized"),
    ("mail", "451 4.3.0 Try later", SendLater, "not_now"),
    ("mail", "421 4.3.2 Service shutting down", SendLater, "not_now"),
    ("mail", "452 4.3.1 Insufficient system storage", SendLater, "not_now"),
    ("mail", "530 5.7.0 Authentication required", SendLater, "unauthorized"),
    ("mail", "550 5.7.1 Sender not allowed", SendRefused, "sender_refused"),
    ("rcpt", "421 4.4.2 Timeout", SendLater, "not_now"),
    ("rcpt", "450 4.2.0 Greylisted, please come back in 00:05:00", SendLater, "flood_wait"),
    ("rcpt", "450 4.2.1 The user is receiving mail at a rate that is too fast", SendLater, "flood_wait"),
    ("rcpt", "452 4.2.2 Mailbox full", SendLater, "not_now"),
    ("rcpt", "550 5.1.1 User unknown", SendRefused, "no_such_address"),
    ("rcpt", "552 5.2.2 Mailbox full", SendRefused, "mailbox_full"),
    ("rcpt", "554 5.7.1 Relay access denied", SendRefused, "blocked"),
    ("rcpt", "550 no", SendRefused, "refused"),
    ("data", "451 4.3.0 Local error", SendLater, "not_now"),
    ("data", "554 5.5.1 No valid recipients", SendRefused, "refused"),
    ("end", "451 4.7.1 Try again in 5 minutes", SendLater, "flood_wait"),
    ("end", "421 4.7.0 Too many messages", SendLater, "flood_wait"),
    ("end", "554 5.7.1 Spam", SendRefused, "blocked"),
    ("end", "299 what", SendUnclear, "no_answer"),
    ("end", "lose", SendUnclear, "no_answer"),
    ("end", "garbage", SendUnclear, "no_answer"),
    ("rcpt", "lose", SendLater, "network"),
    ("mail", "lose", SendLater, "network"),
]


@pytest.mark.parametrize(("stage", "answer", "kind", "code"), REFUSALS)
@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
async def test_a_mail_is_accepted_with_the_answer_to_its_end_and_not_before(
    platform: EmailPlatform, stage: Stage, answer: str, kind: type[Exception], code: str, kept: bool, together: bool
) -> None:
    platform.smtp.pipelining = together
    if kept and stage in ("connect", "login"):
        pytest.skip("a kept connection is logged in")
    if kept:
        await send(platform, "w0", key="first")
    platform.smtp.fail_at(stage, answer)
    if kept and stage in ("mail", "rcpt") and answer.startswith(("lose", "421")):
        await send(platform)
        assert platform.texts() == ["w0", "w1"], "a connection that was closed meanwhile is made anew"
        return
    with pytest.raises(kind) as failed:
        await send(platform)
    assert failed.value.trouble.code == code  # type: ignore[attr-defined]
    arrived = stage == "end" and answer in ("lose", "garbage")
    assert platform.texts()[kept:] == ["w1"] * arrived
    await send(platform, "w2", key="next")
    assert platform.texts()[-1] == "w2"


@pytest.mark.parametrize(("together", "trips"), [(False, 4), (True, 2)], ids=["one by one", "together"])
async def test_commands_go_together_where_the_server_takes_that(platform: EmailPlatform, together: bool, trips: int) -> None:
    platform.smtp.pipelining = together
    await send(platform)
    before = len(platform.smtp.pieces)
    await send(platform, "w2", key="next")
    commands = [piece.split(b" ")[0].split(b"\r\n")[0] for piece in platform.smtp.pieces[before:]]
    assert len(commands) == trips
    assert commands[:-1] == [b"MAIL", b"RCPT", b"DATA"][: trips - 1]
    assert platform.texts() == ["w1", "w2"]


@pytest.mark.parametrize("end", ["554 5.5.1 No valid recipients", "250 2.0.0 Ok"])
async def test_a_server_that_waits_for_a_mail_to_no_one_gets_none(platform: EmailPlatform, end: str) -> None:
    """https://www.rfc-editor.org/rfc/rfc2920#section-3.1: a server may take DATA after it refused every receiver."""
    platform.smtp.fail_at("rcpt", "550 5.1.1 User unknown")
    platform.smtp.fail_at("data", "354 Go ahead")
    platform.smtp.fail_at("end", end)
    with pytest.raises(SendRefused, match="User unknown"):
        await send(platform)
    await send(platform, "w2", key="next")
    assert platform.texts() == ["w2"]
    assert b".\r\n" in platform.smtp.pieces


async def test_a_wait_that_the_server_names_is_obeyed(platform: EmailPlatform) -> None:
    platform.smtp.fail_at("rcpt", "450 4.2.0 Greylisted, please come back in 00:05:00")
    with pytest.raises(SendLater) as later:
        await send(platform)
    assert later.value.retry_after == 300


async def test_connections_are_kept_and_each_mail_has_one_receiver(platform: EmailPlatform) -> None:
    for number in range(5):
        await send(platform, f"w{number}", key=f"k{number}x")
    assert platform.smtp.connections == 1
    assert platform.smtp.envelopes == [(OURS, ANNA)] * 5


async def test_what_a_mail_looks_like(platform: EmailPlatform) -> None:
    await send(platform, "# Backup **done**\n\nAll _fine_: [log](https://example.org/x)")
    [mail] = platform.smtp.mails
    html = mail.get_body(("html",))
    plain = mail.get_body(("plain",))
    assert html is not None
    assert plain is not None
    assert "<h1>" in html.get_content()
    assert '<a href="https://example.org/x">log</a>' in html.get_content()
    assert plain.get_content().startswith("Backup done\r\n")
    assert (mail["Subject"], mail["From"], mail["To"]) == ("Backup done", f"nanobot <{OURS}>", ANNA)
    assert (mail["Auto-Submitted"], mail["X-Loop"], mail["In-Reply-To"]) == ("auto-generated", OURS, None)
    assert mail.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize(
    "text",
    ["short", "für 5 €", "日本語" * 100, "a " * 3000 + "a", "x" * 3000, ".\n..\n.", "From here\nand on", "=3D =?utf-8?q?x?=", "a\x0bb"],
    ids=range(9),
)
async def test_the_words_arrive_as_they_are(platform: EmailPlatform, text: str) -> None:
    await send(platform, event=event_to(platform.address, f"```\n{text}\n```"))
    [mail] = platform.smtp.mails
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    words = text.replace("\x0b", "")
    assert str(plain.get_content()).replace("\r\n", "\n").strip("\n") == words.strip("\n")
    assert words.splitlines()[0] in html.get_content()
    assert all(len(line) <= 998 for line in mail.as_bytes().splitlines())


@pytest.mark.parametrize(
    "name", ["a.txt", "ü b.txt", "日本語.pdf", 'a"b\\.txt', "a;b=c.txt", "x" * 250 + ".txt", "=?utf-8?q?x?=.txt"], ids=range(7)
)
async def test_the_name_of_a_file_arrives_as_it_is(platform: EmailPlatform, name: str) -> None:
    media = platform.files.put(name, b"\x00\xff" * 100, "text/plain")
    await send(platform, event=event_to(platform.address, "w1", media=(media,)))
    [file] = platform.smtp.mails[0].iter_attachments()
    assert (file.get_filename(), file.get_payload(decode=True)) == (media.name, b"\x00\xff" * 100)


@pytest.mark.parametrize(
    "text", ["a\nBcc: x@example.org", "ü" * 300, "👩‍👩‍👧 \u2028 x", "=?utf-8?q?x?=", "\t", "x\r\n\r\n.\r\nMAIL FROM:<a@b>"]
)
async def test_no_text_gets_out_of_its_place(platform: EmailPlatform, text: str) -> None:
    await send(platform, f"{text} w1")
    [mail] = platform.smtp.mails
    assert mail["Bcc"] is None
    assert len(str(mail["Subject"])) <= 75
    assert platform.smtp.envelopes == [(OURS, ANNA)]


async def test_what_arrived_though_its_answer_was_lost_is_not_sent_again(platform: EmailPlatform) -> None:
    """The provider files what it sends; the mail is found there by its Message-ID."""
    platform.fail("lose")
    with pytest.raises(SendUnclear):
        await send(platform)
    platform.client.append("Sent", "", "", platform.smtp.mails[0].as_bytes())
    [receipt] = await send(platform, again=datetime.now(UTC))
    assert receipt.message_id == platform.smtp.mails[0]["Message-ID"]
    assert platform.texts() == ["w1"]


async def test_what_did_not_arrive_is_sent_again_as_the_same_mail(platform: EmailPlatform) -> None:
    await send(platform, again=datetime.now(UTC))
    await send(platform, again=datetime.now(UTC))
    assert platform.texts() == ["w1", "w1"]
    assert platform.smtp.mails[0]["Message-ID"] == platform.smtp.mails[1]["Message-ID"]


async def test_where_the_folder_of_sent_mails_can_not_be_read_nothing_is_sent(platform: EmailPlatform) -> None:
    platform.relay.port = 1
    with pytest.raises(SendLater):
        await send(platform, again=datetime.now(UTC))
    assert platform.texts() == []


async def test_an_answer_stays_in_its_thread(platform: EmailPlatform) -> None:
    async with running(platform.channel) as link:
        platform.deliver(platform.mail("At one?", subject="Lunch", id="<1@example.org>", answers=""))
        message = await link.next()
        assert message.text == "Lunch\n\nAt one?"
        assert message.address.thread_id is not None
        event = replace(event_to(message.address, "Yes."), reply_to=message.message_id)
        [receipt] = await send(platform, event=event)
        [mail] = platform.smtp.mails
        assert (mail["Subject"], mail["In-Reply-To"], mail["References"]) == ("Re: Lunch", "<1@example.org>", "<1@example.org>")
        assert mail["Auto-Submitted"] == "auto-replied"
        references = f"<1@example.org> {receipt.message_id}"
        platform.deliver(platform.mail("Thanks", subject="Re: Lunch", id="<2@example.org>", answers=references))
        second = await link.next()
        assert second.address == message.address
        await send(platform, key="b", event=event_to(message.address, "A reminder."))
        assert platform.smtp.mails[-1]["References"].split() == [*references.split(), "<2@example.org>"]
        platform.deliver(platform.mail("Other", subject="Other", id="<3@example.org>", answers=""))
        assert (await link.next()).address != message.address


async def test_an_answer_to_a_mail_of_its_own_is_in_the_conversation_that_sent_it(platform: EmailPlatform) -> None:
    async with running(platform.channel) as link:
        [receipt] = await send(platform, "Take the bins out.")
        platform.deliver(platform.mail("Done", subject="Re: Take the bins out.", id="<1@example.org>", answers=str(receipt.message_id)))
        message = await link.next()
        assert (message.address, message.text) == (platform.address, "Done")
        await send(platform, key="b", event=replace(event_to(message.address, "Good."), reply_to=message.message_id))
    mail = platform.smtp.mails[-1]
    assert (mail["Subject"], mail["References"]) == ("Re: Take the bins out.", f"{receipt.message_id} <1@example.org>")


def printing(folder: Path, text: str, status: int = 0) -> list[str]:
    program = folder / "token.py"
    program.write_text(f"import sys\nprint({text!r})\nsys.exit({status})\n")
    return [sys.executable, str(program)]


async def test_a_token_is_used_in_place_of_a_password(dovecot: Dovecot, tmp_path: Path) -> None:
    async with email_platform(dovecot, tmp_path, imapHost="", imapPassword="", tokenCommand=printing(tmp_path, TOKEN)) as platform:
        await send(platform)
        assert platform.texts() == ["w1"]


async def test_a_token_that_is_printed_in_pieces_is_read_whole(dovecot: Dovecot, tmp_path: Path) -> None:
    program = tmp_path / "token.py"
    pieces = f"import sys, time\nfor piece in {TOKEN[:5]!r}, {TOKEN[5:]!r}:\n    print(piece, end='', flush=True)\n    time.sleep(0.05)\n"
    program.write_text(pieces)
    async with email_platform(dovecot, tmp_path, imapHost="", imapPassword="", tokenCommand=[sys.executable, str(program)]) as platform:
        await send(platform)
        assert platform.texts() == ["w1"]


@pytest.mark.parametrize(("text", "status"), [("", 0), ("two words", 0), (TOKEN, 1)])
async def test_a_command_that_prints_no_token_is_told(dovecot: Dovecot, tmp_path: Path, text: str, status: int) -> None:
    async with email_platform(dovecot, tmp_path, imapHost="", imapPassword="", tokenCommand=printing(tmp_path, text, status)) as platform:
        with pytest.raises(ChannelFailed) as failed:
            await platform.channel.identity()
        assert TOKEN not in str(failed.value)
        with pytest.raises(SendLater) as later:
            await send(platform)
        assert later.value.whole_channel


async def test_a_wrong_token_is_told(dovecot: Dovecot, tmp_path: Path) -> None:
    async with email_platform(dovecot, tmp_path, imapHost="", imapPassword="", tokenCommand=printing(tmp_path, "wrong")) as platform:
        with pytest.raises(ChannelFailed) as failed:
            await platform.channel.identity()
        assert failed.value.fatal


async def test_twenty_mails_need_no_more_than_five_connections(platform: EmailPlatform) -> None:
    await asyncio.gather(*[send(platform, f"w{number}", key=f"k{number}x") for number in range(20)])
    assert len(platform.texts()) == 20
    assert platform.smtp.connections <= 5
