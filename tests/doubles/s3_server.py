"""A stand-in for a store that speaks Amazon's S3: objects of one bucket, put, read and removed, each request checked as the documents say.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html

async with S3Server() as s3:
    s3.settings, s3.objects, s3.asked; s3.faults.append(503)
"""

import asyncio
import hmac
import re
from collections import deque
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import TracebackType
from typing import Final, Literal, Self

from aiohttp import web
from pydantic import SecretStr

from assistant.store.database import S3Settings

Fault = int | Literal["hang", "cut", "drop"]
"""A status; no answer; half a body; a connection that is closed."""
BUCKET: Final = "files"
_KEY_ID, _SECRET = "AKIAEXAMPLE", "not/a+secret"
_CODES: Final = {500: "InternalError", 503: "SlowDown", 403: "AccessDenied"}
_FORM: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request,\s*SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})"
)
_SKEW: Final = timedelta(minutes=15)


class S3Server:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        """`PUT nanobot/blob_1`"""
        self.faults: deque[Fault] = deque()
        """What the next requests get in place of an answer."""
        self.going, self.goes_on = asyncio.Event(), asyncio.Event()
        """The first is set when a request hangs; it is answered once the second one is set."""
        self.url = ""

    @property
    def settings(self) -> S3Settings:
        return S3Settings(endpoint=self.url, bucket=BUCKET, key_id=_KEY_ID, secret=SecretStr(_SECRET), smaller_in_database=0)

    @property
    def config(self) -> dict[str, object]:
        """`store.s3` of a configuration."""
        return {"endpoint": self.url, "bucket": BUCKET, "keyId": _KEY_ID, "secret": _SECRET, "smallerInDatabase": 0}

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{bucket}/{key:.+}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        key, body = request.match_info["key"], await request.read()
        self.asked.append(f"{request.method} {key}")
        fault = self.faults.popleft() if self.faults else None
        if fault == "hang":
            self.going.set()
            await self.goes_on.wait()
        if fault == "drop":
            assert request.transport is not None
            request.transport.abort()
        if isinstance(fault, int):
            return _refusal(fault, _CODES[fault])
        if why := _wrong(request, body):
            return _refusal(400 if why.startswith("X") else 403, why)
        if request.match_info["bucket"] != BUCKET:
            return _refusal(404, "NoSuchBucket")
        match request.method:
            case "PUT":
                self.objects[key] = body
                return web.Response(headers={"ETag": f'"{sha256(body).hexdigest()[:32]}"'})
            case "DELETE":
                self.objects.pop(key, None)
                return web.Response(status=204)
            case "GET" if key in self.objects and fault == "cut":
                return await _cut(request, self.objects[key])
            case "GET" if key in self.objects:
                return web.Response(body=self.objects[key], content_type="binary/octet-stream")
            case "GET":
                return _refusal(404, "NoSuchKey")
            case _:
                return _refusal(405, "MethodNotAllowed")


async def _cut(request: web.Request, data: bytes) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": str(len(data))})
    await answer.prepare(request)
    await answer.write(data[: len(data) // 2])
    assert request.transport is not None
    request.transport.close()
    return answer


def _refusal(status: int, code: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>As the code says.</Message></Error>'
    return web.Response(status=status, text=text, content_type="application/xml")


def _wrong(request: web.Request, body: bytes) -> str:
    """The code of what is wrong with a request; empty: nothing."""
    found = _FORM.fullmatch(request.headers.get("Authorization", ""))
    if found is None:
        return "AccessDenied"
    key_id, day, region, names, signature = found.groups()
    if key_id != _KEY_ID:
        return "InvalidAccessKeyId"
    given = request.headers.get("x-amz-date", "")
    made = datetime.strptime(given, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs(datetime.now(UTC) - made) > _SKEW or not given.startswith(day):
        return "RequestTimeTooSkewed"
    if not {"host", "x-amz-content-sha256", "x-amz-date"} <= {*names.split(";")}:
        return "AccessDenied"
    digest = request.headers["x-amz-content-sha256"]
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names.split(";"))
    canonical = "\n".join([request.method, request.raw_path.partition("?")[0], request.query_string, headers, names, digest])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", given, f"{day}/{region}/s3/aws4_request", sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + _SECRET.encode()
    for step in (day, region, "s3", "aws4_request", to_sign):
        key = hmac.new(key, step.encode(), sha256).digest()
    if not hmac.compare_digest(key.hex(), signature):
        return "SignatureDoesNotMatch"
    return "" if sha256(body).hexdigest() == digest else "XAmzContentSHA256Mismatch"
