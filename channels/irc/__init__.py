"""IRC (https://modern.ircdocs.horse): channels and queries on one server, by a small client of our own."""
