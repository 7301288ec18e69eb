"""Why a file is not read, as the child process says it."""

from typing import Literal, get_args

Reason = Literal["unreadable", "unsupported", "too_large"]
REASONS: tuple[str, ...] = get_args(Reason)

SUPPORTED = (
    "Supported are pictures (PNG, JPEG, GIF, WebP), PDF, Word (.docx), Excel (.xlsx, .xls, .xlsb), OpenDocument spreadsheets (.ods), "
    "PowerPoint (.pptx), web pages, e-mail (.eml), RTF and any text."
)


class Refused(Exception):
    """A file that is not read. `words` complete the sentence that its name begins: "is password-protected"."""

    def __init__(self, words: str, reason: Reason = "unreadable") -> None:
        super().__init__(words)
        self.words = words
        self.reason: Reason = reason


def unsupported(what: str) -> Refused:
    """`what` it is: "is a ZIP archive"."""
    return Refused(f"{what}. {SUPPORTED}", "unsupported")


def encrypted() -> Refused:
    return Refused("is password-protected. Send it without a password.")


def damaged(what: str) -> Refused:
    """`what` it should have been: "a PDF"."""
    return Refused(f"can't be read as {what}: it is damaged or incomplete.")
