"""Leave the layers when the answer is known (schwartz2020right, zhou2020pabee, schuster2021cat).

Chapter: leaving-early.
"""

from frugal.depth.early_exit.calibration import conformal_threshold, fit_temperatures, reliability
from frugal.depth.early_exit.consistency import Consistency
from frugal.depth.early_exit.encoder import ExitEncoder, Left, Rule, Seen, exit_loss, exits_by
from frugal.depth.early_exit.rules import Confidence, Patience

__all__ = [
    "Confidence",
    "Consistency",
    "ExitEncoder",
    "Left",
    "Patience",
    "Rule",
    "Seen",
    "conformal_threshold",
    "exit_loss",
    "exits_by",
    "fit_temperatures",
    "reliability",
]
