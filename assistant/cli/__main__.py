"""`python -m assistant.cli` is `nanobot`."""

from assistant.cli.program import main

main()
