"""Messages and names come back from their stored form as they were."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.contracts.errors import InvalidRequest
from assistant.contracts.messages import AssistantMessage, Document, Image, Message, Text, ToolCall, ToolMessage, Usage, UserMessage
from assistant.store.codec import decode_message, encode_message, escape, identity, unescape

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
counts = st.integers(0, 2**53)
facts = st.lists(texts, max_size=3).map(tuple)
part_texts = st.builds(Text, text=texts, quoted=st.booleans(), chosen=st.booleans())
images = st.builds(
    Image,
    attachment_id=texts,
    name=texts,
    media_type=st.sampled_from(["image/png", "image/jpeg", "image/gif", "image/webp"]),
    width=counts,
    height=counts,
    size=counts,
    original=texts,
)
documents = st.builds(Document, attachment_id=texts, name=texts, format=texts, size=counts, facts=facts, text=texts, missing=texts)
usages = st.builds(Usage, prompt_tokens=counts, completion_tokens=counts, cached_tokens=counts, reasoning_tokens=counts)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), counts, texts),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
)
extras = st.dictionaries(texts, values, max_size=2)
calls = st.builds(ToolCall, id=texts, name=texts, arguments=texts, extras=extras)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(UserMessage, id=texts, parts=st.lists(st.one_of(part_texts, images, documents), max_size=4).map(tuple)),
    st.builds(
        AssistantMessage,
        id=texts,
        text=texts,
        tool_calls=st.lists(calls, max_size=3).map(tuple),
        finish_reason=st.sampled_from(["stop", "length", "content_filter", "tool_calls"]),
        usage=usages,
        model=texts,
        cut_off=st.sampled_from([None, "interrupted", "failed", "cancelled", "timeout"]),
        reasoning=texts,
        provider=texts,
        extras=extras,
    ),
    st.builds(ToolMessage, id=texts, call_id=texts, name=texts, text=texts, ok=st.booleans()),
)


@given(messages)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    assert decode_message(encode_message(message)) == message


@given(messages)
def test_a_stored_message_holds_no_nul(message: Message) -> None:
    assert "\0" not in encode_message(message)


@given(messages)
def test_fields_of_a_later_version_are_ignored(message: Message) -> None:
    raw = orjson.loads(encode_message(message))
    for each in (raw, raw.get("usage"), *raw.get("parts", ()), *raw.get("tool_calls", ())):
        if each is not None:
            each["from_the_future"] = {"a": 1}
    assert decode_message(orjson.dumps(raw).decode()) == message


def test_values_that_this_version_does_not_name_are_read_as_they_are() -> None:
    message = decode_message('{"role":"assistant","id":"m","finish_reason":"paused","cut_off":"moved"}')
    assert isinstance(message, AssistantMessage)
    assert (message.finish_reason, message.cut_off) == ("paused", "moved")
    picture = '{"kind":"image","attachment_id":"a","name":"n","media_type":"image/avif","width":1,"height":1,"size":1,"original":"o"}'
    message = decode_message(f'{{"role":"user","id":"m","parts":[{picture},{{"kind":"text","text":"t"}}]}}')
    assert isinstance(message, UserMessage)
    assert [part.kind for part in message.parts] == ["image", "text"]


@pytest.mark.parametrize("payload", ['{"role":"nobody","id":"m"}', '{"role":"user","id":"m","parts":[{"kind":"film","text":"t"}]}'])
def test_a_message_or_part_of_a_kind_that_this_version_does_not_know_is_an_error(payload: str) -> None:
    with pytest.raises(ValueError, match=r"Input (tag|should be)"):
        decode_message(payload)


def test_fields_that_an_earlier_version_did_not_write_get_their_defaults() -> None:
    assert decode_message('{"role":"assistant","id":"m"}') == AssistantMessage(id="m")
    assert decode_message('{"role":"tool","id":"m","call_id":"c","name":"n","text":"t"}') == ToolMessage(
        id="m", call_id="c", name="n", text="t"
    )
    document = '{"kind":"document","attachment_id":"a","name":"n","format":"f","size":1}'
    expected = Document(attachment_id="a", name="n", format="f", size=1)
    assert decode_message(f'{{"role":"user","id":"m","parts":[{document}]}}') == UserMessage(id="m", parts=(expected,))


names = st.text(st.sampled_from("a0\\\0\n🦊"), max_size=8) | texts


@given(names, names)
def test_names_come_back_and_stay_distinct(one: str, other: str) -> None:
    assert "\0" not in escape(one)
    assert unescape(escape(one)) == one
    assert (escape(one) == escape(other)) == (one == other)


@pytest.mark.parametrize(
    ("owner", "key", "fits"), [("o", "k" * 1999, True), ("o", "k" * 2000, False), ("o", "🦊" * 500, False), ("", "🦊" * 500, True)]
)
def test_names_are_measured_in_bytes(owner: str, key: str, fits: bool) -> None:
    if fits:
        assert identity(owner, key) == (owner, key)
    else:
        with pytest.raises(InvalidRequest):
            identity(owner, key)
