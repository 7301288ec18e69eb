"""`nanobot send`, `deliveries`, `channels` and `pairing` where no server runs."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assistant.contracts.addresses import parse_address
from assistant.contracts.channels import ChannelStatus
from assistant.contracts.inbox import Pairing, Sender
from assistant.contracts.outbox import Claim, Origin, OutboundEvent, OutboundPart, Receipt, Settlement
from assistant.store.database import StoreSettings
from assistant.store.store import Store, open_store

from .nanobot_process import Nanobot
from .terminal import Terminal

TO = "telegram:123456789"


@pytest.fixture
def nanobot(tmp_path: Path) -> Nanobot:
    return Nanobot(folder=tmp_path)


def enable(nanobot: Nanobot, **telegram: object) -> None:
    content = {"channels": {"telegram": {"enabled": True, "token": "1:x", **telegram}}}
    (nanobot.folder / "config.json").write_text(json.dumps(content))


def kept(nanobot: Nanobot) -> list[dict[str, object]]:
    return [json.loads(line) for line in nanobot("deliveries", "list", "--json").stdout.splitlines()]


def test_what_is_sent_without_a_server_is_kept_and_said_to_wait_for_one(nanobot: Nanobot):
    enable(nanobot)
    done = nanobot("send", TO, "The backup is *done*.")
    assert (done.returncode, done.stderr) == (0, "")
    id, _, told = done.stdout.strip().partition("  ")
    assert told == "queued: no server runs that has the telegram channel; it goes out when one is started (nanobot serve)"
    assert [delivery["event"]["id"] for delivery in kept(nanobot)] == [id]  # pyright: ignore[reportIndexIssue]


def test_a_channel_that_is_off_is_named_as_the_reason(nanobot: Nanobot):
    done = nanobot("send", TO, "Hi.")
    assert done.returncode == 0
    assert "queued, but the telegram channel is not enabled: nothing will be delivered until it is" in done.stdout


def test_the_text_can_come_from_a_pipe_and_files_go_with_it(nanobot: Nanobot):
    (nanobot.folder / "build.log").write_text("ok\n")
    assert (
        nanobot("send", TO, "-", "--file", "build.log", given="line 1\nline 2 \ud83d\ude00\n".encode(errors="surrogatepass")).returncode
        == 0
    )
    (delivery,) = kept(nanobot)
    event = json.loads(json.dumps(delivery["event"]))
    assert event["text"].startswith("line 1\nline 2")
    assert (event["media"][0]["name"], event["media"][0]["size"]) == ("build.log", 3)


def test_the_same_key_sends_once_and_another_text_under_it_is_refused(nanobot: Nanobot):
    first, again = nanobot("send", TO, "Build 17.", "--key", "b17"), nanobot("send", TO, "Build 17.", "--key", "b17")
    assert first.stdout.split()[0] == again.stdout.split()[0]
    other = nanobot("send", TO, "Build 18.", "--key", "b17")
    assert (other.returncode, other.stderr) == (1, "nanobot: This --key was used for another message. Use a new one for a new message.\n")
    assert len(kept(nanobot)) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("pigeon:1", "Hi."), 1, 'There is no channel "pigeon". There are: telegram, discord, webhook, apprise.'),
        (("telegram", "Hi."), 1, 'An address is written <channel>:<chat_id>, such as "telegram:123456789".'),
        (("telegram:mother", "Hi."), 1, "A Telegram chat_id is a number"),
        ((TO,), 1, "The message is empty"),
        ((TO, "Hi.", "--at", "2999-01-01T00:00:00"), 1, "does not say where it holds"),
        ((TO, "Hi.", "--at", "2020-01-01T00:00:00Z"), 1, "is past"),
        ((TO, "Hi.", "--file", "none.txt"), 2, "none.txt is not a file."),
        ((TO, "Hi.", "--file", "."), 2, ". is not a file."),
        ((), 2, "Missing argument"),
    ],
)
def test_what_can_not_be_sent_is_one_line_and_nothing_is_kept(nanobot: Nanobot, arguments: tuple[str, ...], code: int, words: str):
    done = nanobot("send", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert kept(nanobot) == []


def test_deliveries_are_listed_shown_cancelled_and_tried_again(nanobot: Nanobot):
    id = nanobot("send", TO, "A long story.\nWith two lines, and \x1b[31mred.").stdout.split()[0]
    nanobot("send", "telegram:5", "Another.")
    lines = nanobot("deliveries", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "STATE", "TO", "TRIES", "SINCE", "(UTC)", "TEXT"]
    assert "Another." in lines[1]
    assert lines[2].split()[:4] == [id, "queued", TO, "0"]
    assert "A long story. With two lines, and \ufffd[31" in lines[2]
    shown = nanobot("deliveries", "show", id).stdout
    assert shown.startswith(f"{id}: queued, but the telegram channel is not enabled")
    assert ", not tried yet, expires " in shown
    assert "\nfrom     cli of local\n" in shown
    assert shown.endswith("A long story.\nWith two lines, and \ufffd[31mred.\n")
    assert nanobot("deliveries", "cancel", id).stdout == f"{id}  cancelled before it was sent\n"
    again = nanobot("deliveries", "cancel", id)
    assert (again.returncode, again.stdout) == (1, "")
    assert len(nanobot("deliveries", "list", "--state", "cancelled").stdout.splitlines()) == 2
    assert len(nanobot("deliveries", "list", "--channel", "discord").stdout.splitlines()) == 1
    assert nanobot("deliveries", "retry", id).stdout.startswith(f"{id}  queued, but")


def test_a_delivery_that_is_not_there_is_one_line_and_exit_code_1(nanobot: Nanobot):
    for command in ("show", "retry", "cancel"):
        done = nanobot("deliveries", command, "evt_none")
        assert (done.returncode, done.stdout) == (1, ""), command
        assert done.stderr.startswith("nanobot: There is no"), command
    wrong = nanobot("deliveries", "list", "--state", "lost")
    assert wrong.returncode == 2
    assert "must be one of queued, sending, sent, failed" in wrong.stderr


def test_in_a_terminal_the_list_fits_its_width(nanobot: Nanobot):
    nanobot("send", TO, "x" * 200)
    with Terminal(nanobot, "deliveries", "list") as terminal:
        assert terminal.read_to_the_end() == 0
        text = terminal.text
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert max(map(len, lines)) <= 100
    assert "queued" in text


def test_the_status_of_channels_says_that_no_server_runs(nanobot: Nanobot):
    enable(nanobot)
    lines = [line.split(maxsplit=1) for line in nanobot("channels", "status").stdout.splitlines()]
    assert [line[0] for line in lines] == ["CHANNEL", "telegram", "discord", "webhook", "apprise"]
    assert "enabled, but no server runs that has it (nanobot serve)" in lines[1][1]
    assert lines[2][1].startswith("off ")


def test_a_channel_without_its_token_says_so_at_login_and_to_the_doctor(nanobot: Nanobot):
    enable(nanobot, token="")
    done = nanobot("channels", "login", "telegram")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "nanobot: telegram: channels.telegram.token is not set: @BotFather gives one.\n"
    doctor = nanobot("doctor", "--model", "offline")
    assert doctor.returncode == 1
    assert "WRONG  telegram       channels.telegram.token is not set" in doctor.stdout
    nobody = nanobot("channels", "login", "pigeon")
    assert 'There is no channel "pigeon"' in nobody.stderr


def test_a_test_message_needs_somebody_to_go_to(nanobot: Nanobot):
    enable(nanobot)
    done = nanobot("channels", "test", "telegram")
    assert done.returncode == 2
    assert "channels.telegram.owners is empty" in done.stderr


def test_a_pairing_code_that_is_none_is_refused(nanobot: Nanobot):
    done = nanobot("pairing", "approve", "ABCD2345")
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no open pairing with this code" in done.stderr
    assert nanobot("pairing", "list").stdout.split()[:3] == ["CHANNEL", "SENDER", "ID"]


async def keep(nanobot: Nanobot, *, sender: str = "", status: ChannelStatus | None = None) -> Store:
    """The store that commands use, as a server left it."""
    nanobot.home.mkdir(exist_ok=True)
    store = await open_store(StoreSettings(), nanobot.home)
    now = datetime.now(UTC)
    if sender:
        asks = Sender(id=sender, name="Ada")
        await store.pairings.request(
            Pairing(channel="telegram", sender=asks, chat_id=sender, code="ABCD2345", created=now, expires_at=now + timedelta(hours=1)),
            most_open=3,
        )
    if status is not None:
        await store.channel_states.note(status)
    return store


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({}, "telegram 77 may not write\n"),
        ({"owners": ["77"]}, "telegram 77 is not paired any more, and may still write: channels.telegram.owners lets them\n"),
        ({"allowFrom": ["*"]}, "telegram 77 is not paired any more, and may still write: channels.telegram.allowFrom lets them\n"),
    ],
)
async def test_who_is_let_in_by_the_configuration_is_not_said_to_be_kept_out(nanobot: Nanobot, names: dict[str, list[str]], told: str):
    enable(nanobot, **names)
    await (await keep(nanobot, sender="77")).close()
    assert (await asyncio.to_thread(nanobot, "pairing", "revoke", "Telegram", "77")).stdout == told


async def test_a_message_to_a_channel_that_is_stopped_says_why_it_waits(nanobot: Nanobot):
    enable(nanobot)
    (nanobot.folder / "config.json").write_text(
        json.dumps({"channels": {"telegram": {"enabled": True, "token": "1:x"}}, "deliver": {"receiptWait": 0}})
    )
    stopped = ChannelStatus(name="telegram", state="stopped", detail="the token was revoked", since=datetime.now(UTC))
    store = await keep(nanobot, status=stopped)  # stays open: states are those of processes that live
    try:
        done = await asyncio.to_thread(nanobot, "send", TO, "Hello")
    finally:
        await store.close()
    assert done.returncode == 0, done.stderr
    assert "queued: the telegram channel is stopped (the token was revoked); it is sent once that is fixed" in done.stdout


async def test_of_two_servers_the_state_of_the_one_that_holds_the_channel_is_told(nanobot: Nanobot):
    enable(nanobot)
    since = datetime.now(UTC)
    held = ChannelStatus(name="telegram", state="connected", detail="@bot", since=since)
    standby = ChannelStatus(name="telegram", state="standby", detail="held by another server", since=since - timedelta(hours=1))
    stores = [await keep(nanobot, status=each) for each in (held, standby)]
    try:
        told = await asyncio.to_thread(nanobot, "channels", "status")
        checked = await asyncio.to_thread(nanobot, "doctor", "--model", "offline")
    finally:
        for store in stores:
            await store.close()
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("telegram")]
    assert line.split()[1] == "connected"
    assert line.endswith("@bot; 1 other server stands by")
    assert "several servers share it, of which one holds telegram and others stand by" in checked.stdout


async def test_what_a_platform_reported_later_is_shown(nanobot: Nanobot) -> None:
    nanobot.home.mkdir()
    store = await open_store(StoreSettings(), nanobot.home)
    now = datetime.now(UTC)
    sent = OutboundEvent(
        id="evt_" + "7" * 28,
        address=parse_address(TO),
        text="one|two|three",
        expires_at=now + timedelta(days=1),
        origin=Origin(kind="cli", owner="local"),
    )
    await store.outbox.enqueue([sent])
    claim = await store.outbox.claim(sent.address.lane, timedelta(seconds=15))
    assert isinstance(claim, Claim)
    parts = [OutboundPart(text=text, plain=text) for text in ("one", "two", "three")]
    assert await store.outbox.note(claim, plan=parts)
    for place in range(3):
        assert await store.outbox.note(claim, start=place, receipt=(place, Receipt(message_id=f"m{place}", at=now)))
    assert await store.outbox.note(claim, settle=Settlement(state="sent"))
    assert await store.outbox.delivered("telegram", "m0")
    assert await store.outbox.delivered("telegram", "m1", read=True)
    await store.close()
    shown = (await asyncio.to_thread(nanobot, "deliveries", "show", sent.id)).stdout.splitlines()
    ends = [line.partition(", message ")[2].split()[:2] for line in shown if line.startswith("part ")]
    assert ends == [["m0,", "delivered"], ["m1,", "read"], ["m2"]]
