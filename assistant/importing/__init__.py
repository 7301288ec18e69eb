"""What other assistants keep, read for `nanobot import`: a file a format, and what they share.

`source` says what a source offers, `archive` opens folders and zip files without trusting them, `reading` reads JSON of any size and shape. Nothing
here writes: `assistant.cli.imports` does, through the store. A source is never changed. What can't be read is skipped, with a line that says why.
"""
