"""Text that does not say its encoding: what programs of Windows, DOS, Macs and Unix wrote before UTF-8, and UTF-16 without a mark."""

import pytest

from tests.documents.making import ReadText

HUNGARIAN = "Termék;Ár\nGyümölcslé;450 Ft\nSűrített tejföl;320 Ft\nHűtőtáska;2 990 Ft"
CZECH = "Číslo;Název\n1;Šroub\n2;Matice křídlová\n3;Podložka"
TURKISH = "Ürün;Fiyat\nEkmek;5\nYoğurt;12\nŞeker;9"
HEBREW = "מוצר;מחיר\nלחם;7\nחלב;6"
GREEK = "Προϊόν;Τιμή\nΨωμί;2\nΓάλα;3"
RUSSIAN = "Товар;Цена\nХлеб;45\nМолоко;80"
FRENCH = "Voilà pourquoi nous préférons être prévenus à l'avance; c'est plus sûr."
GERMAN = "Für die Übergabe der Schlüssel wäre mir der späte Nachmittag lieber."
JAPANESE = "金曜日までに見積書をお送りください。"
ARABIC = "يرجى إرسال العرض قبل يوم الجمعة."
LITHUANIAN = "Prekė;Kaina\nDuona;1\nSūris;5\nŽuvis;7"
HINDI = "नाम;शहर\nराम;दिल्ली"
CHINESE = "请在星期五之前把报价单发给我们。"
KOREAN = "금요일까지 견적서를 보내 주세요."
THAI = "กรุณาส่งใบเสนอราคาภายในวันศุกร์"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((HUNGARIAN, name) for name in ("cp1250", "iso8859_2", "cp852")),
        *((CZECH, name) for name in ("cp1250", "iso8859_2", "cp852")),
        (TURKISH, "cp1254"),
        (HEBREW, "cp1255"),
        *((GREEK, name) for name in ("cp1253", "iso8859_7")),
        *((RUSSIAN, name) for name in ("cp1251", "koi8_r", "cp866", "mac_cyrillic", "iso8859_5")),
        *((FRENCH, name) for name in ("cp1252", "iso8859_15", "mac_roman")),
        *((GERMAN, name) for name in ("cp1252", "cp850", "mac_roman")),
        *((JAPANESE, name) for name in ("cp932", "euc_jp", "iso2022_jp")),
        ("名前,年齢,住所\n佐藤太郎,30,東京\n三木英子,25,大阪", "euc_jp"),
        (ARABIC, "cp1256"),
        (LITHUANIAN, "cp1257"),
        (CHINESE, "gb18030"),
        (KOREAN, "cp949"),
        (THAI, "cp874"),
    ],
)
async def test_an_old_encoding_is_found(read: ReadText, text: str, encoding: str) -> None:
    assert (await read("a.csv", text.encode(encoding))).text == text


@pytest.mark.parametrize(
    "text",
    ["Prix : 5 €", "£5", "20 °C ± 2", "It’s “fine” — ok", "• one\n• two", "«oui»", "§ 5", "© 2024 Acme", "Acme™", "100 µm²", "wait…", "€"],
)
async def test_a_text_whose_only_foreign_characters_are_signs_is_western(read: ReadText, text: str) -> None:
    assert (await read("a.txt", text.encode("cp1252"))).text == text


@pytest.mark.parametrize(("text", "encoding"), [("АБВ", "cp866"), ("Киев", "cp866"), ("日本", "cp932"), ("Łódź", "cp1250")])
async def test_a_short_text_of_letters_is_not_signs(read: ReadText, text: str, encoding: str) -> None:
    assert not set((await read("a.txt", text.encode(encoding))).text) & set("€…‘’“”•–—™£§©®°±²³µ·¼½¾«»")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", [HUNGARIAN, HEBREW, GREEK, RUSSIAN, JAPANESE, ARABIC, HINDI, CHINESE, KOREAN, THAI, "hi 😀 there"])
async def test_wide_text_without_a_mark_is_read_in_any_script(read: ReadText, text: str, encoding: str) -> None:
    assert (await read("a.txt", text.encode(encoding))).text == text


@pytest.mark.parametrize(
    "data",
    [
        b"\t\t1\t\n\n\n2",
        b"a\tb\tc\td\n" * 20 + b"end",
        b"one\0two three four five six seven eight nine" + b" and words" * 20,
        GERMAN.encode("cp1252") * 3 + b"\x01",
    ],
    ids=["tabs", "table", "zero", "control"],
)
async def test_other_text_is_not_taken_for_wide_text(read: ReadText, data: bytes) -> None:
    expected = data.decode("cp1252").replace("\0", "").replace("\x01", "").strip("\n")
    assert (await read("a.txt", data)).text == expected
