"""No key in a provider's words, whatever its form."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.providers.failures import Redactor

KEY = "my+Unusual/Key=0123456789"
SECRET = st.text(alphabet="abcdefghijkABCDEFGHIJK0123456789_+/=-", min_size=6, max_size=60)
AROUND = st.text(max_size=30)


@given(SECRET, AROUND, AROUND, st.integers(1, 400))
def test_a_configured_key_is_never_in_the_result(secret: str, before: str, after: str, limit: int) -> None:
    assert secret.lower() not in Redactor([secret])(f"{before} {secret} {after}", limit=limit).lower().replace("[redacted]", "")


@pytest.mark.parametrize("form", [KEY, KEY.upper(), quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode(), KEY[:12] + "..."])
def test_every_form_of_a_configured_key_goes(form: str) -> None:
    said = Redactor([KEY])(f"Incorrect key: {form}!")
    assert form not in said
    assert "[redacted]" in said


@pytest.mark.parametrize(
    "secret",
    ["sk-proj-abc123DEF456", "sk-ant-api03-xyz_-987", "sk-or-v1-0011", "sk-****wxyz", "gsk_abcdef123", "AIzaSyA-1234567890abc", "hf_abcdefgh",
     "Bearer abc.def-ghi", "Basic dXNlcjpwYXNz", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "xai-1234567"],
)  # fmt: skip
def test_what_looks_like_a_key_goes_without_being_configured(secret: str) -> None:
    assert secret not in Redactor([])(f"the key {secret} is wrong")


@pytest.mark.parametrize(
    "login", ["me:secret", "me:sec@ret", ":secret", "me:sec:ret", "me:se?c#ret", "a-token", "me:secret@", "m%40e:s%2Fecret"]
)
def test_a_login_in_a_url_goes(login: str) -> None:
    said = Redactor([])(f"at http://{login}@host:80/x, and socks5://{login}@[::1]:5/ or https://host:80/x@y")
    assert said == "at http://[redacted]@host:80/x, and socks5://[redacted]@[::1]:5/ or https://host:80/x@y"


def test_words_stay_as_they_are_on_one_line() -> None:
    assert (
        Redactor(["none", KEY])("none of the\n models  answered; task-based risk-free")
        == "none of the models answered; task-based risk-free"
    )


def test_a_long_text_is_cut_after_redaction() -> None:
    assert len(Redactor([])("x" * 1000)) == 300
    assert KEY[:8] not in Redactor([KEY])("x" * 290 + KEY)
