"""Pictures: decoded to verify them, turned upright, scaled down, and encoded anew so that no metadata survives."""

from io import BytesIO
from typing import Literal, get_args

from PIL import Image, ImageOps, UnidentifiedImageError

from assistant.contracts.documents import ReadImage
from assistant.contracts.messages import MediaType
from assistant.documents.formats.draft import count
from assistant.documents.limits import Limits
from assistant.documents.refusals import Refused, damaged

_Format = Literal["PNG", "JPEG", "GIF", "WEBP"]
_MEDIA_TYPES: dict[_Format, MediaType] = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "GIF": "image/gif",
    "WEBP": "image/webp",
}
_SHOWN = {"PNG": "PNG", "JPEG": "JPEG", "GIF": "GIF", "WEBP": "WebP"}
_MODES: dict[_Format, frozenset[str]] = {
    "PNG": frozenset({"1", "L", "LA", "P", "RGB", "RGBA"}),
    "JPEG": frozenset({"L", "RGB"}),
    "GIF": frozenset({"1", "L", "P"}),
    "WEBP": frozenset({"RGB", "RGBA"}),
}


def read(data: bytes, name: str, limits: Limits) -> ReadImage:
    """The first frame of the picture. `name`: what its first bytes claim it is."""
    wanted = next(known for known in get_args(_Format) if known.lower() == name)
    try:
        with Image.open(BytesIO(data), formats=[wanted]) as source:
            frames = _check(source, limits)
            width, height = source.size
            source.draft(None, (limits.image_side, limits.image_side))  # a large JPEG is decoded at a fraction of its size
            source.load()
            picture = _scale(_straighten(source), limits.image_side)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise damaged(f"a {_SHOWN[wanted]} picture") from error
    except Image.DecompressionBombError as error:
        raise _too_large(limits) from error
    encoded, form = _encode(picture, wanted, limits.image_bytes)
    original = f"{_SHOWN[wanted]}, {width}×{height}" + (f", {count(frames, 'frame')}: the first is shown" if frames > 1 else "")
    return ReadImage(media_type=_MEDIA_TYPES[form], width=picture.width, height=picture.height, original=original, data=encoded)


def _too_large(limits: Limits) -> Refused:
    return Refused(f"has more than {limits.image_megapixels} megapixels (documents.imageMegapixels). Send a smaller picture.", "too_large")


def _check(source: Image.Image, limits: Limits) -> int:
    """The number of frames. Refuses what would be too much work, before anything is decoded."""
    if source.width * source.height > limits.image_megapixels * 1_000_000:
        raise _too_large(limits)
    frames = 1
    try:
        while frames <= limits.image_frames:
            source.seek(frames)
            frames += 1
    except EOFError:
        source.seek(0)
        return frames
    raise Refused(f"has more than {limits.image_frames} frames (documents.imageFrames). Send a still picture.", "too_large")


def _straighten(source: Image.Image) -> Image.Image:
    """Upright, in a mode that can be scaled: 8 bits a channel, no palette."""
    picture = ImageOps.exif_transpose(source)
    if picture.mode.startswith("I"):
        # 16 bits of grey: a plain conversion would clip them.
        scaled = picture.point(lambda value: value / 256)  # pyright: ignore[reportUnknownMemberType] - an optional library's type is in its signature
        picture = scaled.convert("L")
    if picture.mode in {"1", "L", "RGB", "RGBA"} and "transparency" not in picture.info:
        return picture
    return picture.convert("RGBA" if picture.has_transparency_data else "L" if picture.mode in {"LA", "F"} else "RGB")


def _scale(picture: Image.Image, side: int) -> Image.Image:
    if max(picture.size) > side:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    picture.info.clear()  # encoders copy profiles and comments from here
    return picture


def _encode(picture: Image.Image, wanted: _Format, most: int) -> tuple[bytes, _Format]:
    """In its own format; as WebP where that would be more than `most` bytes, which providers refuse."""
    form: _Format = wanted
    encoded = _save(picture, form)
    if len(encoded) > most:
        form, encoded = "WEBP", _save(picture, "WEBP")
    return encoded, form


def _save(picture: Image.Image, form: _Format) -> bytes:
    target = BytesIO()
    if picture.mode not in _MODES[form]:
        picture = picture.convert("P" if form == "GIF" else "RGB" if form == "JPEG" or not picture.has_transparency_data else "RGBA")
    options: dict[str, int] = {"JPEG": {"quality": 90}, "WEBP": {"quality": 85, "method": 2}, "PNG": {"compress_level": 4}, "GIF": {}}[form]
    picture.save(target, form, **options)
    return target.getvalue()
