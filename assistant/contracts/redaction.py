"""What others said (a provider, a platform), without secrets."""

import base64
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

_LOOKS_SECRET = re.compile(
    r"""
    \b(?:sk|pk|rk|gsk|xai|hf|nvapi|ghp|gho|glpat|r8|pplx|tgp)[-_][A-Za-z0-9_\-*.]{4,}   # the usual prefixes of keys, masked or not
    | \bAIza[A-Za-z0-9_\-]{10,}                                                         # Google
    | \b(?:bearer|basic)\s+[A-Za-z0-9._~+/=\-]{4,}
    | \beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-.]{8,}                                      # a JSON web token
    | (?<=://)[^/\s]+(?=@)                                                              # user:password, or a token, in a URL
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MARK: Final = "[redacted]"
_SHORTEST: Final = 6
"""A configured "key" shorter than this ("none", "x") is a placeholder; removing it would only garble the text."""


class Redactor:
    """Removes the given secrets, in every form in which they travel, and anything else that looks like a key."""

    __slots__ = ("_known",)

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= _SHORTEST for form in secret_forms(secret)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if forms else None

    def __call__(self, text: str, *, limit: int = 300) -> str:
        """`text` on one line without secrets, at most `limit` characters. Redaction comes first, so that no cut leaves half a key."""
        if self._known is not None:
            text = self._known.sub(_MARK, text)
        text = " ".join(_LOOKS_SECRET.sub(_MARK, text).split())
        return text if len(text) <= limit else text[: limit - 1] + "…"


def secret_forms(secret: str) -> Iterable[str]:
    """A secret as it may stand in others' words: plain, percent-encoded, in Base64, its first half."""
    yield secret
    yield quote(secret, safe="")
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
    # What "invalid key: …wxyz" quotes of a key is not enough to use it, but the first half is.
    if len(secret) >= 16:
        yield secret[: len(secret) // 2]
