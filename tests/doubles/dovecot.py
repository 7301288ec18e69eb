"""A real dovecot as a process of the tests' own, on loopback, with a mailbox for each user name that logs in."""

import imaplib
import os
import pwd
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.doubles.programs import running_program

PASSWORD = "pass-word"
_PROGRAM = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MISSING = "" if _PROGRAM else "dovecot is not installed (Debian: dovecot-imapd)"
_CONFIG = """
base_dir = {base}/run
state_dir = {base}/run
log_path = {base}/log
protocols = imap
listen = 127.0.0.1
ssl = {ssl}
disable_plaintext_auth = no
auth_mechanisms = plain login
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
first_valid_uid = 0
auth_failure_delay = 0
mail_fsync = never
mail_location = maildir:{base}/mail/%u
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={mail_user} gid={mail_group} home={base}/mail/%u
}}
service imap-login {{
  chroot =
  process_min_avail = 1
  service_count = 0
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service imap {{
  process_min_avail = 2
  service_count = 0
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
namespace inbox {{
  inbox = yes
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
}}
{extra}
"""


class Dovecot:
    def __init__(self, port: int, tls_port: int, folder: Path) -> None:
        self.port = port
        self.tls_port = tls_port
        self.folder = folder

    def login(self, user: str) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=30)
        client.login(user, PASSWORD)
        return client


@contextmanager
def running_dovecot(ports: tuple[int, int], *, tls: tuple[Path, Path] | None = None) -> Generator[Dovecot]:
    """`tls`: a certificate and its key. Its folder is not among pytest's, which only their owner may enter: root's mailboxes are another user's."""
    with TemporaryDirectory(prefix="dovecot-", ignore_cleanup_errors=True) as folder:  # its processes may end after it
        yield from _running(Path(folder), ports, tls)


def _running(folder: Path, ports: tuple[int, int], tls: tuple[Path, Path] | None) -> Generator[Dovecot]:
    assert _PROGRAM is not None, MISSING
    root = os.getuid() == 0
    me = pwd.getpwuid(os.getuid()).pw_name
    mail = pwd.getpwnam("mail") if root else pwd.getpwuid(os.getuid())
    user = pwd.getpwnam("dovecot") if root else mail
    (folder / "run").mkdir()
    (folder / "mail").mkdir()
    folder.chmod(0o755)
    if root:
        os.chown(folder / "mail", mail.pw_uid, mail.pw_gid)
    values: dict[str, Any] = {
        "base": folder,
        "user": user.pw_name if root else me,
        "group": "dovecot" if root else str(mail.pw_gid),
        "mail_user": mail.pw_uid,
        "mail_group": mail.pw_gid,
        "password": PASSWORD,
        "port": ports[0],
        "tls_port": ports[1] if tls else 0,
        "ssl": "yes" if tls else "no",
        "extra": f"ssl_cert = <{tls[0]}\nssl_key = <{tls[1]}" if tls else "",
    }
    config = folder / "dovecot.conf"
    config.write_text(_CONFIG.format(**values))
    with running_program([_PROGRAM, "-F", "-c", str(config)], ports[0], folder / "log"):
        yield Dovecot(ports[0], ports[1], folder)
