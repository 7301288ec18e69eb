"""HTTP. `app` puts the stack together, `routes` names every path; one module a resource, and `chat` a folder for the one that matters.

`middleware`: what every request passes. `body`: how what it brings is taken in. `server`: ports, connections, WebSockets, shutdown.
"""
