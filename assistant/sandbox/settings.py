"""Settings of the sandbox."""

from pydantic import Field

from assistant.contracts.sandbox import Rung
from assistant.contracts.util import Settings


class SandboxSettings(Settings):
    """Where `run` and the programs of MCP servers run, and how much they may take."""

    rung: Rung | None = None
    """The strongest rung that is used: `"bubblewrap"`, `"bubblewrap-noproc"`, `"landlock"`, or `"none"` for no commands at all. null: the strongest
    that this machine has; `nanobot doctor` names it."""
    seconds: float = Field(default=120, gt=0, le=3_600, description="The longest that a command may run; it may ask for less.")
    background_seconds: float = Field(default=3_600, gt=0, le=86_400, description="The longest that a command in the background may run.")
    memory_mib: int = Field(default=1_024, ge=64, le=1_048_576, description="Memory of a command and all that it starts, in MiB.")
    processes: int = Field(default=64, ge=4, le=4_096, description="Processes and threads of a command.")
    disk_mib: int = Field(default=1_024, ge=16, le=1_048_576, description="What a command may write to its folder, in MiB.")
    parallel: int = Field(
        default=8, ge=1, le=256, description="Commands that run at the same time, and as many in the background; others wait."
    )
    hosts: tuple[str, ...] = ()
    """Hosts with private addresses (a server at home) that a command may ask where it names them. All others must be public."""
