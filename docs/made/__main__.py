"""`python -m docs.made` writes the pages of `MADE`."""

from docs.made import write

write()
