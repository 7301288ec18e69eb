"""What adapters share. An adapter of its own is its wire, its addresses, its errors and its text; the rest is here.

    out   plan_message (planning) ─▶ OutboundPart ─▶ PartSender (sender) ─▶ the adapter's `Posting` ─▶ PlatformHttp (http)
    in    the adapter's events ─▶ Hearing (hearing): is it for the assistant? ─▶ Intake (intake) ─▶ `ChannelLink.accept`

`chats` puts both together: it is the base of an adapter. Out: `answers` reads what a refusal tells, `refusals` what it means for a delivery, `limits`
when to ask again, `forms` in which simpler form a message goes out then. A chat: `conversation` and `preview` show something while an answer is made,
`commands` are what people write and what buttons carry, `names` who they are, `threads` those that the assistant is in, `bots` how far it answers
others, `albums` what belongs together. In: `values` and `files` read whatever a platform sends, `hosts` says where its files may come from. Events
come by `calls` (signatures) or `jwt_keys` (tokens) of a platform that calls us, by `sockets`, or by `polling`; `missed` reads what came without a
connection; `renewed` keeps a token of ours that ends. CONTRIBUTING.md ("Add a channel") walks through one.
"""
