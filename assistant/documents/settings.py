"""How much a file may cost to read."""

from pydantic import Field

from assistant.contracts.settings import Settings


class DocumentSettings(Settings):
    """The limits of the child process that reads one file, and of what is taken from a file."""

    memory_mib: int = Field(default=512, ge=128, le=65_536, description="Address space of the process that reads one file, in MiB.")
    cpu_seconds: int = Field(default=10, ge=1, le=3_600, description="Processor time for reading one file.")
    wall_seconds: float = Field(default=15, gt=0, le=3_600, description="Time for reading one file, once its turn has come.")
    parallel: int = Field(default=2, ge=1, le=64, description="Files that are read at the same time; others wait.")
    text_chars: int = Field(default=11_000_000, ge=1_000, le=50_000_000, description="Characters kept of one file's text.")
    image_side: int = Field(
        default=2_048, ge=64, le=16_384, description="Longest side of a picture in pixels; larger ones are scaled down."
    )
    image_megapixels: int = Field(default=40, ge=1, le=500, description="Largest picture that is decoded, in millions of pixels.")
    image_frames: int = Field(default=100, ge=1, le=10_000, description="Most frames of an animated picture; only the first is kept.")
    image_bytes: int = Field(
        default=3_750_000, ge=10_000, le=50_000_000, description="Largest picture that is handed on; larger ones are compressed more."
    )
    pdf_pages: int = Field(default=500, ge=1, le=100_000, description="Pages read of one PDF.")
    pdf_pages_refused: int = Field(default=10_000, ge=1, le=1_000_000, description="A PDF of more pages than this is refused.")
    cells: int = Field(default=200_000, ge=1, le=10_000_000, description="Cells read of one workbook.")
    archive_entries: int = Field(default=1_000, ge=10, le=100_000, description="Most parts inside an Office file.")
    archive_mib: int = Field(default=50, ge=1, le=10_000, description="All parts of an Office file together, unpacked, in MiB.")
    archive_part_mib: int = Field(
        default=10, ge=1, le=1_000, description="One XML part of an Office file, unpacked, in MiB; sheets excepted."
    )
    archive_ratio: int = Field(
        default=100, ge=2, le=10_000, description="How much a part above 1 MiB may shrink when packed, as a factor; sheets excepted."
    )
