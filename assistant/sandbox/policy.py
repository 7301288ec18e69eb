"""What a command may see, and how much it may take: the same on every rung, as far as the rung can hold it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from assistant.contracts.errors import ToolFailed
from assistant.contracts.records import record
from assistant.contracts.sandbox import SandboxCommand

SYSTEM: Final = (Path("/usr"),)
LINKED: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Folders of / that are links into /usr, or, on older systems, folders of programs."""
CERTIFICATES: Final = tuple(
    map(Path, ("/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki/tls/certs", "/etc/pki/ca-trust"))
)
"""Whom programs trust; never the folder beside them, where a machine keeps its own keys."""
LOADER: Final = tuple(map(Path, ("/etc/ld.so.cache", "/etc/alternatives")))
WORKSPACE: Final = "/workspace"
PROXY_PORT: Final = 3128
"""Where a command with hosts finds the proxy, in its own network."""
USER: Final = 60_999
"""The user and group of commands where the server runs as root. Nothing else of a machine uses it: it is outside of the ranges that Debian, Fedora
and systemd give away."""
TMP_BYTES: Final = 256 * 1024**2
FILE_SIZE: Final = 1024**3
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


@record
class Guarded:
    """The server's own files. Of nested folders the innermost decides."""

    private: tuple[Path, ...] = ()
    """The state, the configuration, the folders of people."""
    public: tuple[Path, ...] = ()
    """The workspace, where programs of skills are."""

    def may_read(self, path: Path) -> bool:
        """Whether nothing private is at `path`, above it or below it. `path`: resolved."""
        if any(secret.is_relative_to(path) for secret in self.private):
            return False
        around = [(len(each.parts), each in self.public) for each in (*self.private, *self.public) if path.is_relative_to(each)]
        return max(around)[1] if around else True

    def inside(self, shown: Sequence[Path]) -> list[Path]:
        """What is private and lies in what is shown."""
        return [secret for secret in self.private if secret.exists() and any(secret.is_relative_to(path.resolve()) for path in shown)]


def readable(command: SandboxCommand, guarded: Guarded) -> list[Path]:
    """What may be read, besides the folder and the links. Raises ToolFailed where the command asks for what is the server's."""
    for path in command.readable:
        if not guarded.may_read(path.resolve()):
            raise ToolFailed(f"{path} holds files of the server: a command can't be given it. Name a folder beside it.")
    return [path for path in (*SYSTEM, *CERTIFICATES, *LOADER, *command.readable) if path.exists()]


def environment(command: SandboxCommand, home: str, tmp: str, proxy: str = "") -> Mapping[str, str]:
    """Exactly what a command's environment holds; nothing of the server's is passed on. What `command` names goes over it."""
    made = {
        "PATH": _PATH,
        "HOME": home,
        "PWD": home,
        "TMPDIR": tmp,
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "USER": "nanobot",
        "LOGNAME": "nanobot",
    }
    if proxy:
        made |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), proxy) | {
            "NO_PROXY": "",
            "no_proxy": "",
        }
    return made | dict(command.environment)


def limits(command: SandboxCommand) -> Mapping[str, int]:
    """The limits of each process, by their names in `resource`; of all together: `watch.py`."""
    return {
        "RLIMIT_DATA": command.memory_bytes,
        "RLIMIT_CPU": int(command.seconds) + 1 if command.seconds else 24 * 3_600,
        "RLIMIT_FSIZE": FILE_SIZE,
        "RLIMIT_NOFILE": 1_024,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 64 * 1024,
        "RLIMIT_MSGQUEUE": 0,
    }


def shared_folder(command: SandboxCommand) -> Path | None:
    """Where /workspace/shared goes, made where it is missing. Raises ToolFailed where something of the person's is in its way."""
    if command.shared is None:
        return None
    place = command.folder / "shared"
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise ToolFailed(
            "Not run: 'shared' in the workspace must be a folder, for the files of the household. Rename the file of that name."
        )
    place.mkdir(exist_ok=True)
    return command.shared
