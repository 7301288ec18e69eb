"""What providers say when they refuse, in their own words, and what is understood."""

import json
from datetime import UTC, datetime

import pytest

from assistant.contracts.errors import (
    ContextLengthExceeded,
    NanobotError,
    ProviderFailed,
    ProviderOverloaded,
    ProviderTimeout,
    RequestRefused,
)
from assistant.providers.failures import Peer, Redactor, described_error, refusal, retry_after, stream_failure

PEER = Peer(provider="openai", model="gpt-x", origin="https://host", key_source="OPENAI_API_KEY", redact=Redactor([]))


def refused(status: int, body: object, **headers: str) -> NanobotError:
    return refusal(PEER, status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "Your input exceeds the limit.", "type": "invalid_request_error", "code": "context_length_exceeded"}},
        {"error": {"message": "This model's maximum context length is 128000 tokens. However, your messages resulted in 140000 tokens."}},
        {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"}},
        {"type": "error", "error": {"message": "input length and `max_tokens` exceed context limit: 190000 + 16384 > 200000"}},
        {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "type": "BadRequestError", "code": 400},
        {"error": {"code": 400, "message": "the request exceeds the available context size", "type": "exceed_context_size_error"}},
        {"error": "the model is loaded with context length of only 4096 tokens, which is not enough"},
        {"error": {"message": "input length exceeds maximum context length", "type": "invalid_request_error"}},
        [{"error": {"code": 400, "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}}],
        {"message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length", "code": "3051"},
    ],
)
def test_every_way_to_say_that_the_context_is_full_is_understood(body: object) -> None:
    assert type(refused(400, body)) is ContextLengthExceeded


def test_too_long_an_answer_asked_for_is_not_too_long_a_context() -> None:
    body = {"error": {"message": "max_tokens is too large: 999999. This model supports at most 16384 completion tokens."}}
    assert type(refused(400, body)) is RequestRefused


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (400, "tool_calls[0].function.name: string does not match pattern", RequestRefused),
        (413, "Request Entity Too Large", RequestRefused),
        (422, "Extra inputs are not permitted", RequestRefused),
        (404, "No endpoints found that support image input", RequestRefused),
        (500, "Failed to parse tool call arguments as JSON", RequestRefused),
        (500, "Conversation roles must alternate user/assistant/user/assistant/...", RequestRefused),
        (415, "Unsupported Media Type", RequestRefused),
        (500, "this model does not support images", RequestRefused),
        (500, "multimodal content is not supported", RequestRefused),
        (501, "Vision is not implemented here", RequestRefused),
        (500, "Value is not callable: null at row 3, column 9", RequestRefused),
        (500, 'template: :5:12: executing "" at <.Tool>: can\'t evaluate field', RequestRefused),
        (500, "Cannot have 2 or more assistant messages at the end of the list.", RequestRefused),
        (500, "EngineCore died", ProviderFailed),
        (500, "This service is not supported in your region", ProviderFailed),
        (400, "API key not valid. Please pass a valid API key.", ProviderFailed),
        (400, "The model `x` does not exist or you do not have access to it.", ProviderFailed),
        (400, "Your credit balance is too low", ProviderFailed),
        (401, "tool_calls", ProviderFailed),
        (404, "model 'x' not found", ProviderFailed),
    ],
)
def test_a_refusal_of_the_prompt_is_told_from_one_of_the_key_and_the_model(status: int, words: str, kind: type[NanobotError]) -> None:
    assert type(refused(status, {"error": {"message": words}})) is kind


@pytest.mark.parametrize(
    "body",
    [
        {"error": True, "message": "boom"},
        {"error": 1, "msg": "boom"},
        {"error": {"message": None, "code": 400}, "detail": "boom"},
        {"error": {"error_message": "boom"}},
        {"status": "error", "msg": "boom"},
        {"code": 500, "msg": "boom", "success": False},
        {"success": False, "errors": [{"message": "boom"}], "result": None},
        {"Message": "boom"},
        {"title": "Bad Request", "status": 400, "detail": "boom"},
        b"boom",
    ],
)
def test_the_words_of_a_refusal_are_found_in_every_shape(body: object) -> None:
    assert refused(400, body).message.endswith(": boom")


@pytest.mark.parametrize(
    "event",
    [
        {"error": True, "message": "boom"},
        {"code": 500, "msg": "boom", "success": False},
        {"status": "error", "msg": "boom"},
        {"success": False, "message": "boom", "choices": []},
        {"msg": "boom"},
    ],
)
def test_an_error_within_a_good_response_is_found_in_every_shape(event: dict[str, object]) -> None:
    found = described_error(event)
    assert found is not None
    assert found[0] == "boom"


def test_a_refusal_in_plain_text_is_no_page_because_of_a_sign() -> None:
    assert type(refused(400, b"5000 tokens: must be <= context length 4096")) is ContextLengthExceeded
    assert "<" not in refused(400, b"sorry, <b>no</b>").message


@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached"])
def test_an_empty_account_is_not_worth_another_try(code: str) -> None:
    error = refused(429, {"error": {"message": "You exceeded your current quota", "code": code}})
    assert type(error) is ProviderOverloaded
    assert not error.retryable


@pytest.mark.parametrize("status", [408, 504, 524])
def test_a_timeout_behind_the_provider_is_a_timeout(status: int) -> None:
    assert type(refused(status, b"<html>")) is ProviderTimeout


def test_the_model_and_the_place_are_named_where_there_is_no_such_model() -> None:
    message = refused(404, {"error": {"message": "model 'gpt-x' not found"}}).message
    assert "'gpt-x' at https://host: model 'gpt-x' not found" in message


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"[]", b"[7]", b"7", b'{"error": 7}', b'{"error": {"message": {"a": 1}}}', b'{"error": null}']
)
def test_a_body_of_any_shape_is_an_error_all_the_same(body: bytes) -> None:
    assert type(refused(500, body)) is ProviderFailed


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, ProviderOverloaded),
        ({"code": 429, "message": "slow down"}, ProviderOverloaded),
        ({"code": "context_length_exceeded"}, ContextLengthExceeded),
        ({"message": "boom"}, ProviderFailed),
        ("boom", ProviderFailed),
        (7, ProviderFailed),
    ],
)
def test_an_error_inside_a_stream_is_told_apart(error: object, kind: type[NanobotError]) -> None:
    assert type(stream_failure(PEER, error)) is kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after-ms": "250", "Retry-After": "3"}, 0.25),
        ({"Retry-After": "Fri, 20 Nov 2026 08:00:30 GMT"}, 30.0),
        ({"Retry-After": "Fri, 20 Nov 2026 07:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=datetime(2026, 11, 20, 8, 0, tzinfo=UTC)) == seconds
