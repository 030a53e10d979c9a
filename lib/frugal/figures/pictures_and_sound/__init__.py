"""From pixels, samples and voxels to tokens and their bill. Chapter: pictures-and-sound."""

from frugal.figures.pictures_and_sound.token_calculator import TokenCalculator, token_bill

__all__ = ["TokenCalculator", "token_bill"]
