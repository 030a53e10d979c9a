"""Sentences of the book that are checked when the book is built, and can fail.

A `claim` is a sentence with its numbers and a check on these numbers. `counted` is a sentence whose
numbers follow from constants. `verdicts` is the table at a chapter's end: what the paper claims
beside what was seen here. Chapter: every one.
"""

from frugal.claims.pushing import broken_by, unmoved
from frugal.claims.sentences import Claim, ClaimError, Counted, claim, claims, counted
from frugal.claims.verdicts import Verdict, Verdicts, untested, verdict, verdicts

__all__ = [
    "Claim",
    "ClaimError",
    "Counted",
    "Verdict",
    "Verdicts",
    "broken_by",
    "claim",
    "claims",
    "counted",
    "unmoved",
    "untested",
    "verdict",
    "verdicts",
]
