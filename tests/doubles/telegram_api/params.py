"""The parameters of a request, however they were sent: a form, a multipart form, JSON, a query."""

import json
from typing import Any

from aiohttp import web

from tests.doubles.telegram_api.faults import Refusal
from tests.doubles.telegram_api.posted import SentFile


class Params:
    def __init__(self, values: dict[str, Any], files: dict[str, SentFile]) -> None:
        self.values = values
        self.files = files

    @classmethod
    async def of(cls, request: web.Request) -> "Params":
        values: dict[str, Any] = dict(request.query)
        files: dict[str, SentFile] = {}
        if request.content_type == "application/json":
            values |= await request.json()
        elif request.body_exists:
            for name, value in (await request.post()).items():
                if isinstance(value, web.FileField):
                    files[name] = SentFile(field=name, name=value.filename, media_type=value.content_type, data=value.file.read())
                else:
                    values[name] = value
        return cls(values, files)

    def text(self, name: str) -> str:
        return str(self.values.get(name) or "")

    def number(self, name: str, default: int = 0) -> int:
        try:
            return int(self.values.get(name) or default)
        except ValueError:
            raise Refusal(400, f"Bad Request: {name} must be an integer") from None

    def flag(self, name: str) -> bool:
        return str(self.values.get(name, "")).lower() in ("true", "1")

    def object(self, name: str) -> dict[str, Any]:
        """A parameter that is a JSON object; empty: not given."""
        return self._json(name) or {}

    def items(self, name: str) -> list[Any]:
        """A parameter that is a JSON list; empty: not given."""
        return self._json(name) or []

    def _json(self, name: str) -> Any:
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise Refusal(400, f"Bad Request: can't parse {name} JSON object") from None
