"""What is filled into forms of Word documents: legacy form fields, and content controls whose content does not show it."""

from assistant.documents.formats.office.package import XmlElement, attribute, child, children, is_on

UNKNOWN_SYMBOL = "•"
"""Stands for a character of a symbol font whose look is unknown."""
_TICKED, _EMPTY = "[x]", "[ ]"


def field_value(data: XmlElement | None) -> str:
    """The value of a legacy form field (`w:ffData`) whose result may be empty: a box, or the entry chosen from a list; "" for others."""
    box, entries = child(data, "checkBox"), child(data, "ddList")
    if box is not None:
        state = child(box, "checked")
        return _TICKED if is_on(state if state is not None else child(box, "default")) else _EMPTY
    if entries is None:
        return ""
    result = child(entries, "result")
    chosen = attribute(result if result is not None else child(entries, "default"), "val", "0")
    names = [attribute(entry, "val") for entry in children(entries, "listEntry")]
    return names[int(chosen)] if chosen.isdecimal() and len(chosen) < 5 and int(chosen) < len(names) else ""


def is_box(data: XmlElement | None) -> bool:
    return child(data, "checkBox") is not None


def control_value(control: XmlElement) -> str:
    """The value in the properties of a content control (`w:sdt`): a box, the entry chosen last, a date; "" for others."""
    properties = child(control, "sdtPr")
    box = child(properties, "checkbox")
    if box is not None:
        return _TICKED if is_on(child(box, "checked")) else _EMPTY
    if (date := child(properties, "date")) is not None:
        return attribute(date, "fullDate").partition("T")[0]
    for name in ("dropDownList", "comboBox"):
        if (choices := child(properties, name)) is not None:
            last = attribute(choices, "lastValue")
            shown = {attribute(item, "value"): attribute(item, "displayText") for item in children(choices, "listItem")}
            return shown.get(last) or last
    return ""


def hides_value(shown: str) -> bool:
    """Whether what a control shows says nothing: no words, or one character of a symbol font."""
    return not shown or (len(shown) == 1 and (shown == UNKNOWN_SYMBOL or "\ue000" <= shown <= "\uf8ff"))
