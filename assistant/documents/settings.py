"""Settings of the document reader."""

from pydantic import Field

from assistant.contracts.util import Settings
from assistant.documents.protocol import ReadLimits


class DocumentSettings(Settings):
    """Limits of the child process that reads one file, and of what it takes from the file."""

    memory_mib: int = Field(default=512, ge=128, le=65_536, description="Address space of the process that reads one file, in MiB.")
    cpu_seconds: int = Field(default=10, ge=1, le=3_600, description="Processor time for reading one file.")
    wall_seconds: float = Field(
        default=15, gt=0, le=3_600, description="Time for reading one file, not counting the wait for a free process."
    )
    parallel: int = Field(default=2, ge=1, le=64, description="Files read at the same time; others wait.")
    image_side: int = Field(
        default=2_048, ge=64, le=16_384, description="Longest side of a picture in pixels; larger ones are scaled down."
    )
    image_megapixels: int = Field(default=40, ge=1, le=500, description="Largest picture that is decoded, in millions of pixels.")
    pdf_pages: int = Field(default=500, ge=1, le=100_000, description="Pages read of one PDF.")
    pictures: int = Field(
        default=20,
        ge=0,
        le=100,
        description="Pictures that a model is shown of one document, and of all documents of one message: those in it that are not small, and "
        "pages without text. Only for models that take pictures; the text has a mark for each. 0: none.",
    )
    cells: int = Field(default=1_000_000, ge=1, le=10_000_000, description="Cells read of one workbook.")
    archive_mib: int = Field(default=150, ge=1, le=10_000, description="All parts of an Office file together, unpacked, in MiB.")

    def limits(self) -> ReadLimits:
        """The limits of one child process: these settings and the fixed limits."""
        return ReadLimits(**self.model_dump(exclude={"parallel"}))
