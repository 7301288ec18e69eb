"""`nanobot service install | uninstall | status`: the server as a service of systemd or launchd."""

import os
import plistlib
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Annotated, Final

import typer

from assistant.cli.shared import ConfigOption, configured
from assistant.config import Loaded
from assistant.contracts.errors import InvalidRequest, NanobotError
from assistant.contracts.records import record

commands = typer.Typer(name="service", help="Run the server as a service of this machine.", no_args_is_help=True)
SystemOption = Annotated[bool, typer.Option("--system", help="Of the machine (needs root), not of this user.")]
NAME: Final = "nanobot.service"
LABEL: Final = "nanobot.serve"
_BARE: Final = re.compile(r"[\w./=:@-]+")
_UNIT: Final = Template("""\
# Written by `nanobot service install`; `systemctl edit` changes it and keeps what you write.
[Unit]
Description=nanobot, a personal assistant
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=exec
ExecStart=$command
WorkingDirectory=$folder
Environment=$environment
# Keys of providers, NAME=VALUE; secrets.env in the state's folder is read in any case.
EnvironmentFile=-$keys
Restart=on-failure
RestartSec=5
KillSignal=SIGTERM
TimeoutStopSec=$stop
UMask=0077
LimitNOFILE=65536
$user
# What it may do. The sandbox in which the assistant's commands run is made of namespaces and mounts, and needs /proc as it is:
# RestrictNamespaces, ProtectKernelTunables, ProtectKernelLogs, ProtectProc and ProcSubset would take it away, for less than it gives.
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service @mount landlock_create_ruleset landlock_add_rule landlock_restrict_self
SystemCallErrorNumber=EPERM
$more
[Install]
WantedBy=$target
""")
_OF_MACHINE: Final = Template("""\
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ReadWritePaths=$writes
ProtectHome=$homes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelModules=yes
RemoveIPC=yes
""")


@record
class ServiceFile:
    """What describes the service, where it belongs, and the commands that make the system know it, and forget it."""

    path: Path
    text: str
    begin: Sequence[Sequence[str]]
    end: Sequence[Sequence[str]]
    state: Sequence[str]
    then: str
    """What else there is to know."""


@commands.command()
def install(
    system: SystemOption = False,
    show: Annotated[bool, typer.Option("--print", help="Print what would be written, and do nothing.")] = False,
    config: ConfigOption = None,
) -> None:
    """Write the service, start it, and start it again with the machine.

    A systemd unit on Linux, of this user or with --system of the machine, in which the server may write its state and workspace only; a launchd agent
    on macOS. Keys of providers go into service.env or secrets.env in the state's folder.

    Example: nanobot service install --print
    """
    found = _described(configured(config), system=system)
    if show:
        typer.echo(f"# {found.path}", err=True)
        typer.echo(found.text, nl=False)
        return
    try:
        found.path.parent.mkdir(parents=True, exist_ok=True)
        new = found.path.with_name(f".{found.path.name}.new")
        new.write_text(found.text, encoding="utf-8")
        new.replace(found.path)
    except OSError as error:
        raise NanobotError(f"{found.path} can't be written: {error.strerror}.{' Run it as root.' if system else ''}") from None
    _run(found.begin)
    typer.echo(f"{found.path} is installed, and the server started. {found.then}")


@commands.command()
def uninstall(system: SystemOption = False, config: ConfigOption = None) -> None:
    """Stop the service and remove it. The state stays.

    Example: nanobot service uninstall
    """
    found = _described(configured(config), system=system)
    if not found.path.exists():
        raise InvalidRequest(f"{found.path} does not exist: the service is not installed.")
    _run(found.end)
    found.path.unlink()
    typer.echo(f"{found.path} is removed")


@commands.command()
def status(system: SystemOption = False, config: ConfigOption = None) -> None:
    """Show whether it runs, as the system sees it.

    Example: nanobot service status
    """
    found = _described(configured(config), system=system)
    if not found.path.exists():
        raise InvalidRequest(f"{found.path} does not exist: nanobot service install writes it.")
    raise typer.Exit(subprocess.run(found.state, check=False).returncode)  # noqa: S603 - a command of this file


def _described(loaded: Loaded, *, system: bool) -> ServiceFile:
    if sys.platform == "darwin":
        return launchd_agent(loaded)
    if not sys.platform.startswith("linux"):
        raise InvalidRequest("Services are made for systemd and launchd only; on this system run `nanobot serve`.")
    return systemd_unit(loaded, system=system)


