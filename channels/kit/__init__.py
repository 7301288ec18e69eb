"""What adapters share. An adapter of its own is its wire, its addresses, its errors and its text; the rest is here.

    out   plan_message (planning) ─▶ OutboundPart ─▶ PartSender (sender) ─▶ the adapter's `Posting` ─▶ PlatformHttp (http)
    in    the adapter's events ─▶ Hearing (hearing): is it for the assistant? ─▶ Intake (intake) ─▶ `ChannelLink.accept`

`forms` says in which simpler form a refused message goes out, `refusals` what an HTTP answer means, `preview` and `conversation` what a chat shows
while an answer is made, `commands` what people write as commands and press as buttons, `threads` which threads it is in, `calls` checks the
signatures of a platform's calls, `renewed` keeps a token that ends, and `sockets` reads a WebSocket. CONTRIBUTING.md ("Add a channel") walks
through one.
"""
