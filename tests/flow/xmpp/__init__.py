"""XMPP: what a stanza says, and a real prosody between the channel and a person."""