def systemd_unit(loaded: Loaded, *, system: bool) -> ServiceFile:
    """Of the machine: it runs as the user who called sudo, else as the one who owns the state."""
    writes = " ".join(_quoted(str(path)) for path in dict.fromkeys((loaded.home, loaded.workspace)))
    of_homes = any(path.is_relative_to("/home") or path.is_relative_to("/root") for path in (loaded.home, loaded.workspace))
    more = _OF_MACHINE.substitute(writes=writes, homes="read-only" if of_homes else "yes") if system else ""
    text = _UNIT.substitute(
        command=" ".join([_quoted(word.replace("$", "$$")) for word in _command(loaded)]),
        folder=_plain(str(loaded.folder)),
        environment=_quoted(f"NANOBOT_HOME={loaded.home}"),
        keys=_plain(str(loaded.home / "service.env")),
        stop=int(loaded.config.shutdown.grace) + 15,
        user=f"User={_user(loaded)}\n" if system else "",
        more=more,
        target="multi-user.target" if system else "default.target",
    )
    control = ["systemctl", *([] if system else ["--user"])]
    place = Path("/etc/systemd/system") if system else Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd/user"
    return ServiceFile(
        path=place / NAME,
        text=text,
        begin=([*control, "daemon-reload"], [*control, "enable", "--now", NAME]),
        end=([*control, "disable", "--now", NAME],),
        state=[*control, "status", "--no-pager", NAME],
        then="Its log: journalctl -u nanobot"
        if system
        else "Its log: journalctl --user -u nanobot. Without you logged in: loginctl enable-linger",
    )


def launchd_agent(loaded: Loaded) -> ServiceFile:
    """Of this user, from the log-in on."""
    log = str(loaded.home / "nanobot.log")
    values = {
        "Label": LABEL,
        "ProgramArguments": _command(loaded),
        "WorkingDirectory": str(loaded.folder),
        "EnvironmentVariables": {"NANOBOT_HOME": str(loaded.home)},
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ExitTimeOut": int(loaded.config.shutdown.grace) + 15,
        "ProcessType": "Interactive",
        "Umask": 0o077,
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    path = Path.home() / "Library/LaunchAgents" / f"{LABEL}.plist"
    domain = f"gui/{os.getuid()}"
    return ServiceFile(
        path=path,
        text=plistlib.dumps(values).decode(),
        begin=(["launchctl", "bootstrap", domain, str(path)],),
        end=(["launchctl", "bootout", f"{domain}/{LABEL}"],),
        state=["launchctl", "print", f"{domain}/{LABEL}"],
        then=f"Its log: {log}",
    )


def _command(loaded: Loaded) -> list[str]:
    """The command line of this installation."""
    named = shutil.which("nanobot", path=str(Path(sys.executable).parent))
    start = [named] if named else [sys.executable, "-m", "assistant.cli"]
    return [*start, "serve", *(["--config", str(loaded.source)] if loaded.source else [])]


def _user(loaded: Loaded) -> str:
    there = next(path for path in (loaded.home, *loaded.home.parents) if path.exists())
    name = os.environ.get("SUDO_USER") or pwd.getpwuid(there.stat().st_uid).pw_name
    if name == "root":
        raise InvalidRequest(
            f"The server does not run as root: give {loaded.home} to a user of its own (useradd --system; chown), and try again."
        )
    try:
        own = Path(pwd.getpwnam(name).pw_dir)
    except KeyError:
        raise InvalidRequest(f"There is no user {name} here.") from None
    if own != Path.home() and loaded.home.is_relative_to(Path.home()):
        raise InvalidRequest(
            f"The state would be {loaded.home}, which is not {name}'s. Name it: "
            f"sudo NANOBOT_HOME={shlex.quote(str(own / '.nanobot'))} {shlex.quote(_command(loaded)[0])} service install --system"
        )
    return name


def _plain(text: str) -> str:
    """The rest of a line, as systemd reads it."""
    if not text.isprintable():
        raise InvalidRequest(f"A path with such characters can't be named in a service: {text!r}.")
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """A word of a line."""
    plain = _plain(text)
    return plain if _BARE.fullmatch(plain) else '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _run(lines: Sequence[Sequence[str]]) -> None:
    for line in lines:
        try:
            done = subprocess.run(line, check=False, capture_output=True, text=True)  # noqa: S603 - commands of this file
        except FileNotFoundError:
            raise NanobotError(f"{line[0]} is not here. `nanobot service install --print` shows what would be installed.") from None
        if done.returncode:
            raise NanobotError(f"`{shlex.join(line)}` failed: {done.stderr.strip() or done.returncode}")
