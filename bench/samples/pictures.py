"""Pictures."""

from PIL import Image

from bench.samples.words import encode, noise


def make_png() -> bytes:
    """3.4 megapixels that do not compress: larger than what the model gets, so it is scaled down."""
    return encode(noise(1, 2270, 1480), "PNG")


def make_jpeg() -> bytes:
    """A photograph of 38 megapixels, close to what is accepted: noise, enlarged eight times."""
    eighth = (1 / 8, 0, 0, 0, 1 / 8, 0)
    enlarged = noise(2, 900, 660).transform((7200, 5280), Image.Transform.AFFINE, eighth, Image.Resampling.BICUBIC)
    return encode(enlarged, "JPEG", quality=84)
