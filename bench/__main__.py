"""`python -m bench`: measures, prints the table, and exits with 1 where a target was missed."""

import argparse
import os
import sys
import time
from pathlib import Path

from bench.cases import CASES
from bench.cases.replicas import measure_replicas
from bench.figures import FULL, QUICK, Figure
from bench.machine import describe
from bench.table import as_json, as_text, write_into


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What nanobot costs, measured from outside.")
    parser.add_argument("--only", action="append", choices=CASES, metavar="NAME", help=f"one case; may be repeated: {', '.join(CASES)}")
    parser.add_argument("--replicas", type=int, metavar="N", help="only this: N servers on one PostgreSQL beside one")
    parser.add_argument("--quick", action="store_true", help="one short run of each measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every sample, for programs")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document, between its markers")
    given = parser.parse_args()
    effort = QUICK if given.quick else FULL
    began, busy = time.monotonic(), os.getloadavg()[0]

    def say(what: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {what}", file=sys.stderr, flush=True)

    figures: list[Figure] = []
    if given.replicas:
        figures += measure_replicas(given.replicas, effort, say)
    else:
        for name in given.only or CASES:
            figures += CASES[name](effort, say)
    machine = describe(busy)
    print(f"{machine}\n\n{as_text(figures)}")
    if given.json:
        given.json.write_text(as_json(figures, machine), encoding="utf-8")
    if given.write:
        write_into(given.write, figures, machine)
    return 1 if any(item.verdict == "missed" for item in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
