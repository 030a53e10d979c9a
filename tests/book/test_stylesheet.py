"""The one style sheet: the font of icons has those that the sheet names, written in either way."""

from __future__ import annotations

import base64
import io
import re

from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib import TTFont

from booktools.stylesheet import with_icons


def test_the_icon_font_has_escaped_icons_and_icons_as_they_are(tmp_path):
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "warning", "note", "unused"])
    builder.setupCharacterMap({0xF071: "warning", 0xF05A: "note", 0xF0F0: "unused"})
    builder.setupGlyf({name: _empty() for name in (".notdef", "warning", "note", "unused")})
    builder.setupHorizontalMetrics(dict.fromkeys((".notdef", "warning", "note", "unused"), (9, 0)))
    builder.setupHorizontalHeader()
    builder.setupNameTable({})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "icons.ttf")

    sheet = with_icons('a{content:"\\f071"} b{--icon:"\uf05a"}', set(), tmp_path / "icons.ttf")
    (data,) = re.findall(r"base64,([^)]*)\)", sheet)
    assert set(TTFont(io.BytesIO(base64.b64decode(data))).getBestCmap()) == {0xF071, 0xF05A}


def _empty():
    from fontTools.ttLib.tables._g_l_y_f import Glyph

    return Glyph()
