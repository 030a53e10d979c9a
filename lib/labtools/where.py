"""Where a notebook runs: before a student, or before something that grades it."""

import os

from otter import Notebook

#: Set while a batch is graded: the batch runs its own tests, so a check has nothing to do.
BATCH_VARIABLE = "LABTOOLS_BATCH"
_NBGRADER = "NBGRADER_EXECUTION"  # nbgrader sets it to what it does


def in_batch() -> bool:
    """Whether `python -m labtools grade` runs the notebook."""
    return bool(os.environ.get(BATCH_VARIABLE))


def under_otter() -> bool:
    """Whether otter grades the notebook, on Gradescope say, with the full tests."""
    return bool(Notebook._grading_mode)


def is_graded() -> bool:
    """Whether anything grades the notebook: nobody sits before it."""
    return in_batch() or under_otter() or os.environ.get(_NBGRADER) == "autograde"
