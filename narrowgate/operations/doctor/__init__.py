"""`narrowgate doctor`: is an environment as Narrowgate needs it? A table of checks, small functions that only read.

A check returns what it saw, raises `SickError` for what is wrong (with how to mend it), and whatever it could not ask
is neither: it counts as not healthy, since a check that can't decide has not passed.
"""

from narrowgate.operations.doctor.examination import CHECKS, examine
from narrowgate.operations.doctor.patient import Check, Finding, Health, Patient

__all__ = ["CHECKS", "Check", "Finding", "Health", "Patient", "examine"]
