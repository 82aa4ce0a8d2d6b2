"""Validation: published figures beside what the package computes, with how much each agreement proves.

`validate()` gives a Report; `python -m neuroemu validate` prints it. Nothing is measured here: each case computes its
figure from the package's own models and price lists.
"""

from .case import CLASSES, HEADLINE, Case
from .report import NOT_COMPUTED, Report, validate

__all__ = ["CLASSES", "HEADLINE", "NOT_COMPUTED", "Case", "Report", "validate"]
