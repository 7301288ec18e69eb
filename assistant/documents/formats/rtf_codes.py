"""Control words of RTF (specification 1.9.1) by what a reader of words does with them, and its code pages."""

import codecs

CHARSETS = {
    77: "mac_roman",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gbk",
    136: "big5",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
    254: "cp437",
    255: "cp850",
}
"""`\\fcharset` → encoding; the others are the document's."""
DOCUMENT_ENCODINGS = {"ansi": "cp1252", "mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
WORDS = {
    "tab": "\t",
    "line": "\n",
    "emdash": "—",
    "endash": "–",
    "bullet": "•",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
    "emspace": " ",
    "enspace": " ",
    "qmspace": " ",
    "zwj": "\u200d",
    "zwnj": "\u200c",
    "ltrmark": "",
    "rtlmark": "",
}
SYMBOLS = {"~": "\xa0", "_": "-", "\\": "\\", "{": "{", "}": "}", "-": "", ":": "", "|": ""}
BREAKS = frozenset({"par", "sect", "page", "column", "softpage", "softcol"})
HEADERS = frozenset({"header", "headerl", "headerr", "headerf"})
FOOTERS = frozenset({"footer", "footerl", "footerr", "footerf"})
SKIPPED = frozenset(
    {
        *("colortbl", "info", "filetbl", "revtbl", "rsidtbl", "listtable", "listoverridetable", "generator", "themedata", "datastore"),
        *("objdata", "objclass", "objname", "objalias", "nonshppict", "shprslt", "nonesttables", "bkmkstart", "bkmkend", "xe", "tc", "tcn"),
        *("ftnsep", "ftnsepc", "ftncn", "aftnsep", "aftnsepc", "aftncn", "pnseclvl", "sp", "template", "private", "xmlnstbl", "atnid"),
        *("atnref", "atntime", "atndate", "atnicn", "atnparent", "pgdsctbl", "latentstyles", "colorschememapping", "mmathPr", "blipuid"),
        *("picprop", "panose", "falt", "fontemb", "keycode", "passwordhash", "docvar", "fldtype", "datafield", "background"),
    }
)
"""Destinations without words of the document."""
ENTERED = frozenset(
    {
        "fldinst",
        "shpinst",
        "shppict",
        "shptxt",
        "footnote",
        "annotation",
        "atnauthor",
        "ud",
        "nesttableprops",
        "formfield",
        "ffl",
        "pn",
        "pntext",
    }
)
"""Destinations that are read although `\\*` says that a reader may ignore them."""
FORMATTING = frozenset({"cs", "ds", "ts", "f", "b", "i", "ul", "fs", "cf", "plain", "pard", "s", "expnd", "up", "dn", "lang"})
"""Words that are no destination: `\\*` before them ignores nothing."""


def encoding(number: int) -> str:
    """The encoding of a code page; Windows-1252 for unknown ones."""
    names = {65001: "utf-8", 10000: "mac_roman", 708: "iso8859_6", 1361: "johab", 20866: "koi8_r", 0: "cp1252", 42: "cp1252"}
    try:
        return codecs.lookup(names.get(number, f"cp{number}")).name
    except LookupError:
        return "cp1252"
