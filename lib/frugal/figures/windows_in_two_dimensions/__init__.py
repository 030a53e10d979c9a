"""A picture whose windows are cut, shifted and put back. Chapter: windows-in-two-dimensions."""

from frugal.figures.windows_in_two_dimensions.swin_shift import SwinShift

__all__ = ["SwinShift"]
