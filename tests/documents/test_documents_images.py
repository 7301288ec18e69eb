"""Pictures: what comes out is upright, small enough, and says nothing of where it was taken."""

import base64
import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageStat
from PIL.PngImagePlugin import PngInfo

from assistant.contracts.errors import FileTooLarge, UnreadableFile
from tests.documents.making import ReadPicture, Spool, limited


def _save(picture: Image.Image, form: str, **options: object) -> bytes:
    target = BytesIO()
    picture.save(target, form, **options)
    return target.getvalue()


def _open(data: bytes) -> Image.Image:
    picture = Image.open(BytesIO(data))
    picture.load()
    return picture


def _average(picture: Image.Image) -> tuple[int, int, int]:
    red, green, blue = ImageStat.Stat(picture.convert("RGB")).mean
    return round(red), round(green), round(blue)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_each_format_keeps_its_kind_and_its_colours(read_picture: ReadPicture, form: str) -> None:
    result = await read_picture("x.bin", _save(Image.new("RGB", (60, 40), (200, 30, 30)), form))
    assert result.media_type == f"image/{form.lower()}"
    assert (result.width, result.height) == (60, 40)
    assert result.original == f"{'WebP' if form == 'WEBP' else form}, 60×40"
    red, green, blue = _average(_open(result.data))
    assert abs(red - 200) < 12
    assert abs(green - 30) < 12
    assert abs(blue - 30) < 12


_HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABoQAB"
    "AAAAAAAAAB0AAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34"
    "+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29s"
    "cm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAADwAAAABAAAAKAAAAAH////8AAAAAv///+gAAAACAAAAEHBpeGkAAAAAAwgICAAAABhpcG1hAAAA"
    "AAAAAAEAAQWBAgMFhAAAACVtZGF0AAAAGSgBrxOA9SeBP//gpUf/utZ4fg8Lfnny1PA="
)
"""60 × 40 in the same red, as a phone would write it: no library here writes HEIC."""


def _photoshop() -> bytes:
    """A composite of three planes, without layers."""
    planes = b"".join(bytes([value]) * 2_400 for value in (200, 30, 30))
    return struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 40, 60, 8, 3) + bytes(12) + b"\0\0" + planes


def _reserved(bmp: bytes) -> bytes:
    """With something in the four bytes of its header that programs may use for themselves."""
    return bmp[:6] + b"\x01\0\xe0\x02" + bmp[10:]


def _system2() -> bytes:
    """With the short header of OS/2."""
    return b"BM" + struct.pack("<IHHI", 26 + 7_200, 0, 0, 26) + struct.pack("<IHHHH", 12, 60, 40, 1, 24) + b"\x1e\x1e\xc8" * 2_400


_RED = Image.new("RGB", (60, 40), (200, 30, 30))


@pytest.mark.parametrize(
    ("data", "shown", "media_type"),
    [
        (_save(_RED, "BMP"), "BMP", "image/png"),
        (_save(_RED.quantize(), "BMP"), "BMP", "image/png"),
        (_reserved(_save(_RED, "BMP")), "BMP", "image/png"),
        (_reserved(_save(_RED.quantize(), "BMP")), "BMP", "image/png"),
        (_reserved(_system2()), "BMP", "image/png"),
        (_system2(), "BMP", "image/png"),
        (_save(_RED, "TIFF"), "TIFF", "image/png"),
        (_save(_RED, "TIFF", compression="tiff_lzw"), "TIFF", "image/png"),
        (_save(_RED.convert("CMYK"), "TIFF"), "TIFF", "image/png"),
        (_save(_RED, "TIFF", compression="jpeg"), "TIFF", "image/png"),
        (_save(_RED, "TIFF", big_tiff=True), "TIFF", "image/png"),
        (_save(_RED, "AVIF"), "AVIF", "image/jpeg"),
        (_save(_RED, "JPEG2000"), "JPEG 2000", "image/jpeg"),
        (_save(_RED, "JPEG2000", no_jp2=True), "JPEG 2000", "image/jpeg"),
        (_save(_RED, "ICO", sizes=[(60, 40)], bitmap_format="bmp"), "icon", "image/png"),
        (_photoshop(), "Photoshop", "image/png"),
        (_HEIC, "HEIC", "image/jpeg"),
    ],
    ids=range(17),
)
async def test_other_formats_become_one_that_models_take(read_picture: ReadPicture, data: bytes, shown: str, media_type: str) -> None:
    result = await read_picture("x.txt", data)
    assert (result.media_type, result.original) == (media_type, f"{shown}, 60×40")
    red, green, blue = _average(_open(result.data))
    assert abs(red - 200) < 16
    assert abs(green - 30) < 16
    assert abs(blue - 30) < 16


