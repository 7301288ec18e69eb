"""`python -m tests.fuzz`: sends requests drawn from /openapi.json to a real server, and compares each answer with the description.
Prints each finding with a curl command, and the seed; exits with 1 if there are findings."""

import argparse
import random
import sys
import time

from tests.fuzz.trial import trial


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=500, help="how many requests are sent, about (default 500)")
    parser.add_argument("--seed", type=int, default=None, help="what chance is drawn from; printed, so that a run can be made again")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    began = time.monotonic()
    verdict = trial(arguments.cases, seed)
    print(verdict.report())
    print(f"seed {seed}, {time.monotonic() - began:.0f} s")
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    sys.exit(main())
