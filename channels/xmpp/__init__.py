"""XMPP (Jabber): an account on any server, in chats with persons and in rooms."""
