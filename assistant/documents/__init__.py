"""Bytes to text. The server's side is `reader` (and `settings`); `child` is the process that it starts for each file, which asks `sniff` what the
file is and has one of `formats` read it. `limits`, `refusals` and `reply` are what the two know of each other."""
