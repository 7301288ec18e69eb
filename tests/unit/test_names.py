"""A file's name as it may be shown."""

import pytest

from assistant.contracts.util import display_name


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("in\nvoice\u202e fdp.exe\x00", "invoice fdp.exe"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Temp\\a.txt", "a.txt"),
        ("caf\udce9.txt", "caf.txt"),
        ("x" * 400 + ".pdf", "x" * 251 + ".pdf"),
        ("\u202e", "file"),
        ("..", "file"),
        ("", "file"),
    ],
)
def test_a_name_is_shown_on_one_line_the_right_way_round_and_without_its_folder(given: str, shown: str) -> None:
    assert display_name(given, "file") == shown
