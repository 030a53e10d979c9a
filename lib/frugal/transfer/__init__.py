"""Do modifications transfer? 51 of them, each a few lines of difference from one encoder-decoder.

`names()` lists them and `build(name)` makes one, at the paper's size or at the book's.
Source: narang2021modifications. Chapter: the-modification-zoo.
"""

from frugal.transfer.building import build, config_of, names, row
from frugal.transfer.config import Config, Place
from frugal.transfer.frame import EncoderDecoder
from frugal.transfer.modification import Row
from frugal.transfer.sizes import BOOK, PAPER

__all__ = [
    "BOOK",
    "PAPER",
    "Config",
    "EncoderDecoder",
    "Place",
    "Row",
    "build",
    "config_of",
    "names",
    "row",
]
