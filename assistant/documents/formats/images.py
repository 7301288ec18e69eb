"""Pictures: decoded, turned upright, scaled down, and encoded again without metadata."""

from io import BytesIO
from typing import Literal

import pi_heif  # pyright: ignore[reportMissingTypeStubs]
from PIL import AvifImagePlugin, Image, ImageOps, UnidentifiedImageError

from assistant.contracts.documents import MediaType, ReadImage
from assistant.documents.formats.markdown import count
from assistant.documents.protocol import FileRefused, ReadLimits, damaged, too_large

_SentFormat = Literal["PNG", "JPEG", "GIF", "WEBP"]
_MEDIA_TYPES: dict[_SentFormat, MediaType] = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
_MODES: dict[_SentFormat, frozenset[str]] = {
    "PNG": frozenset({"1", "L", "LA", "P", "RGB", "RGBA"}),
    "JPEG": frozenset({"L", "RGB"}),
    "GIF": frozenset({"1", "L", "P"}),
    "WEBP": frozenset({"RGB", "RGBA"}),
}
_READ: dict[str, tuple[str, str, _SentFormat]] = {
    "png": ("PNG", "PNG", "PNG"),
    "jpeg": ("JPEG", "JPEG", "JPEG"),
    "gif": ("GIF", "GIF", "GIF"),
    "webp": ("WEBP", "WebP", "WEBP"),
    "bmp": ("BMP", "BMP", "PNG"),
    "tiff": ("TIFF", "TIFF", "PNG"),
    "ico": ("ICO", "icon", "PNG"),
    "psd": ("PSD", "Photoshop", "PNG"),
    "jp2": ("JPEG2000", "JPEG 2000", "JPEG"),
    "avif": ("AVIF", "AVIF", "JPEG"),
    "heic": ("HEIF", "HEIC", "JPEG"),
}
"""Format → Pillow's name for it, ours, and the format that models are sent."""
_EMBEDDED = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
"""Pillow's names of the formats that documents have pictures in."""
_DRAFTED = 4
"""A JPEG may have so many times the megapixels: it is decoded at a fraction of its size."""
_LARGE_PNG = 500_000
"""Bytes above which a picture in a document is sent as WebP."""
_MULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
"""Modes whose colours are multiplied by their opacity, which convert to these alone."""
BROKEN = (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError)
"""What Pillow raises for a damaged picture."""

# Threads are counted as processes, which a reader may not start.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
pi_heif.register_heif_opener()  # pyright: ignore[reportUnknownMemberType]
pi_heif.options.DECODE_THREADS = 1


def read(data: bytes, name: str, limits: ReadLimits) -> ReadImage:
    """The first frame of the picture. `name`: the format by its first bytes."""
    wanted, shown, sent = _READ[name]
    try:
        with Image.open(BytesIO(data), formats=[wanted]) as source:
            frames = _check(source, limits)
            width, height = source.size
            picture = _decode(source, limits, limits.image_side)
    except BROKEN as error:
        raise damaged(f"{'an' if shown[0] in 'AIai' else 'a'} {shown} picture") from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(limits.image_megapixels) from error
    encoded, form = _save(picture, sent), sent
    if len(encoded) > limits.image_bytes:
        encoded, form = _save(picture, "WEBP"), "WEBP"
    original = f"{shown}, {width}×{height}" + (f", {count(frames, 'frame')}: the first is shown" if frames > 1 else "")
    return ReadImage(media_type=_MEDIA_TYPES[form], width=picture.width, height=picture.height, original=original, data=encoded)


def measure(data: bytes, limits: ReadLimits) -> tuple[int, int] | None:
    """The size of a picture in a document; None where it can't be shown. Decodes nothing."""
    try:
        with Image.open(BytesIO(data), formats=_EMBEDDED) as source:
            _check_size(source, limits)
            return source.size
    except (*BROKEN, Image.DecompressionBombError, FileRefused):
        return None


