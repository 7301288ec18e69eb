"""`nanobot serve` with a trap: CRASH_AT="claim.after:2" kills the process after the second claim."""

import os

from assistant.cli import main
from tests.crash.boundaries import BREAKS, Trap, lay

if __name__ == "__main__":
    where, _, count = os.environ.get("CRASH_AT", "").partition(":")
    if broken := os.environ.get("CRASH_BREAK"):
        BREAKS[broken]()
    lay(Trap(where, int(count or 0)))
    main()
