"""Text that left the layers early, and drafts that the upper layers check.

Chapter: writing-with-fewer-layers.
"""

from frugal.figures.writing_with_fewer_layers.letter_layers import LetterLayers, WrittenText

__all__ = ["LetterLayers", "WrittenText"]
