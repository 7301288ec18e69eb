"""HTTP: wire models, routes, one error handler, pure ASGI middleware."""
