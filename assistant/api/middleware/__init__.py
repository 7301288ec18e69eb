"""What every request passes before the routes, as plain ASGI; `assistant.api.app` puts it in order."""