def encode_embedded(data: bytes, limits: ReadLimits) -> tuple[MediaType, int, int, bytes]:
    """(Media type, width, height, bytes) of a picture in a document. Raises any of Pillow's errors."""
    with Image.open(BytesIO(data), formats=_EMBEDDED) as source:
        return encode_source(source, limits)


def encode_source(source: Image.Image, limits: ReadLimits) -> tuple[MediaType, int, int, bytes]:
    """The same of the current frame of an open picture. Raises FileRefused, too."""
    _check_size(source, limits)
    photo = source.format == "JPEG"
    return encode_page(_decode(source, limits, limits.picture_side), photo=photo)


def encode_page(picture: Image.Image, *, photo: bool) -> tuple[MediaType, int, int, bytes]:
    """(Media type, width, height, bytes): a JPEG of a photo, else a PNG, or WebP where that is large."""
    form: _SentFormat = "JPEG" if photo else "PNG"
    encoded = _save(picture, form, quality=80)
    if not photo and len(encoded) > _LARGE_PNG:
        encoded, form = _save(picture, "WEBP"), "WEBP"
    return _MEDIA_TYPES[form], picture.width, picture.height, encoded


def _decode(source: Image.Image, limits: ReadLimits, side: int) -> Image.Image:
    """Upright, at most `side` pixels long, without metadata."""
    source.draft(None, (side, side))  # decodes a large JPEG at a fraction of its size
    source.load()
    picture = _straighten(source)
    if max(picture.size) > side:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    picture.info.clear()  # encoders copy profiles and comments from it
    return picture


def _too_many_pixels(megapixels: int) -> FileRefused:
    return too_large(f"has more than {megapixels} megapixels (documents.imageMegapixels). Send a smaller picture.")


def _check_size(source: Image.Image, limits: ReadLimits) -> None:
    most = limits.image_megapixels * (_DRAFTED if source.format == "JPEG" else 1)
    if source.width * source.height > most * 1_000_000:
        raise _too_many_pixels(most)


def _check(source: Image.Image, limits: ReadLimits) -> int:
    """The number of frames. Checks the limits before anything is decoded."""
    _check_size(source, limits)
    if source.format in {"ICO", "PSD", "HEIF"}:  # their frames are sizes, layers and other photos
        return 1
    frames = 1
    try:
        while frames <= limits.image_frames:
            source.seek(frames)
            frames += 1
    except EOFError:
        source.seek(0)
        return frames
    raise too_large(f"has more than {limits.image_frames} frames. Send a still picture.")


def _straighten(source: Image.Image) -> Image.Image:
    """Turned upright, in a mode that can be scaled: 8 bits per channel, no palette."""
    picture = ImageOps.exif_transpose(source)
    if picture.mode in _MULTIPLIED:
        picture = picture.convert(_MULTIPLIED[picture.mode])
    if picture.mode.startswith("I"):
        # 16-bit grey, which a plain conversion would clip
        scaled = picture.point(lambda value: value / 256)  # pyright: ignore[reportUnknownMemberType] - numpy's type is in its signature
        picture = scaled.convert("L")
    if picture.mode in {"1", "L", "RGB", "RGBA"} and "transparency" not in picture.info:
        return picture
    return picture.convert("RGBA" if picture.has_transparency_data else "L" if picture.mode in {"LA", "F"} else "RGB")


def _save(picture: Image.Image, form: _SentFormat, quality: int = 90) -> bytes:
    target = BytesIO()
    if picture.mode not in _MODES[form]:
        picture = picture.convert("P" if form == "GIF" else "RGB" if form == "JPEG" or not picture.has_transparency_data else "RGBA")
    options: dict[str, int] = {"JPEG": {"quality": quality}, "WEBP": {"quality": 85, "method": 2}, "PNG": {"compress_level": 4}, "GIF": {}}[
        form
    ]
    picture.save(target, form, **options)
    return target.getvalue()
