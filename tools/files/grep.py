"""The search where the machine has no ripgrep: a script that takes those of its options that `search.py` gives. Its time is limited from outside,
its memory here."""

import argparse
import re
import resource
import sys
from collections.abc import Sequence

_MEMORY = 1024**3


def main(arguments: Sequence[str]) -> int:
    """0: found, 1: nothing, 2: the pattern is not valid."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for flag in (
        "--no-config",
        "--line-number",
        "--with-filename",
        "--null",
        "--no-heading",
        "--no-messages",
        "--crlf",
        "--max-columns-preview",
    ):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--color")
    parser.add_argument("--ignore-case", action="store_true")
    parser.add_argument("--max-count", type=int, required=True)
    parser.add_argument("--max-columns", type=int, required=True)
    parser.add_argument("--regexp", required=True)
    parser.add_argument("files", nargs="*")
    asked = parser.parse_args(arguments)
    if sys.platform == "linux":  # macOS does not take it
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        pattern = re.compile(asked.regexp, re.IGNORECASE if asked.ignore_case else 0)
    except (re.error, OverflowError, RecursionError) as error:
        sys.stderr.write(str(error))
        return 2
    found = 0
    for name in asked.files:
        found += _search(name, pattern, asked.max_count, asked.max_columns)
    return 0 if found else 1


def _search(name: str, pattern: re.Pattern[str], most: int, width: int) -> int:
    with open(name, "rb") as file:
        data = file.read()
    if b"\0" in data:
        return 0
    count = 0
    for number, line in enumerate(data.decode(errors="replace").split("\n"), 1):
        if pattern.search(line.removesuffix("\r")):
            sys.stdout.buffer.write(f"{name}\0{number}:{line[:width]}\n".encode())
            count += 1
            if count == most:
                break
    return count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
