"""The third rung, as the server sees it: the policy that `launcher.py` takes, for machines where a command can't have namespaces."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from assistant.contracts.errors import ToolFailed
from assistant.contracts.sandbox import SandboxCommand
from assistant.sandbox.launcher import DEVICE, READ, WRITE
from assistant.sandbox.policy import LINKED, USER, Guarded, limits, readable
from assistant.sandbox.seccomp import filter_for

_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_LAUNCHER: Final = Path(__file__).with_name("launcher.py")


def launcher(descriptor: int) -> list[str]:
    return [sys.executable, "-I", "-S", str(_LAUNCHER), str(descriptor)]


def policy(command: SandboxCommand, guarded: Guarded, tmp: Path, environment: Mapping[str, str]) -> bytes:
    """What the launcher reads. Raises ToolFailed where this rung can't hold what is asked for. Blocks."""
    if command.hosts:
        raise ToolFailed(
            "Not run: the sandbox of this machine can't keep a command to some hosts, so it has no network at all. "
            "Run it without hosts. (With bubblewrap it could: nanobot doctor says what to install.)"
        )
    shown = [*readable(command, guarded), *(path for name in LINKED if (path := Path("/", name)).is_dir())]
    if inside := guarded.inside(shown):
        raise ToolFailed(f"Not run: {inside[0]} is private and lies in a folder that commands see. Move it elsewhere.")
    filter_code = filter_for(alone=False)
    if filter_code is None:
        raise ToolFailed("Not run: the system calls of this machine are not known.")
    rules = [*((path, READ) for path in shown), *((path, DEVICE) for path in _DEVICES)]
    rules += [(path, WRITE) for path in (command.folder, command.shared, tmp) if path]
    return json.dumps(
        {
            "argv": command.argv,
            "cwd": str(command.folder),
            "environment": dict(environment),
            "rules": [(str(path), access) for path, access in rules],
            "filter": filter_code.hex(),
            "limits": limits(command),
            "processes": command.processes,
            "user": USER if os.geteuid() == 0 else None,
        }
    ).encode()
