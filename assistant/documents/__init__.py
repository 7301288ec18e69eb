"""Bytes to text. `reader` and `settings` run in the server; `child` is the process it starts for each file, which lets `sniff` tell the format and
one module of `formats` read it. `protocol` is what the two share."""
