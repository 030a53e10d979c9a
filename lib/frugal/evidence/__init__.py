"""How sure is a difference: intervals, paired tests, many tests at once, the best of n, power.

Source: dodge2019work, tang2020showing, dietterich1998tests. Chapter: measuring-fairly.
"""

from frugal.evidence.best_of import expected_best
from frugal.evidence.garden import Study, play, recorded_noise
from frugal.evidence.intervals import bootstrap_interval, difference_interval
from frugal.evidence.many import benjamini_hochberg, holm
from frugal.evidence.paired import mcnemar, sign_flip_test
from frugal.evidence.power import detectable, power

__all__ = [
    "Study",
    "benjamini_hochberg",
    "bootstrap_interval",
    "detectable",
    "difference_interval",
    "expected_best",
    "holm",
    "mcnemar",
    "play",
    "power",
    "recorded_noise",
    "sign_flip_test",
]
