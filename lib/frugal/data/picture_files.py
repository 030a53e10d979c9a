"""Pictures written as files: the same pixels in formats that hide them more or less.

The files are made by Pillow, which is imported when it is first needed, and carry no name, date or
comment: only the pixels differ between two files of a format.
Chapter: bytes.
"""

from __future__ import annotations

import io

from jaxtyping import Float
from torch import Tensor

FORMATS = {
    "raw": "the grey values row by row, nothing else",
    "bmp": "a header and a table of colours, then rows from the bottom up, not compressed",
    "png-stored": "PNG that is not compressed: chunks, checksums, and rows that are differenced "
    "where that makes them smaller",
    "png": "PNG as usual: the same rows, compressed by DEFLATE",
    "jpeg": "JPEG at quality 95: rounded frequencies, compressed by a Huffman code",
}
"""The formats of `picture_file`, and what becomes of the pixels."""


def picture_file(pixels: Float[Tensor, "height width"], form: str) -> bytes:
    """The bytes of a grey picture as a file.

    pixels: 0 is black and 1 white; they are rounded to 256 levels. form: one of `FORMATS`.
    Raises ValueError for another form, for pixels outside 0 ... 1, and where Pillow is missing.
    """
    if form not in FORMATS:
        raise ValueError(f"form is {form!r}; it must be one of {', '.join(map(repr, FORMATS))}.")
    if pixels.numel() == 0 or not ((pixels >= 0) & (pixels <= 1)).all():
        raise ValueError(
            "pixels is empty or has a value outside 0 ... 1; it must have values inside."
        )
    grey = (pixels.cpu() * 255).round().byte()
    if form == "raw":
        return bytes(grey.flatten().tolist())
    try:
        from PIL import Image
    except ImportError as error:
        raise ValueError("Pillow is not installed; files need `pip install pillow`.") from error
    picture = Image.frombytes("L", (grey.shape[1], grey.shape[0]), bytes(grey.flatten().tolist()))
    options = {
        "bmp": {"format": "BMP"},
        "png-stored": {"format": "PNG", "compress_level": 0},
        "png": {"format": "PNG", "compress_level": 6},
        "jpeg": {"format": "JPEG", "quality": 95},
    }
    file = io.BytesIO()
    picture.save(file, **options[form])
    return file.getvalue()
