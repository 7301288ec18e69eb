"""Builds the sandbox, and leaves out the tools that need one where the machine has none."""

import logging
from collections.abc import Mapping
from typing import Final

from assistant.config import Loaded
from assistant.contracts.sandbox import Rung, Sandbox
from assistant.contracts.secrets import Secrets
from assistant.contracts.tools import ToolKind
from assistant.sandbox.policy import Guarded
from assistant.sandbox.service import MachineSandbox

log = logging.getLogger(__name__)

RUNG_WORDS: Final[Mapping[Rung, str]] = {
    "bubblewrap": "bubblewrap: a command has its own processes, network and files",
    "bubblewrap-noproc": "bubblewrap without /proc: a command has its own processes, network and files; some programs miss /proc",
    "landlock": "Landlock and seccomp: a command sees its own files alone, and has no network",
    "none": "none: the assistant can run no commands",
}
"""For the person who runs the server."""
GET_SANDBOX: Final = (
    "on Linux, install bubblewrap (apt install bubblewrap); in a container, allow user namespaces "
    "(docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined) or run on Linux 6.12; or set sandbox.rung to none"
)
"""What to do where there is none."""


def build_sandbox(loaded: Loaded, secrets: Secrets | None = None) -> MachineSandbox:
    """Opens nothing. What is private: the state, the configuration, the folders of people; programs of the workspace may be shown to commands."""
    home, workspace = loaded.home.resolve(), loaded.workspace.resolve()
    files = [loaded.source.resolve()] if loaded.source else []
    guarded = Guarded(private=(home, workspace / "people", *files), public=(workspace,))
    return MachineSandbox(loaded.config.sandbox, guarded, home / "sandbox", secrets)


async def without_sandbox(kinds: Mapping[str, ToolKind], sandbox: Sandbox) -> Mapping[str, ToolKind]:
    """Those that this machine can have: where it has no sandbox, none that needs one."""
    if await sandbox.rung() != "none":
        return kinds
    log.warning("sandbox.none")  # nanobot doctor says what to install
    return {name: kind for name, kind in kinds.items() if not kind.needs_sandbox}
