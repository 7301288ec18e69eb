"""What the server takes, as the operating system sees it, and what it leaves behind."""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at the server."""

    at: float
    """Seconds since the load began."""
    requests: int
    resident: float
    """MiB, of the server alone: what reads documents comes and goes."""
    descriptors: int
    threads: int
    children: int
    spooled: int


def look(pid: int, spool: Path, *, at: float, requests: int) -> Sample:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return Sample(
        at=at,
        requests=requests,
        resident=int(status["VmRSS"].split()[0]) / 1024,
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=int(status["Threads"]),
        children=len(children.read_text().split()) if children.exists() else 0,
        spooled=sum(1 for path in spool.rglob("*") if path.is_file()) if spool.exists() else 0,
    )


def slope(samples: Sequence[Sample]) -> float:
    """MiB an hour, by least squares over the samples behind the first third. 0 with fewer than two."""
    settled = [sample for sample in samples if sample.at >= samples[-1].at / 3]
    if len(settled) < 2:
        return 0.0
    middle = sum(sample.at for sample in settled) / len(settled)
    mean = sum(sample.resident for sample in settled) / len(settled)
    spread = sum((sample.at - middle) ** 2 for sample in settled)
    return 3600 * sum((sample.at - middle) * (sample.resident - mean) for sample in settled) / spread if spread else 0.0


def per_thousand(samples: Sequence[Sample]) -> float:
    """MiB for 1,000 requests in the last half."""
    half = [sample for sample in samples if sample.at >= samples[-1].at / 2]
    done = half[-1].requests - half[0].requests
    return 1000 * (half[-1].resident - half[0].resident) / done if done else 0.0


def database(home: Path) -> tuple[int, int, int]:
    """Bytes of the database with its log, stored messages, stored events."""
    size = sum(path.stat().st_size for path in home.glob("nanobot.db*") if path.is_file())
    with sqlite3.connect(f"file:{home / 'nanobot.db'}?mode=ro", uri=True) as connection:
        messages, events = connection.execute("SELECT (SELECT COUNT(*) FROM messages), (SELECT COUNT(*) FROM outbox)").fetchone()
    return size, messages, events


def wait_for_quiet(pid: int, home: Path, within: float) -> None:
    """Until nothing waits in the inbox or the outbox and no child runs, at most so long: what is left then is found by `look`."""
    deadline = time.monotonic() + within
    with sqlite3.connect(f"file:{home / 'nanobot.db'}?mode=ro", uri=True) as connection:
        while time.monotonic() < deadline:
            waiting = connection.execute(
                "SELECT (SELECT COUNT(*) FROM outbox WHERE state IN ('queued', 'sending') AND channel <> 'webhook')"
                " + (SELECT COUNT(*) FROM inbox WHERE state IN ('waiting', 'taken')) + (SELECT COUNT(*) FROM turns WHERE state = 'running')"
            ).fetchone()[0]
            if not waiting and not look(pid, home / "spool", at=0, requests=0).children:
                return
            time.sleep(0.2)