async def test_grey_that_is_multiplied_by_its_opacity_is_read(read_picture: ReadPicture) -> None:
    plain, kind = _save(Image.new("LA", (60, 40), (200, 255)), "TIFF"), bytes.fromhex("5201 0300 0100 0000")
    assert plain.count(kind + b"\2\0") == 1
    result = await read_picture("x.tif", plain.replace(kind + b"\2\0", kind + b"\1\0"))
    assert (result.media_type, result.original) == ("image/png", "TIFF, 60×40")
    assert _average(_open(result.data).convert("RGB")) == pytest.approx([200, 200, 200])


async def test_a_photo_of_a_phone_with_48_megapixels_is_scaled_down(read_picture: ReadPicture) -> None:
    result = await read_picture("photo.jpg", _save(Image.new("RGB", (8_064, 6_048), "navy"), "JPEG"))
    assert result.original == "JPEG, 8064×6048"
    assert (result.width, result.height) == (2_048, 1_536)


async def test_a_photo_is_turned_upright_and_tells_no_secrets(read_picture: ReadPicture) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = "taken at home"
    picture = Image.new("RGB", (80, 40), "white")
    picture.paste("blue", (0, 0, 20, 40))
    result = await read_picture("photo.jpg", _save(picture, "JPEG", exif=exif, comment=b"secret place", icc_profile=b"\0" * 200))
    shown = _open(result.data)
    assert shown.size == (40, 80) == (result.width, result.height)
    assert _average(shown.crop((0, 0, 40, 15)))[0] < 60
    assert not shown.getexif()
    assert b"home" not in result.data
    assert b"secret" not in result.data
    assert "icc_profile" not in shown.info


async def test_texts_within_a_png_are_dropped(read_picture: ReadPicture) -> None:
    info = PngInfo()
    info.add_text("Author", "Ann Example")
    result = await read_picture("a.png", _save(Image.new("RGB", (5, 5)), "PNG", pnginfo=info))
    assert b"Ann" not in result.data


async def test_a_large_picture_is_scaled_down_to_its_longest_side(read_picture: ReadPicture) -> None:
    result = await read_picture("wide.png", _save(Image.new("L", (5000, 1000)), "PNG"))
    assert (result.width, result.height) == _open(result.data).size == (2048, 410)
    assert result.original == "PNG, 5000×1000"


async def test_transparency_survives(read_picture: ReadPicture) -> None:
    picture = Image.new("RGBA", (10, 10), (0, 0, 0, 0)).quantize()
    assert _open((await read_picture("a.png", _save(picture, "PNG"))).data).convert("RGBA").getpixel((5, 5)) == (0, 0, 0, 0)


async def test_sixteen_bit_greys_are_not_clipped(read_picture: ReadPicture) -> None:
    picture = Image.new("I;16", (10, 10), 0x8000)
    value = _open((await read_picture("a.png", _save(picture, "PNG"))).data).convert("L").getpixel((5, 5))
    assert value == 128


async def test_inks_become_colours(read_picture: ReadPicture) -> None:
    result = await read_picture("print.jpg", _save(Image.new("CMYK", (10, 10), (0, 255, 255, 0)), "JPEG"))
    red, green, _ = _average(_open(result.data))
    assert red > 200
    assert green < 80


async def test_of_an_animation_the_first_frame_is_shown(read_picture: ReadPicture) -> None:
    frames = [Image.new("RGB", (20, 20), (shade, 0, 0)) for shade in (250, 100, 10)]
    result = await read_picture("a.gif", _save(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert result.original == "GIF, 20×20, 3 frames: the first is shown"
    assert getattr(_open(result.data), "n_frames", 1) == 1


async def test_too_many_frames_are_refused(spool: Spool) -> None:
    frames = [Image.new("RGB", (20, 20), (shade * 20, 0, 0)) for shade in range(8)]
    data = _save(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(FileTooLarge, match=r"^a\.gif has more than 7 frames"):
        await limited(image_frames=7).read(spool("a.gif", data))


async def test_a_noisy_picture_is_compressed_until_providers_take_it(spool: Spool) -> None:
    data = _save(Image.effect_noise((700, 700), 80).convert("RGB"), "PNG")
    result = await limited(image_bytes=100_000).read(spool("a.png", data))
    assert result.kind == "image"
    assert result.media_type == "image/webp"
    assert len(result.data) < len(data) / 2


async def test_megapixels_are_counted_before_decoding(read_picture: ReadPicture) -> None:
    header = struct.pack(">IIBBBBB", 9_400, 9_400, 8, 0, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 9_401 * 9_400)), (b"IEND", b""))
    )
    with pytest.raises(FileTooLarge, match=r"more than 40 megapixels"):
        await read_picture("bomb.png", b"\x89PNG\r\n\x1a\n" + chunks)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_a_cut_picture_is_refused(read_picture: ReadPicture, form: str) -> None:
    data = _save(Image.effect_noise((300, 300), 60).convert("RGB"), form)
    with pytest.raises(UnreadableFile, match=r"^a can't be read as an? \w+ picture: it is damaged or incomplete\.$"):
        await read_picture("a", data[: len(data) // 2])
