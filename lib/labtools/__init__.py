"""One lab source becomes notebooks, an autograder, grades and feedback.

A student's notebook uses `Grader`, `look` and `score`; a teacher uses `python -m labtools`.
"""

from labtools.drawing import look
from labtools.grader import Grader, score

__all__ = ["Grader", "look", "score"]
