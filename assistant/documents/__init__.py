"""Bytes to text. `reader`, `children` and `settings` run in the server; `fork_server` is the process that they start, and `child` the one that it
forks for each file, which lets `sniff` tell the format and one module of `formats` read it. `protocol` is what both sides share."""
