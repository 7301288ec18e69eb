"""The words in a picture, by RapidOCR and the models in its package. The one module that imports them, in a reader of its own."""

# pyright: basic
# (RapidOCR is an extra: where it is not installed, its types are not there.)

import os
from functools import cache
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.markdown import clean
from assistant.documents.protocol import ReadLimits

# Before the imports: ONNX Runtime tells its maker about every session unless it is told not to, and a reader may start no thread.
os.environ.update({"ORT_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
rapidocr: Any = import_module("rapidocr")
import_module("cv2").setNumThreads(1)

_LONGEST_SIDE = 1_568
"""Pixels; at 2,000 a page needs twice the memory. Pages of documents are drawn at this size, A4 at 134 dots an inch."""
_NARROWEST = 3
"""A longer strip gets a margin: RapidOCR makes the short side 736 pixels, whatever the other becomes."""
_LEAST_SURE = 0.3
"""Of a place that it is a line; at 0.5, RapidOCR's own, a short line alone on its page is missed."""
_MODELS = {"Det": "PP-OCRv6_det_small.onnx", "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx", "Rec": "PP-OCRv6_rec_small.onnx"}
"""Where lines are, which are upside down, what they say. Named one by one: RapidOCR would download what it does not find."""


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument:
    """The words, a line for a line. `data`: a picture that `images` made."""
    with Image.open(BytesIO(data)) as source:
        picture = source.convert("RGBA")
    width, height = picture.size
    paper = Image.new("RGBA", (max(width, height // _NARROWEST), max(height, width // _NARROWEST)), "white")
    paper.alpha_composite(picture)
    found = _engine()(paper.convert("RGB"))
    return ReadDocument(format=name, text=clean(found.to_markdown()).strip() if len(found) else "")


@cache
def _engine() -> Any:
    folder = Path(rapidocr.__file__).parent / "models"
    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    models = {f"{part}.model_path": str(folder / file) for part, file in _MODELS.items()}
    rules = {"Global.log_level": "critical", "Global.max_side_len": _LONGEST_SIDE, "Det.box_thresh": _LEAST_SURE}
    return rapidocr.RapidOCR(params={**rules, **threads, **models})
