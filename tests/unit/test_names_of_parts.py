"""Names of fields and files in the ways in which clients write them."""

import pytest

from assistant.api.body.naming import holds_files, may_hold_files, read_disposition

NAMES: list[tuple[str | bytes, str | None]] = [
    ('filename="a.txt"', "a.txt"),
    ("filename=a.txt", "a.txt"),
    ("filename=a b.txt", "a b.txt"),
    ('filename="a; b.txt"', "a; b.txt"),
    (r'filename="a\"b.txt"', 'a"b.txt'),
    ('filename="a%22b.txt"', 'a"b.txt'),
    ('filename="100%25.txt"', "100%25.txt"),
    ('filename="a%0D%0Ab.txt"', "a\r\nb.txt"),
    ('filename="résumé.txt"', "résumé.txt"),
    (b'filename="r\xe9sum\xe9.txt"', "résumé.txt"),
    ('filename="=?UTF-8?B?csOpc3Vtw6kudHh0?="', "résumé.txt"),
    ('filename="=?UTF-8?Q?r=C3=A9sum=C3=A9.txt?="', "résumé.txt"),
    ('filename="=?UTF-8?B?!?="', "=?UTF-8?B?!?="),
    ("filename*=UTF-8''r%C3%A9sum%C3%A9.txt", "résumé.txt"),
    ("filename*=utf-8'en'r%C3%A9sum%C3%A9.txt", "résumé.txt"),
    ("filename*=\"UTF-8''r%C3%A9sum%C3%A9.txt\"", "résumé.txt"),
    ("filename* = UTF-8''a.txt", "a.txt"),
    ("FILENAME*=UTF-8''a.txt", "a.txt"),
    ("filename*=ISO-8859-1''r%E9sum%E9.txt", "résumé.txt"),
    ("filename*=iso-8859-15''%A4.txt", "€.txt"),
    ("filename*=windows-1252'de'%80.txt", "€.txt"),
    ("filename*=shift_jis''%93%FA%96%7B.txt", "日本.txt"),
    ("filename*=euc-kr''%C7%D1.txt", "한.txt"),
    ("filename*=koi8-r''%C1.txt", "а.txt"),
    ("filename*=gb18030''%C4%E3.txt", "你.txt"),
    ("filename*=nonsense''%C3%A9.txt", "é.txt"),
    ("filename*=UTF-8''%E9.txt", "é.txt"),
    ("filename*=''%C3%A9.txt", "é.txt"),
    ("filename*=r%C3%A9.txt", "ré.txt"),
    ("filename*=base64''YQ==", "YQ=="),
    ("filename*=idna''%80.txt", "\x80.txt"),
    ("filename=old.txt; filename*=UTF-8''new.txt", "new.txt"),
    ("filename*=UTF-8''new.txt; filename=old.txt", "new.txt"),
    ('filename*0="long"; filename*1="name.txt"', "longname.txt"),
    ('filename*1="name.txt"; filename*0="long"', "longname.txt"),
    ("filename*0*=UTF-8''r%C3%A9; filename*1*=sum%C3%A9.txt", "résumé.txt"),
    ("filename*0*=ISO-8859-1''r%E9; filename*1=\"sum e.txt\"", "résum e.txt"),
    ('filename="old.txt"; filename*0="new"', "old.txt"),
    ('filename=""', ""),
    ("", None),
    ('other="a.txt"', None),
    ("other*=UTF-8''a.txt", None),
]


@pytest.mark.parametrize(("written", "name"), NAMES)
def test_the_name_of_a_file_is_what_its_sender_meant(written: str | bytes, name: str | None) -> None:
    disposition = b'form-data; name="files"; ' + (written if isinstance(written, bytes) else written.encode())
    assert read_disposition(disposition) == ("files", name)


@pytest.mark.parametrize("value", [b"", b"attachment; filename=a", b"form-data", b"form-data; filename=a", b"form-data; names=a"])
def test_a_part_without_a_name_is_none(value: bytes) -> None:
    assert read_disposition(value) is None


def test_a_star_in_the_name_of_a_field_is_no_extended_name() -> None:
    assert read_disposition(b'form-data; name="a;filename*=x"; filename="b.txt"') == ("a;filename*=x", "b.txt")


FILES = [
    "file",
    "files",
    "FILES",
    "files[]",
    "file[]",
    "files[0]",
    "files[12]",
    "files[a]",
    "files[0][1]",
    "file1",
    "file_2",
    "files.0",
    "file-3",
]
KINDS = [
    "image", "images", "Image", "images[]", "image[0]", "image_1", "document", "documents", "document[0]", "attachment", "attachments", "upload",
    "photo", "picture", "pdf", "doc", "docs[3]", "media", "audio", "video", "img",
]  # fmt: skip
OTHERS = ["", "message", "profile", "filename", "files_of_mine", "model", "image_url", "documentation", "user", "seed", "data", "imagine"]


@pytest.mark.parametrize("name", FILES + KINDS + OTHERS)
def test_names_of_fields(name: str) -> None:
    assert (holds_files(name), may_hold_files(name)) == (name in FILES, name in FILES + KINDS)
