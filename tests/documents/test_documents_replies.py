"""The protocol of a reader's reply: what a child packs is unpacked, and nothing else is believed."""

import pytest

from assistant.contracts.documents import ReadDocument, ReadImage, Section
from assistant.documents import protocol
from assistant.documents.reader import unpack

_REFUSAL = protocol.ReadRefusal(words="is empty.")


def test_a_reply_is_what_the_child_packed() -> None:
    document = ReadDocument(format="md", text="a\n\nb", sections=(Section(label="b", start=3),), facts=("2 words",))
    picture = ReadImage(media_type="image/png", width=1, height=2, original="PNG, 1×2", data=b"x")
    assert [unpack(protocol.pack(reply)) for reply in (document, picture, _REFUSAL)] == [document, picture, _REFUSAL]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x02[]",
        b"\x00\x00\x00\x02{}",
        protocol.pack(protocol.ReadRefusal(words="x" * protocol.MAX_HEAD)),
        b"\xff" + protocol.pack(_REFUSAL)[1:],
        protocol.pack(ReadImage(media_type="image/png", width=1, height=1, original="", data=b"")),
        protocol.pack(ReadDocument(format="md", text="ab", sections=(Section(label="a", start=2), Section(label="b", start=1)))),
        protocol.pack(ReadDocument(format="md", text="ab", sections=(Section(label="a", start=3),))),
        protocol.pack(ReadDocument(format="md", text="ab", sections=(Section(label="a", start=-1),))),
    ],
    ids=range(10),
)
def test_a_reply_that_no_reader_gives_is_not_believed(reply: bytes) -> None:
    with pytest.raises(ValueError):
        unpack(reply)
