"""A real prosody as a process of the tests' own, on loopback, with an account for each test."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.doubles.programs import running_program

PASSWORD = "pass-word"
_PROGRAM = shutil.which("prosody", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MISSING = "" if _PROGRAM else "prosody is not installed (Debian: prosody)"
_CONFIG = """
run_as_root = true
data_path = "{base}/data"
pidfile = "{base}/pid"
plugin_paths = {{ "{plugins}" }}
log = {{ {{ levels = {{ min = "warn" }}, to = "file", filename = "{base}/log" }} }}
certificates = "{base}"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
http_ports = {{ {http} }}
http_interfaces = {{ "127.0.0.1" }}
https_ports = {{}}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "mam", "smacks", "ping", "pep", "witness" }}
modules_disabled = {{ "s2s" }}
witness_folder = "{base}"
c2s_require_encryption = {tls}
allow_unencrypted_plain_auth = true
{certificate}
disable_sasl_mechanisms = {{ {mechanisms} }}
authentication = "internal_plain"
default_storage = "memory"
storage = {{ accounts = "internal" }}
VirtualHost "localhost"
Component "rooms.localhost" "muc"
  modules_enabled = {{ "muc_mam" }}
  muc_room_locking = false
  muc_room_default_public_jids = true
  muc_log_by_default = true
Component "upload.localhost" "http_file_share"
  http_host = "127.0.0.1"
  http_external_url = "http://127.0.0.1:{http}/"
  http_file_share_access = {{ "localhost" }}
"""


class Prosody:
    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder

    def account(self, name: str) -> str:
        """A new account, or one with the right password again; returns its address."""
        self.set_password(name, PASSWORD)
        return f"{name}@localhost"

    def set_password(self, name: str, password: str) -> None:
        self._put(f"data/localhost/accounts/{name}.dat", f'return {{ ["password"] = "{password}"; }};\n')

    def seen(self, name: str) -> list[str]:
        """The stanzas that an account has sent. Of one that is being written down the end is not there yet."""
        file = self.folder / f"seen-{name}"
        return [line.decode() for line in file.read_bytes().split(b"\n")[:-1]] if file.exists() else []

    def fail(self, name: str, how: str) -> None:
        """What the next message of an account meets; empty: nothing."""
        self._put(f"fault-{name}", how)

    def _put(self, name: str, text: str) -> None:
        """At once, as the server may read it at any time."""
        made = self.folder / "made"
        made.write_text(text)
        made.replace(self.folder / name)


@contextmanager
def running_prosody(port: int, http: int, *, certificate: tuple[Path, Path] | None = None) -> Generator[Prosody]:
    assert _PROGRAM is not None, MISSING
    with TemporaryDirectory(prefix="prosody-") as name:
        folder = Path(name)
        (folder / "data/localhost/accounts").mkdir(parents=True)
        tls = f'ssl = {{ certificate = "{certificate[0]}", key = "{certificate[1]}" }}' if certificate else ""
        config = _CONFIG.format(
            base=folder,
            plugins=Path(__file__).parent,
            port=port,
            http=http,
            tls="true" if certificate else "false",
            certificate=tls,
            mechanisms='"PLAIN"' if certificate else '"SCRAM-SHA-1", "SCRAM-SHA-256"',  # whose rounds take 50 ms of Python
        )
        (folder / "prosody.cfg.lua").write_text(config)
        with running_program([_PROGRAM, "-F", "--config", str(folder / "prosody.cfg.lua")], port, folder / "log"):
            yield Prosody(port, folder)
