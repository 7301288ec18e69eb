"""The limits as the child process knows them: plain, because importing the settings' library would cost more than reading most files."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The fields of `DocumentSettings` that the child obeys, under the same names and in the same units."""

    memory_mib: int
    cpu_seconds: int
    wall_seconds: float
    text_chars: int
    image_side: int
    image_megapixels: int
    image_frames: int
    image_bytes: int
    pdf_pages: int
    pdf_pages_refused: int
    cells: int
    archive_entries: int
    archive_mib: int
    archive_part_mib: int
    archive_ratio: int
