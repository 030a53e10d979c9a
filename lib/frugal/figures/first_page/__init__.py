"""The book's three questions as a picture, its table of contents. Page: index."""

from frugal.figures.first_page.question_map import PARTS, QuestionMap

__all__ = ["PARTS", "QuestionMap"]
