"""A stand-in for a Supabase project on loopback: its public keys, its users, and tokens that are really signed."""

import time
from dataclasses import dataclass, field
from typing import Any

import jwt
import jwt.algorithms
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

SECRET = "the project's own secret, of as many bytes as the largest of these algorithms wants"
USER = "6f1d3c2a-0000-4000-8000-000000000001"


@dataclass(kw_only=True)
class Project:
    url: str = ""
    keys: dict[str, Any] = field(default_factory=dict[str, Any])
    """Private keys by their id; their public halves are published."""
    fetched: int = 0
    asked: int = 0
    broken: bool = False
    published: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """More of the published set."""
    revoked: set[str] = field(default_factory=set[str])

    def add_ec(self, key_id: str) -> None:
        self.keys[key_id] = ec.generate_private_key(ec.SECP256R1())

    def add_rsa(self, key_id: str, bits: int = 2048) -> None:
        self.keys[key_id] = rsa.generate_private_key(public_exponent=65537, key_size=bits)

    def claims(self, **more: object) -> dict[str, object]:
        claims: dict[str, object] = {
            "sub": USER,
            "aud": "authenticated",
            "iss": f"{self.url}/auth/v1",
            "exp": time.time() + 3600,
            "iat": time.time(),
            "role": "authenticated",
            **more,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key_id: str, *, headers: dict[str, Any] | None = None, **claims: object) -> str:
        key = self.keys[key_id]
        algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
        return jwt.encode(self.claims(**claims), key, algorithm, headers={"kid": key_id, **(headers or {})})

    def secret_token(self, **claims: object) -> str:
        return jwt.encode(self.claims(**claims), SECRET, "HS256")

    def jwks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for key_id, key in self.keys.items():
            entry: dict[str, Any]
            if isinstance(key, ec.EllipticCurvePrivateKey):
                entry, algorithm = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "ES256"
            else:
                entry, algorithm = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "RS256"
            found.append({**entry, "kid": key_id, "alg": algorithm, "use": "sig", "key_ops": ["verify"]})
        return [*found, *self.published]

    async def serve_keys(self, request: web.Request) -> web.Response:
        self.fetched += 1
        if self.broken:
            raise web.HTTPServiceUnavailable
        return web.json_response({"keys": self.jwks()})

    async def serve_user(self, request: web.Request) -> web.Response:
        """As the project answers: it checks the token with its own secret."""
        self.asked += 1
        if self.broken:
            raise web.HTTPServiceUnavailable
        token = request.headers["authorization"].removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, SECRET, ["HS256"], audience="authenticated")
        except jwt.PyJWTError:
            return web.json_response({"code": 403, "msg": "invalid JWT"}, status=403)
        if request.headers["apikey"] != "publishable" or token in self.revoked:
            return web.json_response({"code": 403, "msg": "session not found"}, status=403)
        return web.json_response({"id": claims["sub"], "aud": "authenticated"})

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/auth/v1/.well-known/jwks.json", self.serve_keys)
        app.router.add_get("/auth/v1/user", self.serve_user)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner
