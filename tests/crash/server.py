"""`nanobot serve` with a trap: CRASH_AT="claim.after:2" kills the process after the second claim."""

import os

from assistant.cli import main
from tests.crash.boundaries import Trap, lay, settle_before_send

if __name__ == "__main__":
    where, _, count = os.environ.get("CRASH_AT", "").partition(":")
    if os.environ.get("CRASH_BREAK") == "settle-before-send":
        settle_before_send()
    lay(Trap(where, int(count or 0)))
    main()
