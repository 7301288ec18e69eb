"""A mailbox on a real dovecot, an SMTP server that fails as it is told to, and the channel between them."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import SMTP
from itertools import count
from pathlib import Path

from assistant.contracts.addresses import Address
from assistant.testing.channel_suite import Failure, Said, Seen
from channels.email.adapter import EmailChannel
from channels.email.kind import KIND
from channels.email.settings import EmailSettings
from tests.doubles.dovecot import PASSWORD, Dovecot
from tests.doubles.served import OpenedPlatform
from tests.doubles.smtp_server import SmtpServer
from tests.flow.relay import Relay, relaying

ANNA, OURS = "anna@example.org", "assistant@example.com"
PROVEN = "mx.example.com; dkim=pass header.d=example.org; dmarc=pass header.from=example.org"
_USERS = count(1)


class EmailPlatform(OpenedPlatform[EmailChannel]):
    kind = KIND
    address = Address(channel="email", chat_id=ANNA)
    bad_addresses = (
        Address(channel="email", chat_id="anna"),
        Address(channel="email", chat_id="Anna <anna@example.org>"),
        Address(channel="email", chat_id="anna@example.org\r\nBcc: x@example.org"),
        Address(channel="email", chat_id=OURS),
        Address(channel="email", chat_id=ANNA, thread_id="7"),
    )
    receives = True
    abilities = frozenset({"replies", "files", "files_in", "quotes_in", "bots", "reconnects"})
    failures = frozenset({"refuse", "limit", "lose", "hold", "server_error", "garbage", "unauthorized", "blocked", "files"})
    most_text = 200_000
    most_file = 18_000_000

    def __init__(self, dovecot: Dovecot, smtp: SmtpServer, relay: Relay, folder: Path, **settings: object) -> None:
        self.dovecot, self.smtp, self.relay = dovecot, smtp, relay
        self.user = f"user{next(_USERS)}"
        self.client = dovecot.login(self.user)
        given = EmailSettings.model_validate(
            {
                "enabled": True,
                "fromAddress": OURS,
                "imapHost": "127.0.0.1",
                "imapPort": int(relay.url.split(":")[2].partition("/")[0]),
                "imapUseSsl": False,
                "imapUsername": self.user,
                "imapPassword": PASSWORD,
                "smtpHost": "127.0.0.1",
                "smtpPort": smtp.port,
                "smtpUseTls": False,
                "authserv": ["mx.example.com"],
            }
            | settings
        )
        super().__init__(folder, given)

    def open(self) -> EmailChannel:
        return EmailChannel(self.settings, self.context, pause=0.01)

    def seen(self) -> Sequence[Seen]:
        return self.smtp.seen()

    def fail(self, how: Failure) -> None:
        self.smtp.fail(how)

    def heal(self) -> None:
        self.smtp.heal()

    def write(self, said: Said) -> str:
        id = said.id or f"<{next(_USERS)}@example.org>"
        text = said.text + (f"\n\nOn Mon, 4 May 2026 at 10:00, Ben <ben@example.org> wrote:\n> {said.quotes}\n" if said.quotes else "")
        more = {"Auto-Submitted": "auto-replied"} if said.by == "bot" else {}
        self.deliver(self.mail(text, id=id, by=OURS if said.by == "assistant" else ANNA, files=said.files, more=more))
        return id

    def mail(
        self,
        text: str,
        *,
        id: str = "<1@example.org>",
        by: str = ANNA,
        subject: str = "",
        answers: str = "<k.0.nanobot@example.com>",
        results: str = PROVEN,
        files: Sequence[tuple[str, bytes]] = (),
        more: Mapping[str, str] | None = None,
    ) -> bytes:
        """As a person's program writes it, and the server passes it on. `answers`: the ids of the mails before it; by default it goes on in the
        conversation that is in no thread."""
        mail = EmailMessage(policy=SMTP)
        headers = {"From": f"Anna <{by}>", "To": OURS, "Message-ID": id, "Authentication-Results": results, "Subject": subject}
        headers |= {"In-Reply-To": answers.split()[-1] if answers else "", "References": answers, **(more or {})}
        for name, value in headers.items():
            if value:
                mail[name] = value
        mail.set_content(text)
        for name, content in files:
            mail.add_attachment(content, maintype="application", subtype="pdf", filename=name)
        return mail.as_bytes()

    def deliver(self, mail: bytes) -> None:
        self.client.append("INBOX", "", "", mail)

    def acknowledged(self) -> bool:
        self.client.select("INBOX", readonly=True)
        return not any(self.client.search(None, "UNSEEN")[1])

    def drop(self) -> None:
        for near in self.relay.near:
            near.transport.abort()

    def garble(self) -> None:
        for mail in (b"\xff\xfe\x00garbage", b"", b"From: a@b, c@d\r\n\r\nhello\r\n", _nested()):
            self.deliver(mail)


def _nested() -> bytes:
    head = f"From: {ANNA}\r\nAuthentication-Results: {PROVEN}\r\n".encode()
    return head + b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(400))


@asynccontextmanager
async def email_platform(dovecot: Dovecot, folder: Path, **settings: object) -> AsyncGenerator[EmailPlatform]:
    async with SmtpServer() as smtp, relaying(dovecot.port) as relay:
        platform = EmailPlatform(dovecot, smtp, relay, folder, **settings)
        yield platform
        await platform.channel.close()
        platform.client.shutdown()
