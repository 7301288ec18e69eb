"""Pictures: decoded, turned upright, scaled down, and encoded again without metadata."""

from io import BytesIO
from typing import Literal, get_args

from PIL import Image, ImageOps, UnidentifiedImageError

from assistant.contracts.documents import ReadImage
from assistant.contracts.messages import MediaType
from assistant.documents.formats.markdown import count
from assistant.documents.protocol import FileRefused, ReadLimits, damaged, too_large

_ImageFormat = Literal["PNG", "JPEG", "GIF", "WEBP"]
_MEDIA_TYPES: dict[_ImageFormat, MediaType] = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
_MODES: dict[_ImageFormat, frozenset[str]] = {
    "PNG": frozenset({"1", "L", "LA", "P", "RGB", "RGBA"}),
    "JPEG": frozenset({"L", "RGB"}),
    "GIF": frozenset({"1", "L", "P"}),
    "WEBP": frozenset({"RGB", "RGBA"}),
}


def read(data: bytes, name: str, limits: ReadLimits) -> ReadImage:
    """The first frame of the picture. `name`: the format by its first bytes."""
    wanted = next(known for known in get_args(_ImageFormat) if known.lower() == name)
    shown = "WebP" if wanted == "WEBP" else wanted
    try:
        with Image.open(BytesIO(data), formats=[wanted]) as source:
            frames = _check(source, limits)
            width, height = source.size
            source.draft(None, (limits.image_side, limits.image_side))  # decodes a large JPEG at a fraction of its size
            source.load()
            picture = _straighten(source)
            if max(picture.size) > limits.image_side:
                picture.thumbnail((limits.image_side, limits.image_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
            picture.info.clear()  # encoders copy profiles and comments from it
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise damaged(f"a {shown} picture") from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(limits) from error
    encoded, form = _save(picture, wanted), wanted
    if len(encoded) > limits.image_bytes:
        encoded, form = _save(picture, "WEBP"), "WEBP"
    original = f"{shown}, {width}×{height}" + (f", {count(frames, 'frame')}: the first is shown" if frames > 1 else "")
    return ReadImage(media_type=_MEDIA_TYPES[form], width=picture.width, height=picture.height, original=original, data=encoded)


def _too_many_pixels(limits: ReadLimits) -> FileRefused:
    return too_large(f"has more than {limits.image_megapixels} megapixels (documents.imageMegapixels). Send a smaller picture.")


def _check(source: Image.Image, limits: ReadLimits) -> int:
    """The number of frames. Checks the limits before anything is decoded."""
    if source.width * source.height > limits.image_megapixels * 1_000_000:
        raise _too_many_pixels(limits)
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
    if picture.mode.startswith("I"):
        # 16-bit grey, which a plain conversion would clip
        scaled = picture.point(lambda value: value / 256)  # pyright: ignore[reportUnknownMemberType] - numpy's type is in its signature
        picture = scaled.convert("L")
    if picture.mode in {"1", "L", "RGB", "RGBA"} and "transparency" not in picture.info:
        return picture
    return picture.convert("RGBA" if picture.has_transparency_data else "L" if picture.mode in {"LA", "F"} else "RGB")


def _save(picture: Image.Image, form: _ImageFormat) -> bytes:
    target = BytesIO()
    if picture.mode not in _MODES[form]:
        picture = picture.convert("P" if form == "GIF" else "RGB" if form == "JPEG" or not picture.has_transparency_data else "RGBA")
    options: dict[str, int] = {"JPEG": {"quality": 90}, "WEBP": {"quality": 85, "method": 2}, "PNG": {"compress_level": 4}, "GIF": {}}[form]
    picture.save(target, form, **options)
    return target.getvalue()
