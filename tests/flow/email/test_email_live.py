"""The whole server: a mail in, an answer out. And TLS, with the certificate of a server of one's own."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from assistant.contracts.channels import ChannelFailed, SendLater
from assistant.testing.platform import WITHIN, running, send
from tests.doubles.dovecot import MISSING, Dovecot, running_dovecot
from tests.doubles.live_server import LiveServer, free_port, live_server, offline
from tests.doubles.smtp_server import SmtpServer
from tests.flow.email.rig import ANNA, EmailPlatform, email_platform

CERTIFIED = "127.1"  # a name of loopback that is none for the settings, which so ask for TLS


async def connected(server: LiveServer) -> None:
    async with asyncio.timeout(WITHIN), httpx2.AsyncClient(base_url=server.url, timeout=WITHIN) as client:
        while not any(each["state"] == "connected" for each in (await client.get("/ready")).json()["channels"]):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


async def delivered(server: LiveServer) -> str:
    """The deliveries, when all have ended."""
    async with asyncio.timeout(WITHIN), httpx2.AsyncClient(base_url=server.url, timeout=WITHIN) as client:
        while '"state":"sent"' not in (listed := (await client.get("/v1/deliveries")).text):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        return listed


async def test_a_mail_is_answered_by_the_whole_server(platform: EmailPlatform, tmp_path: Path) -> None:
    given = platform.settings.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    section: dict[str, Any] = {**given, "imapPassword": "pass-word", "imapPort": platform.dovecot.port, "owners": [ANNA]}
    with live_server(tmp_path / "home", config={**offline(), "channels": {"email": section}}) as server:
        await connected(server)
        platform.deliver(platform.mail("send me a word", subject="Lunch", answers=""))
        async with asyncio.timeout(WITHIN):
            await platform.smtp.arrived.wait()
        listed = await delivered(server)
    [answer] = platform.smtp.mails
    assert (answer["Subject"], answer["In-Reply-To"], answer["To"]) == ("Re: Lunch", "<1@example.org>", ANNA)
    assert str(answer["Message-ID"]) in listed


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    if MISSING or shutil.which("openssl") is None:
        pytest.skip(MISSING or "openssl is not installed")
    line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.1 -keyout key.pem -out cert.pem"
    alternative = f"subjectAltName=DNS:{CERTIFIED},DNS:localhost,IP:127.0.0.1"
    subprocess.run([*line.split(), "-addext", alternative], cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
async def secured(certificate: tuple[Path, Path], tmp_path: Path) -> AsyncGenerator[tuple[Dovecot, SmtpServer]]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    with running_dovecot((free_port(), free_port()), tls=certificate) as dovecot:
        async with SmtpServer(tls=context) as smtp:
            yield dovecot, smtp


@pytest.mark.parametrize("starttls", [False, True], ids=["from the first byte", "STARTTLS"])
async def test_with_a_certificate_that_is_trusted_all_goes_by_tls(
    secured: tuple[Dovecot, SmtpServer], certificate: tuple[Path, Path], tmp_path: Path, starttls: bool
) -> None:
    dovecot, smtp = secured
    settings = {
        "imapHost": CERTIFIED,
        "imapPort": dovecot.port if starttls else dovecot.tls_port,
        "imapUseSsl": not starttls,
        "smtpHost": CERTIFIED,
        "smtpPort": smtp.port,
        "smtpUseTls": True,
        "caFile": str(certificate[0]),
    }
    async with email_platform(dovecot, tmp_path, **settings) as platform, running(platform.channel) as link:
        platform.say("w1")
        assert (await link.next()).text == "w1"
        await send(platform, "w2")
    assert [each.text for each in smtp.seen()] == ["w2"]


async def test_a_certificate_that_is_not_trusted_gets_no_password(secured: tuple[Dovecot, SmtpServer], tmp_path: Path) -> None:
    dovecot, smtp = secured
    settings = {"imapHost": CERTIFIED, "imapPort": dovecot.tls_port, "imapUseSsl": True, "smtpHost": CERTIFIED, "smtpPort": smtp.port}
    async with email_platform(dovecot, tmp_path, **settings, smtpUseTls=True) as platform:
        with pytest.raises(SendLater):
            await send(platform)
        with pytest.raises(ChannelFailed):
            await platform.channel.run(link=None)  # type: ignore[arg-type]
    assert smtp.logins == []
